"""`crm-integration identity`: who is one customer, and a person's word about it."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
import typer

from crm_integration.canonical.identity_actions import accept
from crm_integration.canonical.identity_actions import dismiss as dismissed
from crm_integration.canonical.identity_actions import split as take_back
from crm_integration.canonical.identity_list import merges, suggestions
from crm_integration.canonical.identity_suggestions import suggest as find
from crm_integration.cli.opened import actor, house
from crm_integration.errors import BadInput
from crm_integration.mapping.tenant_file import tenant_config

identity = typer.Typer(
    help="One customer or two: merges, suggestions, and what a person decides about them.",
    no_args_is_help=True,
)

Tenant = Annotated[str, typer.Option("--tenant", help="The merchant.")]
Suggestion = Annotated[int, typer.Argument(help="A suggestion's number, from `identity list`.")]
Reason = Annotated[str, typer.Option("--reason", help="Why; kept for ever, so name no person.")]
_STATES = ("open", "accepted", "dismissed")


@identity.command("list")
def listed(
    tenant: Tenant,
    state: Annotated[str, typer.Option(help="Suggestions: open, accepted or dismissed.")] = "open",
    limit: Annotated[int, typer.Option(min=1, help="Lines of each list.")] = 100,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Merges, the newest first, and suggestions, the most alike first."""
    if state not in _STATES:
        raise BadInput(f"no suggestion is {state!r}; choose one of: {', '.join(_STATES)}")
    with house().engines.tenancy.scope(tenant) as scope:
        found = {
            "merges": merges(scope, limit=limit),
            "suggestions": suggestions(scope, state=state, limit=limit),
        }
    if as_json:
        print(orjson.dumps(found, default=str).decode())
        return
    for one in found["merges"]:
        print(_merge_line(one))
    for one in found["suggestions"]:
        print(_suggestion_line(one))


@identity.command("split")
def split(
    tenant: Tenant,
    merge_id: Annotated[int, typer.Argument(help="A merge's number, from `identity list`.")],
    reason: Reason,
) -> None:
    """Undo one merge: who came by it is a customer of their own again, and stays one (audited)."""
    opened = house()
    stores = tenant_config(opened.mappings, tenant, crm=None).stores
    with opened.engines.tenancy.scope(tenant) as scope:
        moved = take_back(scope, merge_id, actor=actor(), reason=reason, stores=stores)
    print(f"{tenant}: merge {merge_id} is undone; the next run writes {len(moved)} customers")


@identity.command("merge")
def merge(tenant: Tenant, suggestion_id: Suggestion) -> None:
    """Accept a suggestion: the two are one customer from now on (audited)."""
    opened = house()
    stores = tenant_config(opened.mappings, tenant, crm=None).stores
    with opened.engines.tenancy.scope(tenant) as scope:
        accept(scope, suggestion_id, actor=actor(), stores=stores)
    print(f"{tenant}: suggestion {suggestion_id} is accepted; the next run writes one customer")


@identity.command("dismiss")
def dismiss(tenant: Tenant, suggestion_id: Suggestion, reason: Reason) -> None:
    """Decline a suggestion: the two stay two and are not suggested again (audited)."""
    with house().engines.tenancy.scope(tenant) as scope:
        dismissed(scope, suggestion_id, actor=actor(), reason=reason)
    print(f"{tenant}: suggestion {suggestion_id} is dismissed")


@identity.command("suggest")
def suggest(tenant: Tenant) -> None:
    """Compare the customers that changed since the last time; merges nobody."""
    done = find(house().engines.tenancy, tenant)
    print(
        f"{tenant}: {done.customers} customers looked at, {done.pairs} pairs compared, "
        f"{done.suggestions} suggestions are new"
    )


def _merge_line(one: dict[str, Any]) -> str:
    undone = f"; undone by {one['undone_by']}" if one["undone_at"] else ""
    return (
        f"merge {one['merge_id']}: {one['loser']} into {one['winner']} by {one['rule']} "
        f"at {one['merged_at']:%Y-%m-%d %H:%M} UTC{undone}"
    )


def _suggestion_line(one: dict[str, Any]) -> str:
    return (
        f"suggestion {one['suggestion_id']} ({one['state']}): {one['left_customer']} and "
        f"{one['right_customer']} by {one['rule']}, score {one['score']}: "
        f"{', '.join(one['reasons'])}"
    )
