"""Reading raw records back: the newest of each object in a window, with its parent.

Prevents a replay from ending at an old state: whatever window is re-derived, an object is read
at the newest of all its raw records, by the order of versions.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Integer,
    Select,
    Subquery,
    and_,
    bindparam,
    exists,
    false,
    func,
    lateral,
    not_,
    or_,
    select,
    true,
)

from crm_integration.intake.tombstones import OF_CONNECTION
from crm_integration.storage.bulk import Handed, hand
from crm_integration.storage.tables.intake import GONE, IS_GONE, raw_records
from crm_integration.tenancy.scope import TenantScope

CHUNK_BYTES = 8 * 1024 * 1024
"""Payloads opened at a time: 250 small orders are 1 MB, of 10,000 lines each they are gigabytes."""

_DIRECT = 3
"""Observation.direct of raw_records.py."""


@dataclass(frozen=True)
class RawRecord:
    """A raw record opened for reading; `parent` is the newest payload of its parent object."""

    raw_id: int
    source_id: str
    source_time: datetime
    observation: int
    parent_id: str | None
    flags: tuple[str, ...]
    shape: str
    payload: bytes = field(repr=False)
    parent: bytes | None = field(default=None, repr=False)
    parent_shape: str = ""
    stored: int = 0
    """Bytes of the payload as it is stored, its parent's with it."""
    was_gone: bool = False
    """Its object has a tombstone, whether it is back or not."""

    @property
    def is_gone(self) -> bool:
        """A tombstone: the object does not exist any more."""
        return GONE in self.flags


def underived(scope: TenantScope, connection_id: str) -> frozenset[str]:
    """Object types with a raw record that nobody has derived so far."""
    place = {"tenant": scope.tenant, "connection": connection_id}
    return frozenset(scope.connection.execute(_UNDERIVED, place).scalars())


def any_underived(scope: TenantScope) -> bool:
    """Whether the tenant has such a record, of whatever connection."""
    return bool(scope.connection.scalar(_ANY_UNDERIVED, {"tenant": scope.tenant}))


_ANY_UNDERIVED = select(
    exists().where(raw_records.c.tenant_id == bindparam("tenant"), raw_records.c.outcome.is_(None))
)
_UNDERIVED = (
    select(raw_records.c.object_type)
    .where(*OF_CONNECTION, raw_records.c.outcome.is_(None))
    .distinct()
)
_OF_TYPE = (*OF_CONNECTION, raw_records.c.object_type == bindparam("of_type"))


def newest_in_window(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    days: tuple[date, date],
    *,
    parent_type: str | None,
    after: str | None,
    limit: int,
) -> list[RawRecord]:
    """The newest raw record of each object that has one in `[start, end)`, or an underived one.

    Underived ones are taken whatever their day: a sweep today may bring what changed years ago.

    Objects come in the order of their source id, at most `limit` and hardly more than
    `CHUNK_BYTES`, behind `after`; `is_last` tells whether there are more. "Newest" is the order
    of versions: source time, then how it was seen, then our receipt order.
    """
    touched = _touched(further=after is not None)
    asked = {"first": days[0], "behind": days[1], "most": limit, "after": after}
    place = (scope, connection_id, object_type)
    return _read_newest(*place, Handed(touched, asked), parent_type, CHUNK_BYTES)


@lru_cache(maxsize=2)
def _touched(*, further: bool) -> Subquery:
    day = raw_records.c.day
    return (
        select(raw_records.c.source_id)
        .where(
            *_OF_TYPE,
            or_(
                and_(day >= bindparam("first"), day < bindparam("behind")),
                raw_records.c.outcome.is_(None),
            ),
            *([raw_records.c.source_id > bindparam("after")] if further else []),
        )
        .distinct()
        .order_by(raw_records.c.source_id)
        .limit(bindparam("most", type_=Integer))
        .subquery()
    )


def is_last(records: Sequence[RawRecord], limit: int) -> bool:
    """Whether `newest_in_window` with this limit has nothing behind these records."""
    return len(records) < limit and sum(one.stored for one in records) < CHUNK_BYTES


def newest_of(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    source_ids: Sequence[str],
    *,
    parent_type: str | None = None,
) -> list[RawRecord]:
    """The newest raw record of each of these objects, whatever its day."""
    ids = [(one,) for one in set(source_ids)]
    asked = hand(scope.connection, "asked", raw_records, ("source_id",), ids)
    return _read_newest(scope, connection_id, object_type, asked, parent_type)


