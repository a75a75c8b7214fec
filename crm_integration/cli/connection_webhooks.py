"""`crm-integration connection webhooks`: what a merchant's stores should tell us of, and do.

Prevents the question "why did this order come so late" from ending at the store: a topic that is
switched off, lost or silent is named, with since when and what to do.
"""

from __future__ import annotations

import json
from datetime import datetime
from typing import Annotated
from uuid import uuid4

import typer
from rich.console import Console
from rich.table import Table

from crm_integration.cli.opened import house
from crm_integration.intake.watchdog import Look
from crm_integration.settings import get_settings
from crm_integration.sync.webhook_watch import Watched, watch_webhooks

_FIX = "crm-integration connection webhooks {tenant} --mend"


def webhooks(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    mend: Annotated[
        bool,
        typer.Option(help="Subscribe again what is missing, off or silent, and fetch the gap."),
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Compare what the stores should tell us of with what they do; exit code 1 if they differ."""
    url = get_settings().receiver_url
    run_id = f"cli:{uuid4()}"
    done = watch_webhooks(house(), tenant, receiver_url=url, run_id=run_id, mending=mend)
    if as_json:
        print(json.dumps(_document(done)))
    else:
        _show(done)
    good = all(one.is_good for looks in done.looks.values() for one in looks)
    if done.problems or not good:
        raise typer.Exit(1)


def _document(done: Watched) -> dict[str, object]:
    return {
        "tenant": done.tenant,
        "topics": [
            {"connection": name, **_row(done.tenant, one)}
            for name, looks in done.looks.items()
            for one in looks
        ],
        "fetched": [
            {
                "connection": name,
                "object_type": one.object_type,
                "since": one.since.isoformat(),
                "until": one.until.isoformat(),
                "kept": one.kept,
            }
            for name, some in done.fetched.items()
            for one in some
        ],
        "problems": done.problems,
    }


def _row(tenant: str, one: Look) -> dict[str, str]:
    fix = one.problem or ("" if one.is_good else _FIX.format(tenant=tenant))
    return {
        "topic": one.topic,
        "expected": "active",
        "actual": f"{one.state}, mended" if one.mended else one.state,
        "last_delivery": _at(one.known.heard_at if one.known else None),
        "silent_since": _at(one.silent_since),
        "fix": fix,
    }


def _at(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M} UTC" if moment else ""


def _show(done: Watched) -> None:
    console = Console()
    if not done.looks and not done.problems:
        console.print(
            f"{done.tenant}: no store was given an address for deliveries: all are polled. Make "
            f"one: crm-integration connection webhook {done.tenant} main"
        )
    for name, looks in done.looks.items():
        table = Table("topic", "expected", "actual", "last delivery", "silent since", "fix",
                      title=f"{done.tenant} {name}")  # fmt: skip
        for one in looks:
            table.add_row(*_row(done.tenant, one).values())
        console.print(table)
    for name, some in done.fetched.items():
        for one in some:
            console.print(
                f"{name}: {one.object_type} of {_at(one.since)} to {_at(one.until)} fetched again, "
                f"{one.kept} new"
            )
    for problem in done.problems:
        console.print(problem, markup=False)
