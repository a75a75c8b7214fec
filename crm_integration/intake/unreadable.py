"""Pages and elements of a listing, and deliveries, that nobody can read, told to people.

Prevents the record that nobody misses: what has no id cannot become a raw record, so it is kept
back under a name made of its listing and its bytes, until the same listing no longer brings it.
A delivery stays in the drop table and is told under its own id there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import select

from crm_integration.quality.quarantine import QuarantineEntry, keep_back, release_passed
from crm_integration.quality.row_checks import THE_ROW
from crm_integration.storage.tables.quality import quarantine
from crm_integration.stores._contract import Unreadable, Unsplittable
from crm_integration.tenancy.scope import TenantScope

NO_RAW_RECORD = 0
NO_RULES = ""
"""Rules never saw it."""

_FIX = "look at this list in the shop's REST API: a plugin adds to its answers, or a row is broken"


def keep_back_unreadable(
    scope: TenantScope,
    connection_id: str,
    listing: str,
    found: Sequence[Unsplittable],
    *,
    run_id: str,
) -> None:
    """Keep back what a page of this listing brought and nobody can read, with its reason."""
    entries = [
        QuarantineEntry(
            entity=one.object_type,
            source_id=_prefix(listing) + scope.keys.digest("raw", one.payload).hex()[:16],
            position=THE_ROW,
            rule=f"{one.object_type}.readable",
            raw_id=NO_RAW_RECORD,
            reason=f"{one.reason} in the list of {listing}",
            fix=_FIX,
        )
        for one in found
    ]
    keep_back(scope, connection_id, entries, rules_version=NO_RULES, run_id=run_id)


DELIVERY = "delivery"
"""Stands where an entity stands: what the delivery is about, nobody knows."""


@dataclass(frozen=True)
class BadDelivery:
    """A delivery in the drop table, and why it was not read."""

    drop_id: UUID
    problem: Unreadable


def keep_back_deliveries(
    scope: TenantScope, connection_id: str, found: Sequence[BadDelivery], *, run_id: str
) -> None:
    """Tell of deliveries that cannot be read."""
    entries = [
        QuarantineEntry(
            entity=DELIVERY,
            source_id=str(one.drop_id),
            position=THE_ROW,
            rule=f"{DELIVERY}.readable",
            raw_id=NO_RAW_RECORD,
            reason=f"{one.problem.reason} at {one.problem.field or '$'}",
            fix=one.problem.fix,
        )
        for one in found
    ]
    keep_back(scope, connection_id, entries, rules_version=NO_RULES, run_id=run_id)


def release_readable(
    scope: TenantScope, connection_id: str, object_type: str, listing: str, *, run_id: str
) -> int:
    """After this listing was read from its start to its end: release what it brought no more."""
    earlier = scope.connection.scalars(
        select(quarantine.c.source_id).where(
            quarantine.c.tenant_id == scope.tenant,
            quarantine.c.connection_id == connection_id,
            quarantine.c.entity == object_type,
            quarantine.c.source_id.startswith(_prefix(listing), autoescape=True),
            quarantine.c.released_at.is_(None),
            quarantine.c.run_id != run_id,
        )
    ).all()
    return release_passed(scope, connection_id, object_type, earlier, frozenset())


def _prefix(listing: str) -> str:
    return f"page:{listing}:"