def _read_newest(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    asked: Handed,
    parent_type: str | None,
    most_bytes: int | None = None,
    *,
    living: bool = False,
) -> list[RawRecord]:
    """`most_bytes`: a record is read only if those before it have fewer in all. A parent is
    counted with each of its children: rather too few in a chunk than an order of megabytes each.
    """
    statement = _newest_of(
        asked.source, parents=parent_type is not None, capped=most_bytes is not None, living=living
    )
    place = {"tenant": scope.tenant, "connection": connection_id, "of_type": object_type}
    also = {"of_parents": parent_type, "most_bytes": most_bytes}
    rows = scope.connection.execute(statement, {**place, **also, **asked.values}).all()
    parents = _parents(scope, connection_id, parent_type, {row.parent_id for row in rows})
    return [_opened(scope, row, parents.get(row.parent_id, (None, ""))) for row in rows]


@lru_cache(maxsize=16)
def _newest_of(asked: FromClause, *, parents: bool, capped: bool, living: bool) -> Select[Any]:
    own = _newest("of_type", asked.c.source_id, living=living)
    joined, size = asked.join(own, true()), func.octet_length(own.c.payload)
    if parents:
        parent = _newest("of_parents", own.c.parent_id, living=True)
        joined = joined.outerjoin(parent, true())
        size = size + func.coalesce(func.octet_length(parent.c.payload), 0)
    before = func.sum(size).over(order_by=own.c.source_id) - size
    found = (
        select(own.c.uid, *(own.c[name] for name in _READ), size.label("stored"))
        .add_columns(before.label("before"), _was_gone(own.c.source_id).label("was_gone"))
        .select_from(joined)
        .subquery()
    )
    statement = select(found).order_by(found.c.source_id)
    if capped:
        statement = statement.where(found.c.before < bindparam("most_bytes", type_=Integer))
    return statement


def _was_gone(source_id: ColumnElement[str]) -> ColumnElement[bool]:
    return (
        select(raw_records.c.raw_id)
        .where(*_OF_TYPE, raw_records.c.source_id == source_id, IS_GONE)
        .exists()
    )


def last_words_of(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    source_ids: Sequence[str],
    *,
    parent_type: str | None = None,
) -> list[RawRecord]:
    """The newest raw record in which each of these objects still existed."""
    ids = [(one,) for one in set(source_ids)]
    asked = hand(scope.connection, "asked", raw_records, ("source_id",), ids)
    return _read_newest(scope, connection_id, object_type, asked, parent_type, living=True)


def overtaken(
    scope: TenantScope, connection_id: str, object_type: str, newest: Sequence[RawRecord]
) -> Iterator[RawRecord]:
    """Raw records of these objects that a newer one replaced before anybody derived them.

    What they say about the present is out of date; what they say about a moment (a consent
    given and taken back) is not. They come as they were received, and hardly more than
    `CHUNK_BYTES` of them are in memory at a time: whoever keeps what they say, not them, may
    meet any number of versions of any size.
    """
    ids = [(one.source_id, one.raw_id) for one in newest]
    asked = hand(scope.connection, "asked", raw_records, ("source_id", "raw_id"), ids)
    place = {"tenant": scope.tenant, "connection": connection_id, "of_type": object_type}
    statement, after = _overtaken(asked.source), 0
    while True:
        said = {**place, **asked.values, "after": after, "most_bytes": CHUNK_BYTES}
        rows = scope.connection.execute(statement, said).all()
        yield from (_opened(scope, row, (None, "")) for row in rows)
        if sum(row.stored for row in rows) < CHUNK_BYTES:
            return
        after = rows[-1].raw_id


@lru_cache(maxsize=16)
def _overtaken(asked: FromClause) -> Select[Any]:
    """Those received behind `after`, each only if those before it have less than `CHUNK_BYTES`."""
    size = func.octet_length(raw_records.c.payload)
    before = func.sum(size).over(order_by=raw_records.c.raw_id) - size
    found = (
        select(raw_records.c.uid, *(raw_records.c[name] for name in _READ), size.label("stored"))
        .add_columns(before.label("before"), false().label("was_gone"))
        .join_from(asked, raw_records, raw_records.c.source_id == asked.c.source_id)
        .where(
            *_OF_TYPE,
            raw_records.c.raw_id != asked.c.raw_id,
            raw_records.c.raw_id > bindparam("after"),
            raw_records.c.outcome.is_(None),
            not_(IS_GONE),
        )
        .subquery()
    )
    fits = found.c.before < bindparam("most_bytes", type_=Integer)
    return select(found).where(fits).order_by(found.c.raw_id)


def _opened(scope: TenantScope, row: Any, parent: tuple[bytes | None, str]) -> RawRecord:
    return RawRecord(
        raw_id=row.raw_id,
        source_id=row.source_id,
        source_time=row.source_time,
        observation=row.observation,
        parent_id=row.parent_id,
        flags=tuple(row.flags),
        shape=row.shape,
        payload=_open(scope, row.uid, row.payload),
        parent=parent[0],
        parent_shape=parent[1],
        stored=row.stored,
        was_gone=row.was_gone,
    )


