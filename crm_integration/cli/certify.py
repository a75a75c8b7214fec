"""`crm-integration certify`: the fault certificate, for anyone to run.

Prevents the promise that has to be believed: the command breaks everything that can break, and
says how many records were lost, doubled or wrong in the end. It touches nothing of yours: its
database, shops and CRMs are made for it and end with it.
"""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

from crm_integration.errors import BadInput

if TYPE_CHECKING:
    from crm_integration_tests.certificate.report import Certificate

_MEANT = {
    "lost": "records a store has and its CRM lacks",
    "doubled": "second records, and records of nobody",
    "wrong_fields": "fields or ties that differ from the store",
    "against_owner": "values of sales that were overwritten",
    "consent_broken": "opt-outs that were not kept",
    "cross_tenant": "records with something of another merchant",
}


def certify(
    seed: Annotated[
        int | None, typer.Option(help="Another world; without it always the same one.")
    ] = None,
    events: Annotated[int, typer.Option(min=60, help="Events in the three shops.")] = 2_000,
    small: Annotated[bool, typer.Option(help="A few faults of each kind, in a minute.")] = False,
    through_receiver: Annotated[
        bool,
        typer.Option("--through-receiver", help="Deliveries over HTTP to a receiver, live runs "
                     "over the lanes, both killed at random; then completeness is proven."),
    ] = False,
    broken: Annotated[
        str, typer.Option("--break", help="Put a defect in; the certificate must find it.")
    ] = "",
    list_breaks: Annotated[bool, typer.Option(help="Name the defects there are.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")] = False,
) -> None:  # fmt: skip
    """Kill, freeze, cut, duplicate and reorder; then count what is lost, doubled or wrong.

    Exits with 1 if one of the six counts is not zero; with --through-receiver also if a delivery
    that was acknowledged is lost, or completeness does not agree.
    """
    find_checkout("certify")
    if list_breaks:
        _list_breaks(as_json)
        return
    from crm_integration_tests.certificate import report, scenario

    form = (scenario.hunting if broken else scenario.small if small else scenario.full)(events)
    if through_receiver and small and not broken:
        form = scenario.small_received(events)
    elif through_receiver:
        form = scenario.received(form)
    chosen = report.SEED if seed is None else seed
    console = Console(stderr=True)
    # Whoever ends it ends its database and its drivers, too: some of them may be frozen.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with console.status("starting") as status:
        told: Callable[[str], None] = status.update
        compared = not broken and not through_receiver
        found = report.issue(chosen, form, told, broken=broken, compared=compared)
    document = found.json()
    if as_json:
        print(json.dumps(document), flush=True)
    else:
        _print(Console(), found, document)
    if not found.clean:
        raise typer.Exit(1)


def find_checkout(command: str) -> None:
    """What proves lies beside the product, not in it: no wheel carries deliberate defects."""
    checkout = Path(__file__).parents[2]
    if not (checkout / "crm_integration_tests" / "certificate").is_dir():
        raise BadInput(
            f"{command} needs the checkout: clone the repository and install it there with "
            "pip install -e '.[embedded]'"
        )
    if str(checkout) not in sys.path:
        sys.path.insert(0, str(checkout))


def _list_breaks(as_json: bool) -> None:
    from crm_integration_tests.certificate.breaks import BREAKS

    if as_json:
        print(json.dumps({one.name: one.what for one in BREAKS}))
        return
    for one in BREAKS:
        print(f"{one.name:24} {one.what}")


def _print(console: Console, found: Certificate, document: dict[str, Any]) -> None:
    console.print(
        f"seed {document['seed']}, {document['events']:,} events, "
        f"{document['compared_fields']:,} fields compared, {document['seconds']:.0f} s"
    )
    console.print(_table("what was done to it", document["faults"]))
    console.print(_table("killed at", document["kills"]))
    counts = Table("found", "", "", title="what came of it")
    for name, meaning in _MEANT.items():
        colour = "red" if document[name] else "green"
        counts.add_row(name, f"[{colour}]{document[name]}[/]", meaning)
    console.print(counts)
    if "completeness" in document:
        _print_received(console, document)
    without = document["calls_per_1000_without_faults"]
    console.print(
        f"CRM calls per 1,000 events: {document['calls_per_1000']}"
        + (f", without faults {without}" if without is not None else "")
    )
    for kind, examples in document["examples"].items():
        for example in examples:
            console.print(f"  {kind}: {example}", markup=False)
    console.print("[green]clean[/]" if found.clean else "[red]not clean[/]")


def _print_received(console: Console, document: dict[str, Any]) -> None:
    table = Table("found", "", title="the receiver, and completeness", show_header=False)
    for name, number in document["receiver"].items():
        table.add_row(name, f"[{'red' if number else 'green'}]{number}[/]")
    proven = document["completeness"]
    agrees = "[green]agrees[/]" if proven["agrees"] else "[red]does not agree[/]"
    table.add_row(f"completeness, {proven['compared_with_the_oracle']} counts", agrees)
    console.print(table)
    for name, number in (*proven["wrong"].items(), *document["unmet"].items()):
        console.print(f"  {name}: {number}", markup=False)
    for words in (*proven["unlike_the_oracle"], *proven["problems"]):
        console.print(f"  {words}", markup=False)


def _table(title: str, numbers: dict[str, int]) -> Table:
    table = Table(title=title, show_header=False)
    for name, number in numbers.items():
        table.add_row(name, str(number))
    return table
