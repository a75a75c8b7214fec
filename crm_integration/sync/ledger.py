"""The ledger: what each CRM object should be, what is being sent, and what was written.

Prevents the three quiet failures of syncing: a fingerprint saved before the write (the row is
skipped for ever), an answer that comes back after someone else took over (it counts only under
its claim), and a newer version that is lost while an older one is in flight (the row is pending
again).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Select,
    Text,
    Update,
    Uuid,
    all_,
    and_,
    any_,
    bindparam,
    case,
    exists,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY

from crm_integration.crms._contract import FieldValue
from crm_integration.errors import RemoteError
from crm_integration.quality.holds import none_open
from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.sync import IS_LOOSE, ledger
from crm_integration.sync.orphaned_claims import claim_id_of
from crm_integration.sync.standing import LOOSE
from crm_integration.sync.transitions import State, check
from crm_integration.tenancy.scope import TenantScope

CLAIM_SECONDS = 120
"""More than twice the longest request (transport/http.py: 30 s)."""

TABLE = "ledger"


@dataclass(frozen=True)
class Desired:
    """What a CRM object should hold, and which objects it belongs to."""

    fields: dict[str, FieldValue] = field(repr=False)
    match: str | None = field(repr=False)
    links: tuple[tuple[str, UUID], ...]

    def encoded(self) -> bytes:
        """Stable JSON: equal desires are equal bytes."""
        links = [[object_type, str(identifier)] for object_type, identifier in self.links]
        return orjson.dumps(
            {"fields": self.fields, "match": self.match, "links": links},
            option=orjson.OPT_SORT_KEYS,
        )

    @classmethod
    def decoded(cls, encoded: bytes) -> Desired:
        """What `encoded` wrote."""
        raw = orjson.loads(encoded)
        links = tuple((object_type, UUID(identifier)) for object_type, identifier in raw["links"])
        return cls(raw["fields"], raw["match"], links)


@dataclass(frozen=True)
class Claimed:
    """A row this process may send until its claim expires.

    `unclear` is what earlier tries sent whose answers never came: any of it may stand in the CRM.
    """

    object_id: UUID
    claim_id: UUID
    desired: Desired
    source_time: datetime
    tries: int
    associated: tuple[UUID, ...]
    mapping_id: str
    raw_id: int
    written_before: bool
    unclear: tuple[Desired, ...] = ()


@dataclass(frozen=True)
class Settled:
    """What became of a claimed row."""

    object_id: UUID
    claim_id: UUID
    state: State
    reason: str | None = None
    delay: float = 0.0
    associated: tuple[UUID, ...] = ()
    error: RemoteError | None = None
    """Why the record could not be tied to those it belongs to."""


def row_name(connection_id: str, object_type: str, object_id: UUID) -> str:
    """What sealed bytes of a ledger row, a binding or an attempt are bound to."""
    return f"{connection_id}/{object_type}/{object_id}"


def is_one_of(*states: State) -> ColumnElement[bool]:
    """Rows in one of these states, which are written out: the planner sees which partial index
    serves, and nothing is rendered anew for each execution."""
    return ledger.c.state.in_([literal_column(f"'{one.value}'", Text) for one in states])


def are_due(*, mapped: bool) -> tuple[ColumnElement[bool], ...]:
    """As `due`, in a statement that is executed with `rules`, and with `rules_of_mapping` if
    `mapped`."""
    by_mapping = ledger.c.mapping_digest == bindparam("rules_of_mapping")
    return (
        is_one_of(State.pending, State.retry),
        ledger.c.next_try_at <= func.clock_timestamp(),
        ledger.c.rules_version == bindparam("rules"),
        *([by_mapping] if mapped else []),
        none_open(ledger.c.tenant_id, ledger.c.object_type),
    )


def due(rules_version: str, *, within: float = 0.0) -> ColumnElement[bool]:
    """Rows that may be claimed `within` seconds: they passed the rules that count now, their time
    has come by then, and no hold is open."""
    soon = func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, within)
    return and_(
        is_one_of(State.pending, State.retry),
        ledger.c.next_try_at <= soon,
        ledger.c.rules_version == rules_version,
        none_open(ledger.c.tenant_id, ledger.c.object_type),
    )


def within(among: Sequence[UUID] | None) -> ColumnElement[bool]:
    """Rows of these objects; all where none are given."""
    if among is None:
        return true()
    return ledger.c.object_id == func.any(literal(list(among), ARRAY(Uuid)))


def any_due(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    rules_version: str,
    mapped_by: str,
    *,
    among: Sequence[UUID] | None = None,
) -> bool:
    """Whether `claim` would find a row."""
    asked = {**place_of(scope, connection_id, object_type), "among": list(among or ())}
    asked |= {"rules": rules_version, "rules_of_mapping": mapped_by}
    return bool(scope.connection.scalar(_any_due(among=among is not None), asked))


@lru_cache(maxsize=2)
def _any_due(*, among: bool) -> Select[Any]:
    these = ledger.c.object_id == any_(bindparam("among", type_=ARRAY(Uuid)))
    found = exists().where(*ROWS, *are_due(mapped=True), *([these] if among else []))
    return select(found)


def claim(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    rules_version: str,
    limit: int,
    *,
    among: Sequence[UUID] | None = None,
    mapped_by: str | None = None,
    run_id: str = "",
) -> list[Claimed]:
    """Take up to `limit` due rows for sending; others skip them until the claim expires.

    With `among` only rows of those objects. With `mapped_by` only what was made by the mapping
    that decides field by field: who still works by an older version would find nothing to write of
    the newer one's fields, and call them written. `run_id`: whose claims they are, if it is lost.
    """
    claim_id = claim_id_of(run_id)
    asked = {**place_of(scope, connection_id, object_type), "rules": rules_version, "most": limit}
    asked |= {"rules_of_mapping": mapped_by, "among": list(among or ()), "claimed_by": claim_id}
    statement = _claiming(among=among is not None, mapped=mapped_by is not None)
    rows = scope.connection.execute(statement, asked).all()
    claimed = [_claimed(scope, connection_id, object_type, claim_id, row) for row in rows]
    # What happened first is written first; the statement returns them in no order.
    return sorted(claimed, key=lambda one: (one.source_time, str(one.object_id)))


@lru_cache(maxsize=4)
def _claiming(*, among: bool, mapped: bool) -> Executable:
    check(State.retry, State.pending)
    check(State.pending, State.in_flight)
    these = ledger.c.object_id == any_(bindparam("among", type_=ARRAY(Uuid)))
    wanted: Select[Any, Any] = (
        select(ledger.c.object_id, ledger.c.sending.label("before"))
        .where(*ROWS, *are_due(mapped=mapped), *([these] if among else []))
        .order_by(ledger.c.next_try_at, ledger.c.object_id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )
    # As a plain sub-select it may be run once per row of the ledger: the limit would not hold.
    chosen = wanted.cte("chosen").prefix_with("MATERIALIZED")
    return (
        update(ledger)
        .where(*ROWS, ledger.c.object_id == chosen.c.object_id)
        .values(_taken())
        .returning(
            ledger.c.object_id,
            ledger.c.sending,
            ledger.c.source_time,
            ledger.c.tries,
            ledger.c.associated,
            ledger.c.mapping_id,
            ledger.c.raw_id,
            ledger.c.written_digest.is_not(None).label("written_before"),
            ledger.c.unclear,
            chosen.c.before,
        )
    )


def _taken() -> dict[str, Any]:
    """New values of a claimed row: what is desired is what is being sent."""
    lost = and_(ledger.c.sending.is_not(None), ledger.c.sending != all_(ledger.c.unclear))
    return {
        "state": State.in_flight.value,
        "sending": ledger.c.desired,
        "sending_digest": ledger.c.desired_digest,
        "sending_mapping_id": ledger.c.mapping_id,
        "sending_raw_id": ledger.c.raw_id,
        # A try whose answer was lost is remembered until one succeeds, whatever the tries in
        # between come to: else its values would pass for a person's.
        "unclear": case(
            (lost, func.array_append(ledger.c.unclear, ledger.c.sending)), else_=ledger.c.unclear
        ),
        "claim_id": bindparam("claimed_by", type_=Uuid),
        "claim_expires_at": func.clock_timestamp()
        + func.make_interval(0, 0, 0, 0, 0, 0, CLAIM_SECONDS),
        "tries": ledger.c.tries + 1,
        "reason": None,
        "waiting_since": None,
    }


def _claimed(
    scope: TenantScope, connection_id: str, object_type: str, claim_id: UUID, row: Any
) -> Claimed:
    name = row_name(connection_id, object_type, row.object_id)

    def opened(sealed: bytes) -> Desired:
        return Desired.decoded(scope.keys.open(TABLE, name, sealed))

    return Claimed(
        object_id=row.object_id,
        claim_id=claim_id,
        desired=opened(row.sending),
        source_time=row.source_time,
        tries=row.tries,
        associated=tuple(row.associated),
        mapping_id=row.mapping_id,
        raw_id=row.raw_id,
        written_before=row.written_before,
        unclear=unclear_sends(opened, row.unclear, row.before),
    )


def unclear_sends(
    opened: Callable[[bytes], Desired], earlier: Sequence[bytes], last: bytes | None
) -> tuple[Desired, ...]:
    """What may stand in the CRM, from a row's `unclear` and its `sending` before this claim."""
    return tuple(opened(one) for one in (*earlier, *([] if last is None else [last])))


