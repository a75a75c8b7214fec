"""`crm-integration completeness`: the proof that nothing is missing, and its repair.

Prevents the answer "it should all be there": the store is listed, the CRM is read, and the exit
code is 0 only when every object is proven or accounted for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated
from uuid import uuid4

import orjson
import typer
from rich.console import Console

from crm_integration.cli.completeness_lines import document, next_step, table
from crm_integration.cli.opened import actor, house
from crm_integration.cli.progress import progress
from crm_integration.errors import BadInput
from crm_integration.stores._contract import Window
from crm_integration.sync.completeness.heal import prove_healed
from crm_integration.sync.completeness.model import Completeness, Request, entity_named
from crm_integration.sync.completeness.prove import Told, prove
from crm_integration.sync.path import House
from crm_integration.sync.replay_plan import days_between


def completeness(
    tenant: Annotated[str, typer.Option("--tenant", help="The merchant.")],
    first: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="The first day (UTC); else all."),
    ] = None,
    last: Annotated[
        datetime | None,
        typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included."),
    ] = None,
    object_types: Annotated[
        list[str] | None,
        typer.Option("--object-type", help="Such as order or contact; may be repeated. Else all."),
    ] = None,
    heal: Annotated[
        bool, typer.Option("--heal", help="Read again, send again (audited), and prove again.")
    ] = False,
    surplus: Annotated[
        bool, typer.Option("--surplus", help="List all CRM records with our key, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Prove that store, raw records, canonical rows, ledger and CRM agree, object by object.

    Nothing is written but the proof, unless --heal. What changed since it began, or minutes before,
    is judged next time. Exits with 1 if anything is missing, differs, is too many, or could not be
    looked at.
    """
    entities = tuple(dict.fromkeys(entity_named(one) for one in object_types or ()))
    request = Request(tenant, _days(first, last), entities, surplus)
    opened = house()
    with progress(f"proving {tenant}") as told:
        done = _proven(opened, request, told, heal=heal)
    if as_json:
        print(orjson.dumps(document(done), option=orjson.OPT_INDENT_2).decode())
    else:
        console = Console()
        console.print(table(done))
        for problem in done.problems:
            console.print(f"not done: {problem.stage} {problem.what}: {problem.reason}")
        console.print(next_step(done), markup=False)
    if not done.whole:
        raise typer.Exit(1)


def _days(first: datetime | None, last: datetime | None) -> Window | None:
    if first is None and last is None:
        return None
    if first is None or last is None:
        raise BadInput("a window needs both its days: --from and --to; without them all is proven")
    return days_between(first.date(), last.date())


def _proven(opened: House, request: Request, told: Told, *, heal: bool) -> Completeness:
    run_id = f"cli-{uuid4()}"
    if not heal:
        return prove(opened, request, run_id=run_id, progress=told)
    _, second = prove_healed(opened, request, run_id=run_id, by=actor(), progress=told)
    return second
