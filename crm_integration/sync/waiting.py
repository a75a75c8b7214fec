"""Rows that wait: for a record they belong to, for a hold to end, for a lost claim.

Prevents an order without its contact, a write into a hold, and a row that waits for ever: what
was waited for is looked at before every dispatch, set-based.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Interval,
    Text,
    and_,
    any_,
    bindparam,
    func,
    literal_column,
    or_,
    select,
)

from crm_integration.storage.tables.sync import IS_LOOSE, bindings, ledger
from crm_integration.sync.crm_merges import REASONS as MERGED_IN_CRM
from crm_integration.sync.ledger import Move, moving, place_of
from crm_integration.sync.restraint import WAITS, let_go
from crm_integration.sync.standing import EVERYTHING, LOOSE, NEEDS
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
    asked = {**place_of(scope, connection_id, object_type), "longest": longest_wait}
    rows = _Rows(scope, asked, set(there))
    rows.move(_LOST)
    rows.move(_LOOKED_FOR)
    if held:
        rows.move(_HELD)
        return
    rows.move(_FREE)
    if State.held in rows.there:
        let_go(scope, connection_id, object_type)
        rows.there.add(State.pending)
    rows.move(_BOUND)
    rows.move(_WAITED_ENOUGH)
    rows.move(_LOOKED_AT_AGAIN)
    if NEEDS in rows.there:
        rows.move(_WAITS_FOR_ANOTHER)
    if LOOSE in rows.there:
        rows.there.add(State.synced)
        rows.move(_TIED)


@dataclass
class _Rows:
    """Rows of one type; `there` are the states that some are in."""

    scope: TenantScope
    asked: Mapping[str, Any]
    there: set[str]

    def move(self, one: Move) -> None:
        """Move them, where there are any in that state."""
        if one.before not in self.there:
            return
        if self.scope.connection.execute(one.statement, self.asked).rowcount:
            self.there.add(one.after)


def _must_wait() -> ColumnElement[bool]:
    """A record it belongs to has no binding, and is on its way or not known so far.

    A row with a CRM record of its own never waits: an opt-out must not wait for a company, and
    the two are tied later (`_can_be_associated`).
    """
    needed = ledger.alias("needed")
    bound = _bound(needed.c.object_id)
    on_its_way = (
        select(needed.c.object_id)
        .where(
            needed.c.tenant_id == bindparam("tenant"),
            needed.c.connection_id == ledger.c.connection_id,
            needed.c.object_id == any_(ledger.c.needs),
            needed.c.state.in_([literal_column(f"'{one.value}'", Text) for one in _WILL_PROCEED]),
            ~bound,
        )
        .correlate(ledger)
        .exists()
    )
    known = (
        select(func.count())
        .select_from(needed)
        .where(
            needed.c.tenant_id == bindparam("tenant"),
            needed.c.connection_id == ledger.c.connection_id,
            needed.c.object_id == any_(ledger.c.needs),
        )
        .correlate(ledger)
        .scalar_subquery()
    )
    return and_(
        func.cardinality(ledger.c.needs) > 0,
        ~_bound(ledger.c.object_id),
        or_(on_its_way, known < func.cardinality(ledger.c.needs)),
    )


def _bound(object_id: ColumnElement[object]) -> ColumnElement[bool]:
    return (
        select(bindings.c.object_id)
        .where(
            bindings.c.tenant_id == bindparam("tenant"),
            bindings.c.connection_id == ledger.c.connection_id,
            bindings.c.object_id == object_id,
        )
        .exists()
    )


def _can_be_associated() -> ColumnElement[bool]:
    """Written without a record it belongs to, which is bound by now."""
    return (
        select(bindings.c.object_id)
        .where(
            bindings.c.tenant_id == bindparam("tenant"),
            bindings.c.connection_id == ledger.c.connection_id,
            bindings.c.object_id == any_(ledger.c.needs),
            ~(bindings.c.object_id == any_(ledger.c.associated)),
        )
        .exists()
    )


_OVERDUE = ledger.c.waiting_since < func.clock_timestamp() - bindparam("longest", type_=Interval)
_LONG_AGO = func.clock_timestamp() - LOOK_AGAIN
_WAITING = ledger.c.reason == DEPENDENCY
_NO_RECORD = ledger.c.reason.in_((AMBIGUOUS, ANOTHERS, *MERGED_IN_CRM))
_LACKING = and_(ledger.c.reason.startswith(WITHOUT), ledger.c.written_at < _LONG_AGO)

_LOST = moving(State.in_flight, State.unknown, ledger.c.claim_expires_at < func.clock_timestamp())
# The next claim looks for the record before it writes: adoption.py, by our own key.
_LOOKED_FOR = moving(State.unknown, State.pending)
_HELD = moving(State.pending, State.held, reason=HOLD)
_FREE = moving(State.held, State.pending, ledger.c.reason.is_distinct_from(WAITS))
_BOUND = moving(State.parked, State.pending, _WAITING, ~_must_wait())
_WAITED_ENOUGH = moving(State.parked, State.pending, _WAITING, _OVERDUE, still_waiting=True)
_LOOKED_AT_AGAIN = moving(
    State.parked, State.pending, _NO_RECORD, ledger.c.waiting_since < _LONG_AGO
)
_WAITS_FOR_ANOTHER = moving(
    *(State.pending, State.parked, _must_wait()),
    or_(ledger.c.waiting_since.is_(None), ~_OVERDUE),
    reason=DEPENDENCY,
)
_TIED = moving(State.synced, State.pending, IS_LOOSE, or_(_can_be_associated(), _LACKING))
