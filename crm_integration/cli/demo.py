"""`crm-integration demo`: three merchants' shops sync into three CRM accounts, before your eyes."""

from __future__ import annotations

import json
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import date, datetime, timedelta
from multiprocessing import get_context
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from crm_integration.cli.demo_show import Watcher, console_to_terminal, print_tables
from crm_integration.cli.dev import serve_ui
from crm_integration.cli.embedded_home import (
    databases,
    embedded_server,
    only_one,
    use_embedded,
)
from crm_integration.errors import BadInput
from crm_integration.sandbox.server import Sandbox

DATABASE = "crm_integration_demo"
MOST_DAYS = 100
"""A longer order book is shown in windows of months."""


def demo(
    orders: Annotated[
        list[Path] | None,
        typer.Option(help="Order book (Parquet, columns of Online Retail). May be repeated."),
    ] = None,
    start: Annotated[
        datetime | None,
        typer.Option("--from", formats=["%Y-%m-%d"], help="First day (UTC). Default: the file's."),
    ] = None,
    days: Annotated[int | None, typer.Option(min=1, help="How many days. Default: all.")] = None,
    ui: Annotated[bool, typer.Option("--ui", help="Open the Dagster UI at the end.")] = False,
    port: Annotated[int, typer.Option(help="Port of the Dagster UI.")] = 3000,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
    keep: Annotated[bool, typer.Option("--keep", help="Sandbox stays up until Ctrl-C.")] = False,
) -> None:
    """Fill three shops, sync them into three CRMs by real Dagster runs, replay one partition."""
    if start is not None and not orders:
        raise BadInput("--from chooses days of an order book: give one with --orders FILE")
    began = time.monotonic()
    first_day = None if start is None else start.date()
    spans = _spans(orders, first_day, days)
    first = min(span[0] for span in spans)
    months = (max(span[1] for span in spans) - first).days > MOST_DAYS
    start_day = (first.replace(day=1) if months else first).isoformat()
    settings = use_embedded(DATABASE, start_day=start_day, window="month" if months else "day")
    console = console_to_terminal()
    with (
        only_one(settings.home, "demo"),
        embedded_server(settings, leave_up=False) as server,
        Sandbox.start() as sandbox,
    ):
        databases(server, DATABASE, anew=True)
        # Dagster reads the settings when it is imported, so it is imported only now.
        from crm_integration.cli.demo_run import Demo

        with Watcher(console) as watcher:
            result = Demo(sandbox, watcher).run(orders or [], first_day, days, spans)
        document = {**asdict(result), "seconds": round(time.monotonic() - began, 1)}
        if as_json:
            print(json.dumps(document), flush=True)
        else:
            print_tables(console, document)
        if ui:
            _show_ui(settings.home / "dagster-demo", port, document)
        elif keep:
            _until_interrupted(console)
    if not all(run["passed"] for run in document["runs"]):
        raise typer.Exit(1)


def _spans(
    orders: list[Path] | None, first_day: date | None, days: int | None
) -> list[tuple[date, date]]:
    """First and last day of what each order book brings. Raises BadInvoiceFile."""
    from crm_integration.sandbox.generator import LAST_DAY
    from crm_integration.sandbox.invoice_rows import days_of

    if not orders:
        return [(LAST_DAY - timedelta(days=13), LAST_DAY)]
    spans: list[tuple[date, date]] = []
    # In a process of its own: a book of two years leaves 240 MB behind in whoever reads it.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as reader:
        found = list(reader.map(days_of, orders))
    for first, last in found:
        first = first_day or first
        if days is not None:
            last = min(last, first + timedelta(days=days - 1))
        spans.append((first, max(first, last)))
    return spans


def _show_ui(dagster_home: Path, port: int, document: dict[str, Any]) -> None:
    console = console_to_terminal()
    replay = document["replay"]["partition"]
    console.print(
        f"\n[bold]Dagster UI[/bold]: http://127.0.0.1:{port}\n"
        "  Assets → View lineage: the way from store_extracts over canonical to crm_sync.\n"
        f"  canonical/orders → Partitions: choose {replay}; see rows, totals, checks.\n"
        "  Jobs → replay_a_window → Materialize a partition: it makes no CRM call.\n"
        "Ctrl-C stops everything."
    )
    serve_ui(dagster_home, port)


def _until_interrupted(console: Console) -> None:
    console.print("The sandbox stays up; Ctrl-C stops it.")
    try:
        while True:
            time.sleep(3_600)
    except KeyboardInterrupt:
        return
