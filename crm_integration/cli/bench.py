"""`crm-integration bench`: figures that anyone can measure again.

Prevents the figure in a document that nobody can repeat: each bench says on what machine it ran,
and fails if its target was missed. It touches nothing of yours: its database is made for it.
"""

from __future__ import annotations

import json
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from crm_integration.cli.certify import find_checkout

bench = typer.Typer(help="Measure what is promised.", no_args_is_help=True)


@bench.callback()
def _bench() -> None:
    """Measure what is promised."""


@bench.command()
def limiter(
    calls: Annotated[int, typer.Option(min=1, help="Calls the emulated vendor allows.")] = 100,
    seconds: Annotated[float, typer.Option(min=0.5, help="In a window of so many seconds.")] = 10,
    windows: Annotated[int, typer.Option(min=1, help="Windows to fill.")] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """How much of an allowed rate one tenant reaches, and ten in processes of their own.

    Exits with 1 below 98 % and 95 %, or after a single 429.
    """
    find_checkout("bench")
    from crm_integration_tests.benchmarks.limiter import Load, held, measure
    from crm_integration_tests.certificate.stand import database

    with database() as server, Console(stderr=True).status("starting") as status:
        found = measure(Load(calls, seconds, windows), server, status.update)
    if as_json:
        print(json.dumps(found), flush=True)
    else:
        table = Table("run", *next(iter(found["metrics"].values())), title="limiter")
        for name, reached in found["metrics"].items():
            table.add_row(name, *(str(one) for one in reached.values()))
        Console().print(table)
    if not held(found):
        raise typer.Exit(1)
