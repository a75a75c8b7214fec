"""What one portal holds: records, unique values, associations, and a search index that lags.

Prevents the failure of proving existence by search: a search here answers from an index that
follows writes later, while reads by id or by a unique property see them at once.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import islice
from typing import Any

from crm_integration.sandbox.portal_properties import (
    OPT_OUT,
    InvalidValue,
    Json,
    Property,
    created_property,
    modified_property,
    normalised,
    standard_properties,
    zulu,
)
from crm_integration.sandbox.portal_reshaping import reshaped
from crm_integration.sandbox.token_desk import TokenDesk

MATCHED_BY = {"contacts": "email", "companies": "name"}


class AlreadyExists(Exception):
    """A unique value is taken by the record `existing_id`."""

    def __init__(self, existing_id: int, *, kind: str, name: str) -> None:
        super().__init__(f"{name} is taken")
        self.existing_id, self.kind, self.name = existing_id, kind, name


@dataclass(slots=True)
class Record:
    """One CRM record; `properties` is replaced, never changed, so that the index may share it."""

    id: int
    properties: dict[str, str]
    created: float
    updated: float
    archived: bool = False


@dataclass(slots=True)
class _Shelf:
    """All records of one object type."""

    definitions: dict[str, Property]
    records: dict[int, Record] = field(default_factory=dict[int, Record])
    ids: list[int] = field(default_factory=list[int])
    unique: dict[str, dict[str, int]] = field(default_factory=dict[str, dict[str, int]])
    index: dict[int, dict[str, str]] = field(default_factory=dict[int, dict[str, str]])
    by_match: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    """The ids by the value (in small letters) that MATCHED_BY names: who is looked for most."""


@dataclass(frozen=True, slots=True)
class PortalSettings:
    """One account: its own id, its token, its quotas and how late its search is (seconds).

    `reshapes`: it changes values beyond HubSpot's own trimming (`portal_reshaping.py`).
    """

    portal_id: int
    token: str
    search_lag_seconds: float = 1.0
    per_ten_seconds: int = 190
    per_day: int = 625_000
    searches_per_second: int = 5
    reshapes: bool = False


class PortalState:
    """Records of one account. Ids are unique over all object types."""

    def __init__(
        self,
        settings: PortalSettings,
        clock: Callable[[], float] = time.time,
        desk: TokenDesk | None = None,
    ) -> None:
        self.settings = settings
        self.desk = desk
        self.clock = clock
        self._shelves: dict[str, _Shelf] = {}
        self._next_id = settings.portal_id * 1000 + 1
        self._to_index: deque[tuple[float, str, int, dict[str, str] | None]] = deque()
        self.seeded_twice = False
        self.merged_into: dict[int, int] = {}
        """The id of a record that was merged away -> the record that it became."""
        self.links: dict[tuple[str, int, str], dict[int, set[tuple[str, int]]]] = defaultdict(dict)

    def shelf(self, kind: str) -> _Shelf:
        if kind not in self._shelves:
            self._shelves[kind] = _Shelf(standard_properties(kind))
        return self._shelves[kind]

    def definitions(self, kind: str) -> dict[str, Property]:
        return self.shelf(kind).definitions

    def define(self, kind: str, definition: Property) -> None:
        """Add a property.

        Raises:
            AlreadyExists: the account has one of this name.
        """
        known = self.shelf(kind).definitions
        if definition.name in known:
            raise AlreadyExists(0, kind=kind, name=definition.name)
        known[definition.name] = definition

    # Reading

    def get(self, kind: str, key: str, id_property: str | None = None) -> Record | None:
        """The living record with this id (of a record that was merged away: what it became), or
        this value of a unique property (any letter case for an e-mail)."""
        shelf = self.shelf(kind)
        if id_property in {None, "", "hs_object_id"}:
            found = shelf.records.get(self._living(int(key))) if _is_id(key) else None
        else:
            wanted = key.strip().lower() if id_property == "email" else key.strip()
            held = shelf.unique.get(str(id_property), {}).get(wanted)
            found = shelf.records.get(held) if held is not None else None
        return None if found is None or found.archived else found

    def _living(self, key: int) -> int:
        while key in self.merged_into:
            key = self.merged_into[key]
        return key

    def unique_property(self, kind: str, name: str) -> bool:
        definition = self.definitions(kind).get(name)
        return definition is not None and definition.unique

    def records(self, kind: str, *, since: int = 0) -> Iterator[Record]:
        """Living and archived records by id, from the id `since` on."""
        shelf = self.shelf(kind)
        for key in islice(shelf.ids, bisect_left(shelf.ids, since), None):
            yield shelf.records[key]

    # Writing

    def checked(self, kind: str, given: Mapping[str, Any], own: int | None) -> dict[str, str]:
        """Properties as they would be stored, without storing them.

        Raises:
            InvalidValue: HubSpot refuses a property.
            AlreadyExists: a unique value belongs to another record than `own`.
        """
        shelf = self.shelf(kind)
        stored = self._kept(shelf.definitions, given)
        for name, value in stored.items():
            holder = shelf.unique.get(name, {}).get(value) if value else None
            if holder is not None and holder != own and shelf.definitions[name].unique:
                raise AlreadyExists(holder, kind=kind, name=name)
        return stored

    def create(self, kind: str, given: Mapping[str, Any]) -> Record:
        """Raises: InvalidValue, AlreadyExists."""
        return self._insert(kind, self.checked(kind, given, None))

    def seed(self, kind: str, given: Mapping[str, Any], *, created: float) -> Record:
        """A record from before: below the uniqueness check, and known to the search at once."""
        stored = self._kept(self.definitions(kind), given)
        record = self._insert(kind, stored, at=created)
        self._to_index.pop()
        self._indexed(kind, record.id, record.properties)
        return record

    def _kept(self, known: Mapping[str, Property], given: Mapping[str, Any]) -> dict[str, str]:
        stored = normalised(known, given)
        return reshaped(known, stored) if self.settings.reshapes else stored

    def _insert(self, kind: str, stored: dict[str, str], at: float | None = None) -> Record:
        now = self.clock() if at is None else at
        record = Record(self._next_id, {}, now, now)
        self._next_id += 1
        self.shelf(kind).records[record.id] = record
        self.shelf(kind).ids.append(record.id)
        self._store(kind, record, {"hs_object_id": str(record.id), **stored}, now)
        return record

    def update(self, kind: str, record: Record, given: Mapping[str, Any]) -> Record:
        """Raises: InvalidValue, AlreadyExists (then nothing is changed)."""
        stored = self.checked(kind, given, record.id)
        self._store(kind, record, stored, self.clock())
        return record

    def opted_out(self, contact: Record, *, value: bool = True) -> None:
        """The person unsubscribes from all e-mail (or a person lifts that): HubSpot's own doing,
        which no call to its API can do."""
        text = "true" if value else "false"
        self._store("contacts", contact, {OPT_OUT: text}, self.clock())

    def archive(self, kind: str, record: Record) -> None:
        shelf = self.shelf(kind)
        record.archived, record.updated = True, self.clock()
        for name, value in record.properties.items():
            held = shelf.unique.get(name, {})
            if held.get(value) == record.id:
                del held[value]
        self._to_index.append((self._due(), kind, record.id, None))

    def _store(self, kind: str, record: Record, stored: dict[str, str], now: float) -> None:
        shelf = self.shelf(kind)
        for name, value in stored.items():
            if name in shelf.definitions and shelf.definitions[name].unique:
                self._claim(shelf, name, record, value)
        stamp = zulu(datetime.fromtimestamp(now, UTC))
        merged = {**record.properties, **stored, modified_property(kind): stamp}
        merged.setdefault(created_property(kind), stamp)
        record.properties = {name: value for name, value in merged.items() if value != ""}
        record.updated = now
        self._to_index.append((self._due(), kind, record.id, record.properties))

    @staticmethod
    def _claim(shelf: _Shelf, name: str, record: Record, value: str) -> None:
        held = shelf.unique.setdefault(name, {})
        old = record.properties.get(name)
        if old is not None and held.get(old) == record.id:
            del held[old]
        if value:
            held.setdefault(value, record.id)

    def merged(
        self, kind: str, stored: dict[str, str], both: tuple[Record, Record], *, created: float
    ) -> Record:
        """The record that two archived ones became; their ids and associations are its own."""
        stored = {name: value for name, value in stored.items() if name != "hs_object_id"}
        record = self._insert(kind, stored)
        record.created = created
        for one in both:
            self.merged_into[one.id] = record.id
            for start_kind, start, end_kind in [*self.links]:
                if (start_kind, start) != (kind, one.id):
                    continue
                for end, labels in self.links.pop((start_kind, start, end_kind)).items():
                    back = self.links[end_kind, end, kind].pop(one.id, set())
                    self.associate((kind, record.id), (end_kind, end), labels, back)
        return record

    # The search index

    def _due(self) -> float:
        return self.clock() + self.settings.search_lag_seconds

    def index(self, kind: str) -> _Shelf:
        """The type's shelf with its index brought to where the lag lets it be."""
        now = self.clock()
        while self._to_index and self._to_index[0][0] <= now:
            _, changed, key, properties = self._to_index.popleft()
            self._indexed(changed, key, properties)
        return self.shelf(kind)

    def _indexed(self, kind: str, key: int, properties: dict[str, str] | None) -> None:
        shelf = self.shelf(kind)
        name = MATCHED_BY.get(kind, "")
        old = shelf.index.pop(key, None)
        if old is not None and name in old:
            shelf.by_match[old[name].lower()].discard(key)
        if properties is not None:
            shelf.index[key] = properties
            if name in properties:
                shelf.by_match[properties[name].lower()].add(key)

    # Associations

    def associate(
        self, start: tuple[str, int], end: tuple[str, int], labels: Iterable[tuple[str, int]],
        back: Iterable[tuple[str, int]],
    ) -> None:  # fmt: skip
        """Link two records both ways; a label is (category, type id)."""
        self.links[(*start, end[0])].setdefault(end[1], set()).update(labels)
        self.links[(*end, start[0])].setdefault(start[1], set()).update(back)

    def dissociate(self, start: tuple[str, int], end: tuple[str, int]) -> None:
        self.links[(*start, end[0])].pop(end[1], None)
        self.links[(*end, start[0])].pop(start[1], None)

    def linked(self, kind: str, key: int, to_kind: str) -> dict[int, set[tuple[str, int]]]:
        """The living records of a type that a record is linked to, with their labels."""
        held = self.links.get((kind, key, to_kind), {})
        living = self.shelf(to_kind).records
        return {end: labels for end, labels in held.items() if not living[end].archived}


def _is_id(key: str) -> bool:
    return key.isascii() and key.isdigit()


__all__ = ["AlreadyExists", "InvalidValue", "Json", "PortalSettings", "PortalState", "Record"]