def settle(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    results: Iterable[Settled],
    *,
    run_id: str,
) -> dict[UUID, str]:
    """Write the outcomes of claimed rows; an answer whose claim has passed on counts nothing.

    Returns the objects whose answers counted, with the state they are in now (`LOOSE` where a
    written row lacks something).
    """
    names = ("object_id", "claim_id", "state", "reason", "tries", "associated")
    rows = hand(scope.connection, "came", ledger, names, (_settled_row(one) for one in results))
    said = {**place_of(scope, connection_id, object_type), "run": run_id}
    counted = scope.connection.execute(_settling(rows.source), {**said, **rows.values})
    return {row.object_id: LOOSE if row.loose else row.state for row in counted}


@lru_cache(maxsize=16)
def _settling(came: FromClause) -> Executable:
    return (
        update(ledger)
        .where(
            *ROWS,
            ledger.c.object_id == came.c.object_id,
            ledger.c.claim_id == came.c.claim_id,
            ledger.c.state == State.in_flight.value,
        )
        .values(**_outcome(came))
        .returning(ledger.c.object_id, ledger.c.state, IS_LOOSE.label("loose"))
    )


def _outcome(staged: FromClause) -> dict[str, Any]:
    """New values of claimed rows; what a newer desire has overtaken is pending again."""
    synced = staged.c.state == State.synced.value
    unknown = staged.c.state == State.unknown.value
    stands = ledger.c.desired_digest == ledger.c.sending_digest
    pause = func.make_interval(0, 0, 0, 0, 0, 0, staged.c.tries / 1000.0)
    written = {
        "written_digest": ledger.c.sending_digest,
        "written_at": func.clock_timestamp(),
        "written_mapping_id": ledger.c.sending_mapping_id,
        "written_raw_id": ledger.c.sending_raw_id,
        "written_run_id": bindparam("run", type_=Text),
    }
    return {
        "state": case((or_(stands, unknown), staged.c.state), else_=State.pending.value),
        "reason": staged.c.reason,
        "associated": staged.c.associated,
        "tries": case((synced, 0), else_=ledger.c.tries),
        "next_try_at": func.clock_timestamp() + pause,
        "sending": case((unknown, ledger.c.sending)),
        "unclear": case((synced, literal([], ledger.c.unclear.type)), else_=ledger.c.unclear),
        "claim_id": None,
        "claim_expires_at": None,
        "waiting_since": case((staged.c.state == State.parked.value, func.clock_timestamp())),
        **{name: case((synced, value), else_=ledger.c[name]) for name, value in written.items()},
    }