_READ = (
    *("raw_id", "source_id", "source_time", "observation", "parent_id", "flags", "shape"),
    "payload",
)


def _newest(type_name: str, source_id: Any, *, living: bool) -> Any:
    """Of the type whose name is given as `type_name`. `living`: a tombstone says nothing, whoever
    needs words takes the last ones."""
    return lateral(
        select(raw_records.c.uid, *(raw_records.c[name] for name in _READ))
        .where(
            *OF_CONNECTION,
            raw_records.c.object_type == bindparam(type_name),
            raw_records.c.source_id == source_id,
            *([not_(IS_GONE)] if living else []),
        )
        .order_by(
            raw_records.c.source_time.desc(),
            raw_records.c.observation.desc(),
            raw_records.c.raw_id.desc(),
        )
        .limit(1)
    )


def _parents(
    scope: TenantScope, connection_id: str, parent_type: str | None, ids: set[str | None]
) -> dict[str | None, tuple[bytes | None, str]]:
    wanted = [(identifier,) for identifier in ids if identifier is not None]
    if parent_type is None or not wanted:
        return {}
    asked = hand(scope.connection, "asked", raw_records, ("source_id",), wanted)
    place = {"tenant": scope.tenant, "connection": connection_id, "of_type": parent_type}
    rows = scope.connection.execute(_words_of(asked.source), {**place, **asked.values})
    return {row.source_id: (_open(scope, row.uid, row.payload), row.shape) for row in rows}


@lru_cache(maxsize=16)
def _words_of(asked: FromClause) -> Executable:
    newest = _newest("of_type", asked.c.source_id, living=True)
    return select(newest.c.source_id, newest.c.uid, newest.c.payload, newest.c.shape).join_from(
        asked, newest, true()
    )


def _open(scope: TenantScope, uid: UUID, sealed: bytes) -> bytes:
    return scope.keys.open("raw_records", str(uid), sealed)


def underived_days(scope: TenantScope, connection_id: str) -> set[date]:
    """Days of the raw records that wait to be derived."""
    rows = scope.connection.execute(
        select(raw_records.c.day)
        .distinct()
        .where(
            raw_records.c.tenant_id == scope.tenant,
            raw_records.c.connection_id == connection_id,
            raw_records.c.outcome.is_(None),
        )
    )
    return {row.day for row in rows}


def missing_parents(
    scope: TenantScope, connection_id: str, object_type: str, parent_type: str
) -> list[str]:
    """Ids of parents that raw records of `object_type` name and nobody has kept so far."""
    parents = raw_records.alias("parents")
    known = (
        select(parents.c.raw_id)
        .where(
            parents.c.tenant_id == scope.tenant,
            parents.c.connection_id == connection_id,
            parents.c.object_type == parent_type,
            parents.c.source_id == raw_records.c.parent_id,
        )
        .exists()
    )
    rows = scope.connection.execute(
        select(raw_records.c.parent_id)
        .distinct()
        .where(
            raw_records.c.tenant_id == scope.tenant,
            raw_records.c.connection_id == connection_id,
            raw_records.c.object_type == object_type,
            raw_records.c.parent_id.is_not(None),
            ~known,
        )
    )
    return [str(row.parent_id) for row in rows]


def still_doubtful(
    scope: TenantScope, connection_id: str, object_type: str, *, within: timedelta
) -> list[str]:
    """Ids whose newest raw record, received `within` this time, has the source time of an
    earlier one with other content, and was not read directly."""
    earlier, newer = raw_records.alias("earlier"), raw_records.alias("newer")

    def same_object(other: FromClause) -> list[Any]:
        names = ("tenant_id", "connection_id", "object_type", "source_id")
        return [other.c[name] == raw_records.c[name] for name in names]

    contradicted = (
        select(earlier.c.raw_id)
        .where(
            *same_object(earlier),
            earlier.c.raw_id < raw_records.c.raw_id,
            earlier.c.source_time == raw_records.c.source_time,
            earlier.c.digest != raw_records.c.digest,
            earlier.c.shape == raw_records.c.shape,
        )
        .exists()
    )
    replaced = (
        select(newer.c.raw_id)
        .where(*same_object(newer), newer.c.raw_id > raw_records.c.raw_id)
        .exists()
    )
    rows = scope.connection.execute(
        select(raw_records.c.source_id)
        .distinct()
        .where(
            raw_records.c.tenant_id == scope.tenant,
            raw_records.c.connection_id == connection_id,
            raw_records.c.object_type == object_type,
            raw_records.c.received_at > func.clock_timestamp() - within,
            raw_records.c.observation < _DIRECT,
            contradicted,
            ~replaced,
        )
    )
    return [row.source_id for row in rows]
