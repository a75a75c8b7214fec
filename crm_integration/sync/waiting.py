"""Rows that wait: for a record they belong to, for a hold to end, for a lost claim.

Prevents an order without its contact, a write into a hold, and a row that waits for ever: what
was waited for is looked at before every dispatch, set-based.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, any_, func, or_, select

from crm_integration.storage.tables.sync import IS_LOOSE, bindings, ledger
from crm_integration.sync.crm_merges import REASONS as MERGED_IN_CRM
from crm_integration.sync.ledger import move
from crm_integration.sync.restraint import WAITS, let_go
from crm_integration.sync.standing import EVERYTHING, LOOSE
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

DEPENDENCY = "waits for the record it belongs to"
HOLD = "a hold is open"
AMBIGUOUS = "several CRM records match"
ANOTHERS = "the matching CRM record belongs to another customer"
WITHOUT = "written without"
"""How the reason of a written row begins that lacks a field (`outcomes.left_out`)."""

LONGEST_WAIT = timedelta(days=1)
"""After this an object is written without the record it waited for."""

LOOK_AGAIN = timedelta(days=1)
"""So often a row that has no record, or lacks a field that another record holds, is looked at
anew: a person who merged two in the CRM, or corrected an address there, need tell nobody."""

_WILL_PROCEED = (State.pending, State.in_flight, State.retry, State.unknown, State.held)


def settle_waiting(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    *,
    held: bool,
    longest_wait: timedelta = LONGEST_WAIT,
    there: Iterable[str] = EVERYTHING,
) -> None:
    """Bring waiting rows of one object type up to date.

    `there` is what `standing` found of this type; what is not there costs no statement.
    """
    moved = _Moves((scope, connection_id, object_type), set(there))
    moved(State.in_flight, State.unknown, ledger.c.claim_expires_at < func.clock_timestamp())
    # The next claim looks for the record before it writes: adoption.py, by our own key.
    moved(State.unknown, State.pending)
    if held:
        moved(State.pending, State.held, reason=HOLD)
        return
    moved(State.held, State.pending, ledger.c.reason.is_distinct_from(WAITS))
    if State.held in moved.there:
        let_go(scope, connection_id, object_type)
        moved.there.add(State.pending)
    overdue = ledger.c.waiting_since < func.clock_timestamp() - longest_wait
    waiting = ledger.c.reason == DEPENDENCY
    moved(State.parked, State.pending, waiting, ~_must_wait(scope))
    moved(State.parked, State.pending, waiting, overdue, still_waiting=True)
    asked_long_ago = ledger.c.waiting_since < func.clock_timestamp() - LOOK_AGAIN
    no_record = ledger.c.reason.in_((AMBIGUOUS, ANOTHERS, *MERGED_IN_CRM))
    moved(State.parked, State.pending, no_record, asked_long_ago)
    fresh = or_(ledger.c.waiting_since.is_(None), ~overdue)
    moved(State.pending, State.parked, _must_wait(scope), fresh, reason=DEPENDENCY)
    if LOOSE in moved.there:
        moved.there.add(State.synced)
        lacking = ledger.c.reason.startswith(WITHOUT)
        written_long_ago = ledger.c.written_at < func.clock_timestamp() - LOOK_AGAIN
        more = or_(_can_be_associated(scope), and_(lacking, written_long_ago))
        moved(State.synced, State.pending, IS_LOOSE, more)


@dataclass
class _Moves:
    """Moves rows of one type, where there are any in that state."""

    place: tuple[TenantScope, str, str]
    there: set[str]

    def __call__(
        self,
        before: State,
        after: State,
        *where: ColumnElement[bool],
        reason: str | None = None,
        still_waiting: bool = False,
    ) -> None:
        if before in self.there and move(
            *self.place, before, after, *where, reason=reason, still_waiting=still_waiting
        ):
            self.there.add(after)


def _must_wait(scope: TenantScope) -> ColumnElement[bool]:
    """A record it belongs to has no binding, and is on its way or not known so far.

    A row with a CRM record of its own never waits: an opt-out must not wait for a company, and
    the two are tied later (`_can_be_associated`).
    """
    needed = ledger.alias("needed")
    bound = _bound(scope, needed.c.object_id)
    on_its_way = (
        select(needed.c.object_id)
        .where(
            needed.c.tenant_id == scope.tenant,
            needed.c.connection_id == ledger.c.connection_id,
            needed.c.object_id == any_(ledger.c.needs),
            needed.c.state.in_(_WILL_PROCEED),
            ~bound,
        )
        .correlate(ledger)
        .exists()
    )
    known = (
        select(func.count())
        .select_from(needed)
        .where(
            needed.c.tenant_id == scope.tenant,
            needed.c.connection_id == ledger.c.connection_id,
            needed.c.object_id == any_(ledger.c.needs),
        )
        .correlate(ledger)
        .scalar_subquery()
    )
    return and_(
        func.cardinality(ledger.c.needs) > 0,
        ~_bound(scope, ledger.c.object_id),
        or_(on_its_way, known < func.cardinality(ledger.c.needs)),
    )


def _bound(scope: TenantScope, object_id: ColumnElement[object]) -> ColumnElement[bool]:
    return (
        select(bindings.c.object_id)
        .where(
            bindings.c.tenant_id == scope.tenant,
            bindings.c.connection_id == ledger.c.connection_id,
            bindings.c.object_id == object_id,
        )
        .exists()
    )


def _can_be_associated(scope: TenantScope) -> ColumnElement[bool]:
    """Written without a record it belongs to, which is bound by now."""
    return (
        select(bindings.c.object_id)
        .where(
            bindings.c.tenant_id == scope.tenant,
            bindings.c.connection_id == ledger.c.connection_id,
            bindings.c.object_id == any_(ledger.c.needs),
            ~(bindings.c.object_id == any_(ledger.c.associated)),
        )
        .exists()
    )