def _settled_row(one: Settled) -> tuple[Any, ...]:
    check(State.in_flight, one.state)
    # The delay travels as milliseconds in an integer column of the staging table.
    milliseconds = int(one.delay * 1000)
    return (
        one.object_id,
        one.claim_id,
        one.state.value,
        one.reason,
        milliseconds,
        list(one.associated),
    )


ROWS = (
    ledger.c.tenant_id == bindparam("tenant"),
    ledger.c.connection_id == bindparam("connection"),
    ledger.c.object_type == bindparam("of_type"),
)
"""Rows of one object type, in a statement that is executed with `place_of`."""


def place_of(scope: TenantScope, connection_id: str, object_type: str) -> dict[str, Any]:
    """Whose rows `ROWS` are."""
    return {"tenant": scope.tenant, "connection": connection_id, "of_type": object_type}


@dataclass(frozen=True)
class Move:
    """A move of rows between two states, as a statement that is built once."""

    before: State
    after: State
    statement: Update


def moving(
    before: State,
    after: State,
    *where: ColumnElement[bool],
    reason: str | None = None,
    still_waiting: bool = False,
) -> Move:
    """The move of all rows in state `before` that meet `where`.

    With `still_waiting` it is remembered since when they wait.
    """
    check(before, after)
    waiting: Any = func.clock_timestamp() if after in (State.parked, State.held) else None
    if still_waiting:
        waiting = ledger.c.waiting_since
    statement = (
        update(ledger)
        .where(*ROWS, ledger.c.state == before.value, *where)
        .values(
            state=after.value,
            reason=reason,
            waiting_since=waiting,
            next_try_at=func.clock_timestamp(),
        )
    )
    return Move(before, after, statement)


def move(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    before: State,
    after: State,
    *where: ColumnElement[bool],
    reason: str | None = None,
) -> int:
    """Move all rows in state `before` that meet `where`; returns how many."""
    one = moving(before, after, *where, reason=reason)
    place = place_of(scope, connection_id, object_type)
    return scope.connection.execute(one.statement, place).rowcount
