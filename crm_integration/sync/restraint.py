"""How many records may be rewritten within a day before a person looks.

Prevents the mistake that is noticed by the merchant: above the limit, records that would be
rewritten wait with their differences, while new records, moving values and opt-outs go on. Both
drivers count together, under one lock for each object type.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    literal_column,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from crm_integration.quality.holds import BLAST_RADIUS, open_hold, open_holds, release
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.sync import bindings, held_changes, ledger, rewritten
from crm_integration.sync.blast_radius import Rewrites
from crm_integration.sync.ledger import move, row_name
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

WAITS = "would rewrite what stands in the CRM: a person must look"
"""Reason of a row that waits for an approval."""

RECORDS, SHARE = 50, 0.10
"""Above the larger of the two a hold opens: 50 records, or a tenth of those that are bound."""

ROLLING = timedelta(hours=24)

_TABLE = "held_changes"


@dataclass(frozen=True)
class Limit:
    """How many records of a type may be rewritten in a day."""

    records: int = RECORDS
    share: float = SHARE

    def of(self, bound: int) -> int:
        """The limit where so many records of the type are bound."""
        return max(self.records, int(self.share * bound))


@dataclass(frozen=True)
class Place:
    """One object type of one CRM connection, as one mapping version writes it."""

    connection_id: str
    object_type: str
    mapping_id: str


def restrain(
    scope: TenantScope, place: Place, found: Sequence[Rewrites], limit: Limit
) -> frozenset[UUID]:
    """The objects that must wait; the others are counted as rewritten now.

    A lifecycle stage never goes back unseen. Opens a hold for what waits, or brings it up to date.
    """
    _lock(scope, place)
    digests = {one.object_id: scope.keys.digest("changes", one.encoded()) for one in found}
    approved = _approved(scope, place, digests)
    asked = [one for one in found if one.object_id not in approved]
    over = _restrained(scope, place) or _exceeds(scope, place, asked, limit)
    waiting = [one for one in asked if over or one.steps_back]
    _keep(scope, place, waiting, digests)
    held = frozenset(one.object_id for one in waiting)
    _count(scope, place, [one.object_id for one in asked if one.object_id not in held])
    if waiting:
        _hold(scope, place, over=over)
    return held


def hold_rows(scope: TenantScope, place: Place, object_ids: Sequence[UUID]) -> None:
    """Rows that were sent as far as they may be: the rest of them waits."""
    if object_ids:
        where = (scope, place.connection_id, place.object_type)
        chosen = ledger.c.object_id.in_(object_ids)
        # A newer desire, or a try that went wrong, is not what was held.
        stands = ledger.c.desired_digest == ledger.c.sending_digest
        told = ledger.c.reason == WAITS
        move(*where, State.pending, State.held, chosen, stands, told, reason=WAITS)


def forget(scope: TenantScope, place: Place, object_ids: Sequence[UUID]) -> None:
    """What was written waits for nobody any more."""
    where = {"tenant": scope.tenant, "connection": place.connection_id}
    ids = {"of_type": place.object_type, "ids": list(object_ids)}
    if object_ids:
        scope.connection.execute(_FORGET, {**where, **ids})


_FORGET = delete(held_changes).where(
    held_changes.c.tenant_id == bindparam("tenant"),
    held_changes.c.connection_id == bindparam("connection"),
    held_changes.c.object_type == bindparam("of_type"),
    held_changes.c.object_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
)


def let_go(scope: TenantScope, connection_id: str, object_type: str) -> None:
    """Rows whose desire changed, or whose differences were approved, are tried again; a hold that
    keeps nothing back any more ends."""
    where = (scope, connection_id, object_type)
    waits = ledger.c.reason == WAITS
    changed = ledger.c.desired_digest.is_distinct_from(ledger.c.sending_digest)
    move(*where, State.held, State.pending, waits, or_(changed, ~_unapproved(scope)))
    left = waiting_for_approval(scope, connection_id).get(object_type)
    if not left and _is_open(scope, object_type):
        release(scope, object_type, BLAST_RADIUS, by="check")


def waiting_for_approval(scope: TenantScope, connection_id: str) -> dict[str, int]:
    """Object type -> records that wait for somebody who looks."""
    rows = scope.connection.execute(
        select(ledger.c.object_type, func.count())
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.state == literal_column("'held'"),
            ledger.c.reason == WAITS,
        )
        .group_by(ledger.c.object_type)
    )
    return {object_type: records for object_type, records in rows}


def _unapproved(scope: TenantScope) -> ColumnElement[bool]:
    now = func.clock_timestamp()
    return (
        select(held_changes.c.object_id)
        .where(
            held_changes.c.tenant_id == scope.tenant,
            held_changes.c.connection_id == ledger.c.connection_id,
            held_changes.c.object_type == ledger.c.object_type,
            held_changes.c.object_id == ledger.c.object_id,
            or_(held_changes.c.approved_until.is_(None), held_changes.c.approved_until <= now),
        )
        .exists()
    )


def _lock(scope: TenantScope, place: Place) -> None:
    """Two drivers that both count what the other is about to write would each stay below."""
    named = f"{place.connection_id}/{place.object_type}".encode()
    number = int.from_bytes(scope.keys.digest("restraint", named)[:8], "big", signed=True)
    scope.connection.execute(select(func.pg_advisory_xact_lock(number)))


def _approved(scope: TenantScope, place: Place, digests: dict[UUID, bytes]) -> set[UUID]:
    """Objects whose differences are exactly those that a person approved."""
    if not digests:
        return set()
    asked = stage(scope.connection, held_changes, ("object_id", "digest"), digests.items())
    rows = scope.connection.execute(
        select(held_changes.c.object_id).join_from(
            asked,
            held_changes,
            (held_changes.c.tenant_id == scope.tenant)
            & (held_changes.c.connection_id == place.connection_id)
            & (held_changes.c.object_type == place.object_type)
            & (held_changes.c.object_id == asked.c.object_id)
            & (held_changes.c.digest == asked.c.digest)
            & (held_changes.c.approved_until > func.clock_timestamp()),
        )
    )
    return {row.object_id for row in rows}


def _is_open(scope: TenantScope, object_type: str) -> bool:
    return any(one.check_name == BLAST_RADIUS for one in open_holds(scope).get(object_type, ()))


def _restrained(scope: TenantScope, place: Place) -> bool:
    """The limit was passed before, and nobody has looked: everything more waits as well.

    A hold for single steps back leaves the rest alone.
    """
    found = [
        one
        for one in open_holds(scope).get(place.object_type, ())
        if one.check_name == BLAST_RADIUS and not one.reason.startswith(_STEP_BACK)
    ]
    return bool(found)


def _exceeds(scope: TenantScope, place: Place, asked: Sequence[Rewrites], limit: Limit) -> bool:
    """Whether these and what was rewritten within a day are more than may be."""
    recent = scope.connection.execute(
        select(rewritten.c.object_id).where(
            *_counted(scope, place), rewritten.c.at > func.clock_timestamp() - ROLLING
        )
    ).scalars()
    together = {one.object_id for one in asked} | set(recent)
    if len(together) <= limit.records:
        return False
    bound = scope.connection.scalar(
        select(func.count()).where(
            bindings.c.tenant_id == scope.tenant,
            bindings.c.connection_id == place.connection_id,
            bindings.c.object_type == place.object_type,
        )
    )
    return len(together) > limit.of(bound or 0)


def _counted(scope: TenantScope, place: Place) -> tuple[ColumnElement[bool], ...]:
    return (
        rewritten.c.tenant_id == scope.tenant,
        rewritten.c.connection_id == place.connection_id,
        rewritten.c.object_type == place.object_type,
        rewritten.c.mapping_id == place.mapping_id,
    )


def _count(scope: TenantScope, place: Place, object_ids: Sequence[UUID]) -> None:
    if not object_ids:
        return
    row = (scope.tenant, place.connection_id, place.object_type, place.mapping_id)
    names = ("tenant_id", "connection_id", "object_type", "mapping_id", "object_id")
    staged = stage(scope.connection, rewritten, names, [(*row, one) for one in object_ids])
    statement = insert(rewritten).from_select(names, select(*(staged.c[name] for name in names)))
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(rewritten.primary_key.columns),
            set_={"at": func.clock_timestamp()},
        )
    )


def _keep(
    scope: TenantScope, place: Place, waiting: Sequence[Rewrites], digests: dict[UUID, bytes]
) -> None:
    """Their differences, for the person who looks; other ones than were approved ask anew."""
    if not waiting:
        return
    names = (
        *("tenant_id", "connection_id", "object_type", "object_id"),
        *("digest", "changes", "mapping_id"),
    )
    rows = (
        (
            *(scope.tenant, place.connection_id, place.object_type, one.object_id),
            digests[one.object_id],
            scope.keys.seal(_TABLE, held_row(place, one.object_id), one.encoded()),
            place.mapping_id,
        )
        for one in waiting
    )
    staged = stage(scope.connection, held_changes, names, rows)
    statement = insert(held_changes).from_select(names, select(*(staged.c[name] for name in names)))
    new = statement.excluded
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(held_changes.primary_key.columns),
            set_={
                **{name: new[name] for name in ("digest", "changes", "mapping_id")},
                "held_at": func.clock_timestamp(),
                "approved_by": None,
                "approved_until": None,
            },
        )
    )


def held_row(place: Place, object_id: UUID) -> str:
    """What sealed differences are bound to."""
    return row_name(place.connection_id, place.object_type, object_id)


_STEP_BACK = "a lifecycle stage would go back"


def _hold(scope: TenantScope, place: Place, *, over: bool) -> None:
    records = scope.connection.scalar(
        select(func.count()).where(
            held_changes.c.tenant_id == scope.tenant,
            held_changes.c.connection_id == place.connection_id,
            held_changes.c.object_type == place.object_type,
        )
    )
    what = "more records would be rewritten within a day than may be" if over else _STEP_BACK
    open_hold(
        scope,
        place.object_type,
        BLAST_RADIUS,
        f"{what}, by {place.mapping_id}",
        f"look: crm-integration holds {scope.tenant} --differences {place.object_type}; then "
        "approve them, or take the mapping or the store's change back",
        int(records or 0),
    )
