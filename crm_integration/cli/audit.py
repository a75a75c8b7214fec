"""`crm-integration audit`: who did what to a merchant's data path, and whether the trail holds.

Prevents the trail that nobody reads: `verify` fails loudly, in CI or from cron, at the first entry
that is not what was written.
"""

from __future__ import annotations

from typing import Annotated

import orjson
import typer
from sqlalchemy import select

from crm_integration.audit.trail import verify as verify_trail
from crm_integration.cli.opened import house
from crm_integration.storage.tables.tenancy import audit_trail
from crm_integration.tenancy.tenants import all_tenants

audit = typer.Typer(help="Who did what, and whether the trail holds.", no_args_is_help=True)


@audit.command("verify")
def verify(
    tenant: Annotated[str | None, typer.Option(help="One merchant. Default: all.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One document on stdout.")] = False,
) -> None:
    """Read each trail from its first entry to its kept end. Exit code 1 where one does not hold."""
    opened = house()
    found: dict[str, dict[str, object]] = {}
    for one in [tenant] if tenant else all_tenants(opened.engines.ops):
        with opened.engines.tenancy.scope(one) as scope:
            read = verify_trail(scope)
        found[one] = {"entries": read.entries, "problem": read.problem}
        if not as_json:
            print(f"{one:<24}{read.entries:>8}  {read.problem or 'holds'}")
    if as_json:
        print(orjson.dumps(found).decode())
    if any(one["problem"] for one in found.values()):
        typer.echo(
            "A trail does not hold: keep the database as it is, and restore this table from a "
            "backup into another one to compare.",
            err=True,
        )
        raise typer.Exit(1)


@audit.command("list")
def show(
    tenant: Annotated[str, typer.Argument(help="The merchant.")],
    last: Annotated[int, typer.Option(min=1, max=10_000, help="How many, the newest.")] = 50,
) -> None:
    """The newest entries, one JSON document a line; they hold ids and counts, never people."""
    newest = select(audit_trail).order_by(audit_trail.c.entry_id.desc()).limit(last)
    with house().engines.tenancy.scope(tenant) as scope:
        rows = scope.connection.execute(newest).mappings().all()
    for row in reversed(rows):
        told = {name: row[name] for name in ("entry_id", "at", "actor", "action", "subject")}
        print(orjson.dumps({**told, "details": row["details"]}).decode())
