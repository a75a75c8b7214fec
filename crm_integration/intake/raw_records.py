"""Raw records: what a store said about one object at one time, kept before anything reads it.

Prevents the loss that no replay can mend: nothing is transformed before it is kept. Bytes are
sealed as they came (of what is too large only size and digest are kept, see `limits.py`); only a
repeat of the object's latest raw record (same source version, same bytes) is not kept again but
counted, so that A, B, A ends at A.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import IntEnum
from functools import lru_cache
from typing import Any
from uuid import uuid4

from sqlalchemy import (
    Executable,
    FromClause,
    Insert,
    Integer,
    Text,
    Update,
    bindparam,
    case,
    func,
    insert,
    lateral,
    or_,
    select,
    true,
    update,
)

from crm_integration.intake.limits import TOO_LARGE, admitted
from crm_integration.intake.tombstones import OF_CONNECTION, gone_since, has_tombstone
from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.tenancy import tenants
from crm_integration.stores._contract import SourceObject
from crm_integration.tenancy.scope import TenantScope

FUTURE_TOLERANCE = timedelta(minutes=5)
"""A source time later than receipt plus this counts as receipt (architecture, section 5)."""

CAME_BACK = "came_back"
"""Flag of a version that was read after its object had been gone: its time is that of the read."""

_TABLE = "raw_records"


class Observation(IntEnum):
    """How an object was seen; of two sights with one source time the higher is believed."""

    derived = 0
    """Found by us, such as a cart that nobody touches any more."""
    webhook = 1
    list = 2
    direct = 3


@dataclass(frozen=True)
class Kept:
    """What became of a batch. `doubtful` names objects whose source time is that of their latest
    raw record while the content differs: only a direct read can tell which one stands. `days`
    holds (object type, day) of what was kept. `news` are source times of versions that nobody had
    told about, None for an object that states none."""

    kept: int = 0
    suppressed: int = 0
    doubtful: tuple[tuple[str, str], ...] = ()
    days: frozenset[tuple[str, date]] = field(default=frozenset(), compare=False)
    news: tuple[datetime | None, ...] = field(default=(), compare=False)

    def __add__(self, other: Kept) -> Kept:
        return Kept(
            self.kept + other.kept,
            self.suppressed + other.suppressed,
            self.doubtful + other.doubtful,
            self.days | other.days,
            self.news + other.news,
        )


@dataclass(frozen=True)
class _Latest:
    raw_id: int
    source_time: datetime
    observation: int
    digest: bytes
    flags: Sequence[str]
    shape: str
    has_tombstone: bool = False
    """Its object was gone once, and may still be."""

    def says(self, source: SourceObject, when: datetime, observation: Observation) -> bool:
        """Whether `source` repeats this record: its version, and nothing more to be believed.

        A direct read that confirms what a listing said is kept: of two contents with one source
        time it is the one that stands.
        """
        if observation == Observation.direct > self.observation:
            return False
        timeless = source.source_time is None
        return timeless or when == self.source_time or "time_in_future" in self.flags

    def contradicts(self, when: datetime, shape: str, observation: Observation) -> bool:
        """Whether other bytes for this version leave open which one stands.

        A direct read is the answer itself, and two forms of one version differ by nature.
        """
        same_version = when == self.source_time and shape == self.shape
        return same_version and observation < Observation.direct


@dataclass
class _Sorted:
    """A batch, sorted into what is new and what the latest raw records said already."""

    fresh: list[tuple[Any, ...]] = field(default_factory=lambda: list[tuple[Any, ...]]())
    again: list[int] = field(default_factory=lambda: list[int]())
    doubtful: list[tuple[str, str]] = field(default_factory=lambda: list[tuple[str, str]]())
    news: list[datetime | None] = field(default_factory=lambda: list[datetime | None]())
    gone: dict[tuple[str, str], datetime] = field(
        default_factory=lambda: dict[tuple[str, str], datetime]()
    )
    """Objects that do not exist by all that is known, and since when."""


def keep(
    scope: TenantScope,
    connection_id: str,
    objects: Iterable[SourceObject],
    observation: Observation,
    *,
    run_id: str,
    shape: str = "",
) -> Kept:
    """Keep objects as raw records, in the order given.

    `shape` is the form of the payloads that name none of their own (the manifest's).
    """
    batch = [admitted(source, scope.keys) for source in objects]
    if not batch:
        return Kept()
    keys = {(source.object_type, source.source_id) for source, _ in batch}
    latest, days = _latest_of(scope, connection_id, keys)
    sorted_ = _Sorted(gone=_gone(scope, connection_id, latest))
    for source, marks in batch:
        _sort(scope, source, marks, source.shape or shape, observation, latest, days, sorted_)
    insert_records(scope, connection_id, sorted_.fresh, observation, run_id)
    _count_again(scope, sorted_.again)
    return Kept(
        len(sorted_.fresh),
        len(sorted_.again),
        tuple(sorted_.doubtful),
        frozenset((row[1], row[5]) for row in sorted_.fresh),
        tuple(sorted_.news),
    )


@dataclass(frozen=True)
class Days:
    """A raw record's day: of its source time where that can be believed, else of receipt.

    `first` is the tenant's start, `now` this moment by the database's clock.
    """

    first: date
    now: datetime

    def believed(self, source_time: datetime | None) -> tuple[datetime, bool]:
        """The time to keep, and whether the store's own lay in the future."""
        if source_time is None:
            return self.now, False
        if source_time > self.now + FUTURE_TOLERANCE:
            return self.now, True
        return source_time, False

    def of(self, source_time: datetime) -> date:
        """UTC day within [tenant start, receipt + 1 day], else the day of receipt."""
        day = source_time.date()
        if self.first <= day <= (self.now + timedelta(days=1)).date():
            return day
        return self.now.date()


def _sort(
    scope: TenantScope,
    source: SourceObject,
    marks: list[str],
    shape: str,
    observation: Observation,
    latest: dict[tuple[str, str], _Latest],
    days: Days,
    into: _Sorted,
) -> None:
    key = (source.object_type, source.source_id)
    digest = scope.keys.digest("raw", source.payload)
    when, future = days.believed(source.source_time)
    before, gone = latest.get(key), into.gone.get(key)
    if gone is not None and observation == Observation.direct:
        # It is there again, whatever time it states: its return is what happened last.
        del into.gone[key]
        if when <= gone:
            when, marks = max(days.now, gone + timedelta(microseconds=1)), [*marks, CAME_BACK]
        before = None
    elif gone is not None:
        into.doubtful.append(key)  # a late delivery, or its return: only a read can tell
    if before is not None and before.digest == digest:
        if not before.raw_id:
            return  # twice in one batch
        if before.says(source, when, observation):
            into.again.append(before.raw_id)
            return
    if before is not None and before.contradicts(when, shape, observation):
        into.doubtful.append(key)
    if before is None or before.source_time < when:
        into.news.append(when if source.source_time is not None else None)
    flags = [*marks, "time_in_future"] if future else marks
    latest[key] = _Latest(0, when, observation, digest, flags, shape)
    uid = uuid4()
    payload = b"" if TOO_LARGE in marks else source.payload
    sealed = scope.keys.seal(_TABLE, str(uid), payload)
    into.fresh.append(
        (uid, *key, source.parent_id, when, days.of(when), digest, sealed, shape, flags)
    )


def _latest_of(
    scope: TenantScope, connection_id: str, keys: Collection[tuple[str, str]]
) -> tuple[dict[tuple[str, str], _Latest], Days]:
    """The latest raw records of objects, one at least, that have any; and what days are now."""
    asked = hand(scope.connection, "asked", raw_records, ("object_type", "source_id"), keys)
    rows = scope.connection.execute(
        _latest(asked.source),
        {"tenant": scope.tenant, "connection": connection_id, **asked.values},
    ).all()
    latest = {(row[0], row[1]): _Latest(*row[4:]) for row in rows if row.raw_id is not None}
    return latest, Days(rows[0].first, rows[0].now)


@lru_cache(maxsize=16)
def _latest(asked: FromClause) -> Executable:
    newest = lateral(
        select(
            raw_records.c.raw_id,
            raw_records.c.source_time,
            raw_records.c.observation,
            raw_records.c.digest,
            raw_records.c.flags,
            raw_records.c.shape,
            has_tombstone(asked).label("has_tombstone"),
        )
        .where(
            *OF_CONNECTION,
            raw_records.c.object_type == asked.c.object_type,
            raw_records.c.source_id == asked.c.source_id,
        )
        .order_by(raw_records.c.raw_id.desc())
        .limit(1)
    )
    first = select(tenants.c.started_on).where(tenants.c.tenant_id == bindparam("tenant"))
    return select(
        asked.c.object_type,
        asked.c.source_id,
        first.scalar_subquery().label("first"),
        func.clock_timestamp().label("now"),
        newest,
    ).join_from(asked, newest, true(), isouter=True)


def _gone(
    scope: TenantScope, connection_id: str, latest: Mapping[tuple[str, str], _Latest]
) -> dict[tuple[str, str], datetime]:
    """Nearly always nothing, and then nothing is asked."""
    once = [key for key, one in latest.items() if one.has_tombstone]
    return gone_since(scope, connection_id, once)


_COLUMNS = (
    "uid",
    "object_type",
    "source_id",
    "parent_id",
    "source_time",
    "day",
    "digest",
    "payload",
    "shape",
    "flags",
)


def insert_records(
    scope: TenantScope,
    connection_id: str,
    rows: list[tuple[Any, ...]],
    observation: Observation,
    run_id: str,
) -> None:
    """Insert rows `(uid, object type, source id, parent id, source time, day, digest, sealed
    payload, shape, flags)`; raw ids are given in their order."""
    if not rows:
        return
    # The position keeps our receipt order: raw ids are given in the order of the batch.
    fresh = hand(
        scope.connection,
        "fresh",
        raw_records,
        (*_COLUMNS, "seen_again"),
        ((*row, position) for position, row in enumerate(rows)),
    )
    said = {"tenant": scope.tenant, "connection": connection_id, "run": run_id}
    scope.connection.execute(
        _insert(fresh.source), {**said, "how": int(observation), **fresh.values}
    )


@lru_cache(maxsize=16)
def _insert(fresh: FromClause) -> Insert:
    chosen = select(*(fresh.c[name] for name in _COLUMNS)).order_by(fresh.c.seen_again)
    said = [bindparam(name, type_=Text) for name in ("tenant", "connection", "run")]
    return insert(raw_records).from_select(
        ["tenant_id", "connection_id", "run_id", "observation", *_COLUMNS],
        select(*said, bindparam("how", type_=Integer), *chosen.subquery().c),
    )


def _count_again(scope: TenantScope, raw_ids: list[int]) -> None:
    if raw_ids:
        scope.connection.execute(
            update(raw_records)
            .where(raw_records.c.tenant_id == scope.tenant, raw_records.c.raw_id.in_(raw_ids))
            .values(seen_again=raw_records.c.seen_again + 1, seen_at=func.clock_timestamp())
        )


def note_outcomes(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    derived: Mapping[str, tuple[int, str | None]],
) -> None:
    """Remember what deriving came to: source id -> (the newest raw id, its outcome).

    `applied`, `same`, `older`, `quarantined`; None leaves what is known, or says `nothing` (a
    record that stands for no canonical object). Records that a newer one replaced before they
    were derived are `superseded`. What has no outcome waits to be derived.
    """
    if not derived:
        return
    rows = hand(
        scope.connection,
        "derived",
        raw_records,
        ("source_id", "raw_id", "outcome"),
        [(source_id, *found) for source_id, found in derived.items()],
    )
    place = {"tenant": scope.tenant, "connection": connection_id, "of_type": object_type}
    scope.connection.execute(_note_outcomes(rows.source), {**place, **rows.values})


@lru_cache(maxsize=16)
def _note_outcomes(derived: FromClause) -> Update:
    newest = raw_records.c.raw_id == derived.c.raw_id
    known = func.coalesce(derived.c.outcome, raw_records.c.outcome, "nothing")
    return (
        update(raw_records)
        .where(
            *OF_CONNECTION,
            raw_records.c.object_type == bindparam("of_type"),
            raw_records.c.source_id == derived.c.source_id,
            or_(newest, raw_records.c.outcome.is_(None)),
            or_(~newest, raw_records.c.outcome.is_distinct_from(known)),
        )
        .values(outcome=case((newest, known), else_="superseded"))
    )
