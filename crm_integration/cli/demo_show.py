"""What a person sees of the demo: progress while it works, a table per tenant at the end."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn
from rich.table import Table

from crm_integration.canonical.money import to_decimal_text

if TYPE_CHECKING:
    from crm_integration.sync.path import House

LOOK_SECONDS = 2.0


def console_to_terminal() -> Console:
    """A console on the terminal's stderr, also while a Dagster step captures the process's."""
    return Console(file=os.fdopen(os.dup(2), "w", buffering=1))


class Watcher:
    """A line of progress a tenant, read from the tables each second by a thread of its own."""

    def __init__(self, console: Console) -> None:
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}"),
            TimeElapsedColumn(),
            console=console,
            transient=True,
        )
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._step = self._progress.add_task("starting")

    def __enter__(self) -> Watcher:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._progress.stop()

    def say(self, what: str) -> None:
        """Name the step that runs now."""
        self._progress.update(self._step, description=what)

    def follow(self, house: House, tenants: Sequence[str]) -> None:
        """Show how many rows lie where while a run works."""
        self.say("running reconcile_all: store → raw → canonical → CRM")
        if self._thread is None:
            self._thread = threading.Thread(
                target=self._look, args=(house, list(tenants)), daemon=True
            )
            self._thread.start()

    def _look(self, house: House, tenants: list[str]) -> None:
        from crm_integration.sync.overview import stages

        tasks = {tenant: self._progress.add_task(tenant) for tenant in tenants}
        while not self._ended.wait(LOOK_SECONDS):
            for tenant, task in tasks.items():
                with house.engines.tenancy.scope(tenant) as scope:
                    raw, rows, synced = stages(scope)
                self._progress.update(
                    task,
                    description=f"  {tenant:<10} raw {raw:>7,}  canonical {rows:>7,}  "
                    f"in the CRM {synced:>7,}",
                )


def print_tables(console: Console, document: dict[str, Any]) -> None:
    """A column a tenant, the totals, and what the replay did."""
    table = Table(title="Three merchants, from shop to CRM", title_justify="left")
    table.add_column("")
    for one in document["tenants"]:
        table.add_column(f"{one['tenant']}\n{one['store']}", justify="right")
    for label, value in _ROWS:
        table.add_row(label, *(f"{value(one):,}" for one in document["tenants"]))
    console.print(table)
    totals, replay = document["totals"], document["replay"]
    for name in ("gross_minor", "refunded_minor"):
        money = ", ".join(
            f"{to_decimal_text(minor, code)} {code}" for code, minor in totals[name].items()
        )
        console.print(f"{name.removesuffix('_minor')}: {money or '0'}")
    console.print(
        f"In the CRMs: {totals['orders']:,} orders ({totals['guest_orders']:,} by guests), "
        f"{totals['refunds']:,} refunds; {totals['quarantined_invoices']:,} invoices kept back."
    )
    console.print(
        f"Replay of {replay['partition']}: {replay['records']} orders derived again, "
        f"{replay['crm_calls']} CRM calls, {replay['writes']} writes."
    )
    for run in document["runs"]:
        if not run["passed"]:
            console.print(f"[red]Run {run['run_id']} ({run['job']}) failed[/red]: {run['problem']}")


_ROWS: list[tuple[str, Any]] = [
    ("raw records", lambda one: one["raw_records"]),
    ("  of them seen again", lambda one: sum(one["repeats"].values())),
    ("customers", lambda one: one["canonical"]["customer"]),
    ("products", lambda one: one["canonical"]["product"]),
    ("orders", lambda one: one["canonical"]["order"]),
    ("refunds", lambda one: one["canonical"]["refund"]),
    ("parcels", lambda one: one["canonical"]["shipment"]),
    ("carts", lambda one: one["canonical"]["cart"]),
    ("consents", lambda one: one["canonical"]["consent"]),
    ("CRM contacts", lambda one: one["crm_records"]["contacts"]),
    ("CRM orders", lambda one: one["crm_records"]["orders"]),
    ("CRM notes", lambda one: one["crm_records"]["notes"]),
    ("CRM calls", lambda one: one["crm_calls"]),
    ("adopted from sales", lambda one: one["adopted"]),
    ("ambiguous (left to a person)", lambda one: one["ambiguous"]),
    ("quarantined", lambda one: one["quarantined"]),
    ("held", lambda one: one["held"]),
    ("dead", lambda one: one["dead"]),
]
