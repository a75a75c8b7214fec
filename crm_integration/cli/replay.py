"""`crm-integration replay`: a window derived and written again, its differences first."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import uuid4

import orjson
import typer

from crm_integration.audit import trail
from crm_integration.cli.opened import actor, house
from crm_integration.cli.progress import progress
from crm_integration.cli.replay_lines import (
    plan_document,
    plan_lines,
    replayed_document,
    replayed_lines,
)
from crm_integration.errors import BadInput
from crm_integration.mapping.names import MappingName
from crm_integration.sync.path import House
from crm_integration.sync.replay import plan as planned
from crm_integration.sync.replay_plan import Plan, Request, days_between
from crm_integration.sync.replay_run import Force, approve_rewrite
from crm_integration.sync.replay_run import run as replayed

replay = typer.Typer(
    help="Derive a window again from raw records, and write what differs.", no_args_is_help=True
)

Tenant = Annotated[str, typer.Option("--tenant", help="The merchant.")]
First = Annotated[
    datetime, typer.Option("--from", formats=["%Y-%m-%d"], help="The first day (UTC).")
]
Last = Annotated[
    datetime, typer.Option("--to", formats=["%Y-%m-%d"], help="The last day, included.")
]
Mapping = Annotated[
    str | None, typer.Option(help="Look through this version, such as hubspot/contact@v2.")
]
ObjectType = Annotated[
    str | None, typer.Option("--object", help="One object type, such as contact; else all.")
]
Fields = Annotated[
    str | None, typer.Option("--force", help="FIELD[,FIELD]: write them whoever owns them.")
]
Limit = Annotated[int, typer.Option(min=0, help="Records shown field by field.")]
Show = Annotated[bool, typer.Option("--show", help="Show personal values, too (audited).")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@replay.command("plan")
def plan(
    tenant: Tenant,
    first: First,
    last: Last,
    mapping: Mapping = None,
    object_type: ObjectType = None,
    force: Fields = None,
    limit: Limit = 20,
    show: Show = False,
    as_json: Json = False,
) -> None:
    """Show what a replay would write, against what the CRM holds now. Writes nothing."""
    opened = house()
    request = _request(opened, tenant, first, last, mapping, object_type, force)
    with progress(f"planning {tenant}") as told:
        made = planned(opened, request, limit=limit, show=show, progress=told)
    if show:
        _note_shown(opened, made)
    _print_plan(made, as_json=as_json)


@replay.command("run")
def run(
    tenant: Tenant,
    first: First,
    last: Last,
    mapping: Mapping = None,
    object_type: ObjectType = None,
    force: Fields = None,
    reason: Annotated[
        str | None, typer.Option(help="Why fields are forced; kept for ever, so name no person.")
    ] = None,
    approval: Annotated[
        str | None, typer.Option(help="The code that another person got from `replay approve`.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Derive the window again and write exactly what `replay plan` shows (audited)."""
    opened = house()
    request = _request(opened, tenant, first, last, mapping, object_type, force)
    if (reason or approval) and not request.forced:
        raise BadInput("--reason and --approval belong to --force: name the fields, or leave them")
    forced = Force(reason or "", approval) if approval else None
    with progress(f"replaying {tenant}") as told:
        done = replayed(
            opened,
            request,
            run_id=f"cli-{uuid4()}",
            by=actor(),
            force=forced,
            progress=lambda _, what, count: told(what, count),
        )
    if as_json:
        _document(replayed_document(done))
    else:
        for line in replayed_lines(done):
            print(line)
    if not done.whole:
        raise typer.Exit(1)


@replay.command("approve")
def approve(
    tenant: Tenant,
    first: First,
    last: Last,
    force: Annotated[str, typer.Option("--force", help="FIELD[,FIELD], as they are to be run.")],
    mapping: Mapping = None,
    object_type: ObjectType = None,
    minutes: Annotated[int, typer.Option(min=1, max=1440, help="Valid for so long.")] = 60,
    limit: Limit = 20,
    show: Show = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a forced rewrite's plan and allow another person to run exactly that (audited)."""
    opened = house()
    request = _request(opened, tenant, first, last, mapping, object_type, force)
    with progress(f"planning {tenant}") as told:
        made = planned(opened, request, limit=limit, show=show, progress=told)
    if show:
        _note_shown(opened, made)
    if not as_json:
        _print_plan(made, as_json=False)
    if not yes:
        typer.confirm(f"Let somebody else write these {made.total} records?", abort=True, err=True)
    given = approve_rewrite(opened, request, made, by=actor(), valid_for=timedelta(minutes=minutes))
    if as_json:
        told_of = {"approval": given.approval_id, "expires_at": given.expires_at}
        _document({**plan_document(made), **told_of})
        return
    print(
        f"approval {given.approval_id} is valid until {given.expires_at:%Y-%m-%d %H:%M} UTC, for "
        "this plan, once, and not for you"
    )


def _request(
    opened: House,
    tenant: str,
    first: datetime,
    last: datetime,
    mapping: str | None,
    object_type: str | None,
    force: str | None,
) -> Request:
    named = None if mapping is None else MappingName.read(mapping, opened.mappings)
    fields = frozenset(one.strip() for one in (force or "").split(",") if one.strip())
    types = () if object_type is None else (object_type,)
    return Request(tenant, days_between(first.date(), last.date()), types, named, fields)


def _note_shown(opened: House, made: Plan) -> None:
    with opened.engines.tenancy.scope(made.request.tenant) as scope:
        trail.record(
            scope,
            actor=actor(),
            action="replay.show",
            subject=made.digest.hex(),
            records=len(made.writes),
        )


def _print_plan(made: Plan, *, as_json: bool) -> None:
    if as_json:
        _document(plan_document(made))
    else:
        for line in plan_lines(made):
            print(line)
    if made.problems:
        raise typer.Exit(1)


def _document(found: Any) -> None:
    print(orjson.dumps(found, default=str, option=orjson.OPT_INDENT_2).decode())
