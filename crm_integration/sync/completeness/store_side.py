"""Store = raw = canonical: each object that a store lists or that we keep, judged by merges.

Prevents the count that agrees by accident (one missing, one too many): objects are merged by id,
and what looks wrong is read by its id before it is called wrong.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from typing import Any

from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.model import StoreObject
from crm_integration.intake.deletions import SUSPECTS, is_held
from crm_integration.intake.open_store import OpenStore
from crm_integration.intake.raw_reading import RawRecord, newest_of
from crm_integration.intake.raw_records import CAME_BACK
from crm_integration.storage.tables.intake import GONE
from crm_integration.stores._contract import SourceObject, Unreadable
from crm_integration.sync.completeness.frames import first_of, frame, pandas, truth, where
from crm_integration.sync.completeness.known import (
    kept_back,
    newest_raw,
    other_rows,
    own_rows,
)
from crm_integration.sync.completeness.listing import answered, list_store, read_direct
from crm_integration.sync.completeness.model import (
    DIFFERS,
    FOUND,
    LATER,
    MISSING,
    NAMELESS,
    PROVEN,
    SURPLUS,
    Frame,
    Stage,
)
from crm_integration.sync.completeness.scan import Scan
from crm_integration.sync.derive import CHUNK, deriver
from crm_integration.sync.reading import QUARANTINED, Deriver, objects_in
from crm_integration.tenancy.scope import TenantScope

DELETED, ERASED, HELD, NOTHING, UNREADABLE = "deleted", "erased", "held", "nothing", "unreadable"
"""Reasons that account for an object: the store has it no more, and so it is told; a person had it
erased; its deletion waits for a person; it stands for no canonical object; it has no id."""

_DERIVED = ("applied", "same", "older")
"""Outcomes of raw records that became rows."""

_OUR_TIME = frozenset({"time_in_future", CAME_BACK})
"""Marks of raw records whose time is that of our receipt."""


@dataclass(frozen=True)
class StoreSide:
    """One object type of one store connection."""

    scan: Scan
    store: OpenStore
    object_type: str

    @property
    def connection_id(self) -> str:
        return self.store.connection.connection_id

    @property
    def swept(self) -> bool:
        return self.object_type in self.store.connector.manifest.swept

    def prove(self) -> Frame:
        """Verdicts (`FOUND`) of all objects at the stages raw and canonical. Raises what the
        store's listing, its reads by id and its check raise."""
        listed, unreadable = list_store(self.scan, self.store, self.object_type)
        both = self._judged(listed)
        doubtful = both[both["doubtful"]]["id"].sort_values().head(SUSPECTS).tolist()
        if doubtful:
            direct = self._settled(doubtful)
            listed = pandas().concat([listed[~listed["id"].isin(direct["id"])], direct])
            both = self._judged(listed)
        made = [self._found(both, Stage.raw, "verdict")]
        known = both[truth(both["known"])]
        made.append(self._found(self._rows_judged(known), Stage.canonical, "verdict"))
        if unreadable:
            made.append(self._unreadable(unreadable))
        return pandas().concat([one for one in made if len(one)] or made[:1])

    def _judged(self, listed: Frame) -> Frame:
        """Listing and newest raw records side by side, those of the window, with a verdict."""
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            raw = newest_raw(
                scope,
                self.scan,
                self.connection_id,
                self.object_type,
                listed["id"].tolist(),
                whole=self.swept,
            )
        both = listed.merge(raw, on="id", how="outer").reset_index(drop=True)
        for name in ("listed", "store_gone", "same_words", "known"):
            both[name] = truth(both[name])
        both["gone"] = where(both["flags"], lambda one: _marked(one, {GONE}))
        both["erased"] = where(both["flags"], lambda one: _marked(one, {ERASED}))
        both["our_time"] = where(both["flags"], lambda one: _marked(one, _OUR_TIME))
        both = self._judge(both)
        both["day"] = self._days(both)
        inside = where(both["day"], lambda one: one is None or self.scan.within(one))
        return both[inside].reset_index(drop=True)

    def _judge(self, both: Frame) -> Frame:
        timeless = both["said_at"].isna() | truth(both["our_time"])
        same_version = both["known"] & (timeless | (both["said_at"] == both["source_time"]))
        other_shape = (both["store_shape"] != both["raw_shape"]) & ~timeless
        same_words = (both["store_digest"] == both["raw_digest"]) | other_shape | both["same_words"]
        fresh = both["listed"] & (both["said_at"] >= self.scan.settled)
        newer = both["known"] & (both["raw_id"].fillna(0) > self.scan.highest_raw_id)
        known, gone = both["known"], truth(both["gone"])
        both["same_version"] = same_version
        both["verdict"] = first_of(
            [
                (both["listed"] & same_version & same_words, PROVEN),
                (newer, LATER),
                (truth(both["erased"]), ERASED),
                (both["store_gone"] & (gone | ~known), DELETED),
                (both["store_gone"], SURPLUS),
                (gone & ~both["listed"], DELETED),
                (fresh, LATER),
                (~both["listed"], SURPLUS),
                (~known, MISSING),
            ],
            DIFFERS,
        )
        # A raw record that is older by its time needs no read: the store has said what it has.
        older = truth(both["said_at"] > both["source_time"]) & ~timeless
        unsure = both["verdict"].isin([SURPLUS, DIFFERS]) & ~both["store_gone"] & ~older
        both["doubtful"] = unsure & ~gone
        return both

    def _days(self, both: Frame) -> Any:
        """The day that each object is counted on: that of its raw record where the store says
        nothing newer, None where it has no time."""
        if self.swept:
            return pandas().Series([None] * len(both), index=both.index, dtype=object)
        said = [
            None if pandas().isna(one) else self.scan.days.of(one.to_pydatetime())
            for one in both["said_at"]
        ]
        columns = (said, both["raw_day"], both["same_version"], both["listed"])
        days = [self._day(*one) for one in zip(*columns, strict=True)]
        return pandas().Series(days, index=both.index, dtype=object)

    def _day(self, said: Any, raw: Any, same_version: bool, listed: bool) -> Any:
        raw = None if pandas().isna(raw) else raw
        if listed and said is None:
            return None
        if said is not None and not same_version and self.scan.within(said):
            return said
        return said if raw is None else raw

    def _settled(self, source_ids: Sequence[str]) -> Frame:
        """What direct reads say of objects that a listing left out, or that differ in words."""
        answers = list(read_direct(self.store, self.object_type, source_ids))
        same = self._same_words([one for one in answers if isinstance(one, SourceObject)])
        return answered(self.scan, self.store, answers, same)

    def _same_words(self, objects: Sequence[SourceObject]) -> frozenset[str]:
        """Which of these say what their newest raw records say, in whatever bytes."""
        now = {one.source_id: one for one in objects}
        derive, records = self._newest(list(now))
        return frozenset(
            one.source_id
            for one in records
            if not one.is_gone and _says_same(derive, self.object_type, one, now[one.source_id])
        )

    def _newest(self, source_ids: Sequence[str]) -> tuple[Deriver, list[RawRecord]]:
        """The newest raw records of these objects, and what derives them."""
        derive = deriver(self.store.connection, self.scan.config.rules, run_id=self.scan.run_id)
        parent_type = self.store.connector.manifest.parents.get(self.object_type)
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            place = (scope, self.connection_id, self.object_type, source_ids)
            return derive, newest_of(*place, parent_type=parent_type)

    def _rows_judged(self, known: Frame) -> Frame:
        """Newest raw records and canonical rows side by side, with a verdict."""
        place, ids = (self.connection_id, self.object_type), known["id"].tolist()
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            rows = own_rows(scope, *place, ids)
            quarantined = kept_back(scope, *place)
            held = is_held(scope, self.object_type)
        names = ("id", "raw_id", "source_time", "outcome", "gone", "erased", "day", "raw_day")
        both = known[list(names)].merge(rows, on="id", how="left").reset_index(drop=True)
        for name in ("has_row", "row_gone"):
            both[name] = truth(both[name])
        elsewhere = self._elsewhere(both[~both["has_row"] & both["outcome"].isin(_DERIVED)])
        made_of_it = both["has_row"] & (both["row_raw_id"] == both["raw_id"])
        no_news = both["outcome"].isin(["same", "older"]) & both["has_row"]
        newer_row = both["has_row"] & (both["row_time"] >= both["source_time"])
        waits = (both["outcome"] == QUARANTINED) & both["id"].isin(quarantined)
        gone = truth(both["gone"])
        both["verdict"] = first_of(
            [
                (both["raw_id"] > self.scan.highest_raw_id, LATER),
                (truth(both["erased"]), ERASED),
                (gone & (~both["has_row"] | both["row_gone"]), DELETED),
                (gone & held, HELD),
                (gone, DIFFERS),
                (waits, QUARANTINED),
                (both["outcome"].isna() & both["has_row"], DIFFERS),
                (both["outcome"].isna(), MISSING),
                (made_of_it | no_news | newer_row, PROVEN),
                (both["outcome"] == "nothing", NOTHING),
                (both["id"].isin(elsewhere), PROVEN),
                (both["has_row"], DIFFERS),
            ],
            MISSING,
        )
        return both

    def _elsewhere(self, lacking: Frame) -> set[str]:
        """Objects without a row of their own that stand for others alone, and these are there: a
        credit that a shop keeps as an order. They are derived once more, to know."""
        others = self.store.connector.manifest.entities_of(self.object_type)
        found: set[str] = set()
        for start in range(0, len(lacking), CHUNK):
            part = lacking.iloc[start : start + CHUNK]
            with self.scan.tenancy.scope(self.scan.tenant) as scope:
                there = other_rows(scope, others, part["raw_id"].tolist())
            found |= self._without_own(part[part["raw_id"].isin(there)]["id"].tolist())
        return found

    def _without_own(self, source_ids: Sequence[str]) -> set[str]:
        """Those of these objects that yield no row of their own entity."""
        if not source_ids:
            return set()
        model = ENTITIES[self.object_type].model
        derive, records = self._newest(source_ids)
        return {
            one.source_id
            for one in records
            if not any(isinstance(made, model) for made in _objects(derive, self.object_type, one))
        }

    def _found(self, both: Frame, stage: Stage, verdict: str) -> Frame:
        made = both[["day", verdict, "id", "raw_day"]].rename(columns={verdict: "verdict"})
        made = made.assign(
            entity=self.object_type,
            stage=stage.value,
            connection_id=self.connection_id,
            object_type=self.object_type,
        )
        return made[list(FOUND)]

    def _unreadable(self, number: int) -> Frame:
        """Elements of the listing that have no id; as many as are kept back are accounted for."""
        with self.scan.tenancy.scope(self.scan.tenant) as scope:
            waiting = _pages_kept_back(scope, self.connection_id, self.object_type)
        verdicts = [UNREADABLE] * min(number, waiting) + [MISSING] * max(0, number - waiting)
        place = (self.connection_id, self.object_type)
        rows = [
            (self.object_type, None, Stage.raw.value, one, *place, NAMELESS, None)
            for one in verdicts
        ]
        return frame(rows, FOUND)


def _marked(flags: Any, marks: Set[str]) -> bool:
    """Whether a raw record carries one of these marks; an object without one carries none."""
    return flags is not None and not isinstance(flags, float) and not marks.isdisjoint(flags)


def _pages_kept_back(scope: TenantScope, connection_id: str, object_type: str) -> int:
    return sum(one.startswith("page:") for one in kept_back(scope, connection_id, object_type))


def _says_same(derive: Deriver, object_type: str, record: RawRecord, now: SourceObject) -> bool:
    """Whether both stand for the same canonical objects; what nobody can read is not the same."""
    if now.source_time is not None and now.source_time != record.source_time:
        return False
    shape = now.shape or derive.connector.manifest.shape
    fresh = _objects(derive, object_type, replace(record, payload=now.payload, shape=shape))
    return bool(fresh) and fresh == _objects(derive, object_type, record)


def _objects(derive: Deriver, object_type: str, record: RawRecord) -> list[StoreObject]:
    """What a record yields; nothing where nobody can read it."""
    try:
        return list(objects_in(derive, object_type, record))
    except Unreadable:
        return []
