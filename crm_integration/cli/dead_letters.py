"""`crm-integration dead-letters`: writes that need a person."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import orjson
import typer

from crm_integration.cli.dead_letter_lines import letter_line, preview_lines, story_lines
from crm_integration.cli.opened import actor, house
from crm_integration.errors import BadInput, NotFound
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.sync import dead_letters as letters
from crm_integration.sync.dead_letter_edits import edit as change
from crm_integration.sync.dead_letter_story import tell
from crm_integration.sync.dead_letters import Filter, Preview
from crm_integration.sync.path import House
from crm_integration.tenancy.connections import crm_connection

dead_letters = typer.Typer(
    help="Writes that were given up: list, show, edit, redrive.", no_args_is_help=True
)

Tenant = Annotated[str, typer.Argument(help="The merchant.")]
ObjectId = Annotated[UUID, typer.Argument(help="From `dead-letters list`.")]
ObjectType = Annotated[
    str | None, typer.Option("--object", help="The object type, such as contact.")
]
Reason = Annotated[str | None, typer.Option("--reason", help="A part of the reason.")]
Json = Annotated[bool, typer.Option("--json", help="One JSON document.")]


@dead_letters.command("list")
def listed(
    tenant: Tenant,
    object_type: ObjectType = None,
    reason: Reason = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many lines.")] = 100,
    as_json: Json = False,
) -> None:
    """The longest dead first; ids and reasons, nothing personal."""
    with house().engines.tenancy.scope(tenant) as scope:
        connection_id = crm_connection(scope).connection_id
        wanted = Filter(object_type, reason=reason)
        found = letters.dead_letters(scope, connection_id, wanted, limit=limit)
    if as_json:
        _document([asdict(one) for one in found])
        return
    for one in found:
        print(letter_line(one))


@dead_letters.command("show")
def show(
    tenant: Tenant, object_id: ObjectId, object_type: ObjectType = None, as_json: Json = False
) -> None:
    """One dead letter from payload to answer, and what to do. Shows personal data (audited)."""
    opened = house()
    mappings = _mappings(opened, tenant)
    with opened.engines.tenancy.scope(tenant) as scope:
        connection_id = crm_connection(scope).connection_id
        letter = letters.dead_letter(scope, connection_id, Filter(object_type, object_id))
        entity = mappings[letter.object_type].entity
        story = tell(scope, connection_id, letter, entity, by=actor())
    if as_json:
        _document(asdict(story))
        return
    for line in story_lines(story):
        print(line)


@dead_letters.command("edit")
def edit(
    tenant: Tenant,
    object_id: ObjectId,
    assignments: Annotated[list[str], typer.Option("--set", help="FIELD=VALUE; may be repeated.")],
    reason: Annotated[str, typer.Option(help="Why; kept for ever, so name no person.")],
    object_type: ObjectType = None,
) -> None:
    """Change what a dead letter would write (audited); it stays dead until it is redriven.

    The edit stands until the store says something new about the object.
    """
    changes = dict(_assignment(one) for one in assignments)
    opened = house()
    mappings = _mappings(opened, tenant)
    with opened.engines.tenancy.scope(tenant) as scope:
        connection_id = crm_connection(scope).connection_id
        letter = letters.dead_letter(scope, connection_id, Filter(object_type, object_id))
        mapping = mappings[letter.object_type]
        changed = change(
            scope, connection_id, mapping, letter, changes, by=actor(), reason=reason
        )  # fmt: skip
    print(
        f"{tenant}: {letter.object_type} {object_id}: {', '.join(changed)} changed; send it with: "
        f"crm-integration dead-letters redrive {tenant} {object_id}"
    )


@dead_letters.command("redrive")
def redrive(
    tenant: Tenant,
    object_id: Annotated[UUID | None, typer.Argument(help="One; or choose by options.")] = None,
    object_type: ObjectType = None,
    reason: Reason = None,
    code: Annotated[str | None, typer.Option(help="The CRM's own word for the error.")] = None,
    before: Annotated[
        datetime | None, typer.Option(help="Given up before this time (UTC).")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All of this merchant.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do it without asking.")] = False,
    as_json: Json = False,
) -> None:
    """Let dead letters be sent again by the next run (audited); shows first what would be sent.

    Asks before it does it; with --json and without --yes it only shows.
    """
    when = None if before is None else before.replace(tzinfo=before.tzinfo or UTC)
    wanted = Filter(object_type, object_id, reason, code, when)
    if wanted == Filter() and not everything:
        raise BadInput("say which: an id, --object, --reason, --code, --before, or --all")
    opened = house()
    with opened.engines.tenancy.scope(tenant) as scope:
        connection_id = crm_connection(scope).connection_id
        shown = letters.preview(scope, connection_id, wanted)
    if not shown.letters:
        raise NotFound(
            f"no dead letter of {tenant} is like that: nothing to redrive; see: "
            f"crm-integration dead-letters list {tenant}"
        )
    if not as_json:
        for line in preview_lines(tenant, shown):
            print(line)
    if as_json and not yes:
        _document({**_previewed(shown), "redriven": 0})
        return
    if not yes:
        typer.confirm(f"Send {len(shown.letters)} again?", abort=True, err=True)
    with opened.engines.tenancy.scope(tenant) as scope:
        moved = letters.redrive(scope, connection_id, shown.letters, by=actor())
    if as_json:
        _document({**_previewed(shown), "redriven": moved})
        return
    print(f"{tenant}: {moved} to be sent again; the next run sends them")


def _mappings(opened: House, tenant: str) -> dict[str, CompiledMapping]:
    return compiled_mappings(opened.mappings, opened.config(tenant))


def _assignment(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise BadInput("--set takes FIELD=VALUE, such as --set email=ada@example.com")
    return name.strip(), value


def _previewed(shown: Preview) -> dict[str, Any]:
    return {
        "letters": len(shown.letters),
        "counts": [
            {"object_type": object_type, "reason": reason, "letters": number}
            for (object_type, reason), number in shown.counts.items()
        ],
        "first": shown.first,
        "held": shown.held,
    }


def _document(found: Any) -> None:
    print(orjson.dumps(found, default=str, option=orjson.OPT_INDENT_2).decode())
