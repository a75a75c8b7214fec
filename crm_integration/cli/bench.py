"""`crm-integration bench`: figures that anyone can measure again.

Prevents the figure in a document that nobody can repeat: each bench says on what machine it ran,
and fails if its target was missed. It touches nothing of yours: its database is made for it.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crm_integration.cli.certify import find_checkout

if TYPE_CHECKING:
    from crm_integration.storage.embedded import EmbeddedServer

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

    load = Load(calls, seconds, windows)
    _measure(partial(measure, load), held, as_json=as_json)


@bench.command()
def intake(
    requests: Annotated[int, typer.Option(min=100, help="Deliveries to be measured.")] = 40_000,
    tenants: Annotated[int, typer.Option(min=1, help="Shops they come from.")] = 100,
    senders: Annotated[int, typer.Option(min=1, help="Connections that send at once.")] = 40,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """Deliveries a second that are acknowledged after their commit, and whether a crash loses one.

    Exits with 1 below 2,000 a second, at 50 ms for the 99th of a hundred, or if one is lost.
    """
    find_checkout("bench")
    from crm_integration_tests.benchmarks.intake import Load, held, measure

    load = Load(requests, tenants, senders, crashed=max(100, requests // 4))
    _measure(partial(measure, load), held, as_json=as_json)


@bench.command()
def live(
    tenants: Annotated[int, typer.Option(min=1, help="Tenants, each with a CRM account.")] = 100,
    per_second: Annotated[float, typer.Option(min=0.1, help="Events of all of them.")] = 50,
    seconds: Annotated[float, typer.Option(min=1, help="Length of the measured part.")] = 180,
    around: Annotated[float, typer.Option(min=3, help="Length around each disturbance.")] = 30,
    backfill_days: Annotated[int, typer.Option(min=0, help="Days replayed beside them.")] = 30,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """From accepted to readable in the CRM, under Dagster, with a backfill beside; then runs are
    killed, terminated and reloaded.

    Exits with 1 at 0.1 s for half of the events, 0.3 s for 95 or 1 s for 99 of a hundred, 10 s for
    the first one, above 20 runs, 15 s after a disturbance, or if one never arrives.
    """
    find_checkout("bench")
    from crm_integration_tests.benchmarks.live import Load, held, measure

    load = Load(tenants, per_second, seconds, around, backfill_days)
    _measure(partial(measure, load), held, as_json=as_json)


@bench.command()
def isolation(
    tenants: Annotated[int, typer.Option(min=1, help="Ordinary tenants.")] = 20,
    per_second: Annotated[float, typer.Option(min=0.01, help="Events of each of them.")] = 0.25,
    seconds: Annotated[float, typer.Option(min=1, help="Length of each half of a round.")] = 60,
    rounds: Annotated[int, typer.Option(min=1, help="Rounds: alone, then beside the two.")] = 2,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """What others notice of a tenant whose CRM is dead and of one that sends 20 times as much.

    Exits with 1 where their 95th of a hundred events takes 10 % longer, or one never arrives.
    """
    find_checkout("bench")
    from crm_integration_tests.benchmarks.isolation import Load, held, measure

    load = Load(tenants, per_second, seconds, rounds)
    _measure(partial(measure, load), held, as_json=as_json)


@bench.command()
def reconcile(
    tenants: Annotated[int, typer.Option(min=1, help="Shops to be looked at.")] = 1_000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:
    """How long the hourly look takes at shops in which nothing has happened.

    Exits with 1 above 0.3 seconds a shop (a thousand in five minutes), or if a look failed.
    """
    find_checkout("bench")
    from crm_integration_tests.benchmarks.reconcile import Load, held, measure

    load = Load(tenants, selling=min(tenants, Load.selling))
    _measure(partial(measure, load), held, as_json=as_json)


def _measure(
    measure: Callable[[EmbeddedServer, Callable[[str], None]], dict[str, Any]],
    held: Callable[[dict[str, Any]], bool],
    *,
    as_json: bool,
) -> None:
    """On a database of its own; exits with 1 where the target was missed."""
    from crm_integration_tests.certificate.stand import database

    with database() as server, Console(stderr=True).status("starting") as status:
        found = measure(server, status.update)
    _show(found, as_json=as_json)
    if not held(found):
        raise typer.Exit(1)


def _show(found: dict[str, Any], *, as_json: bool) -> None:
    """The document itself, or its figures as a table."""
    if as_json:
        print(json.dumps(found), flush=True)
        return
    table = Table("figure", "value", title=found["bench"])
    for name, value in found["metrics"].items():
        figures = value.items() if isinstance(value, dict) else [("", value)]
        for part, figure in figures:
            table.add_row(f"{name} {part}".strip(), str(figure))
    Console().print(table)
