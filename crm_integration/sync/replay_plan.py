"""What a replay would write: asked for, counted, and named by one digest.

Prevents the replay that is started to find out what it does.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from uuid import UUID

import orjson

from crm_integration.errors import BadInput
from crm_integration.mapping.model import OBJECT_TYPES, CompiledMapping
from crm_integration.mapping.names import MappingName
from crm_integration.mapping.ownership import FieldDecision
from crm_integration.mapping.preview import FieldPreview, Mask, preview
from crm_integration.storage.sealing import TenantKeys
from crm_integration.stores._contract import Window
from crm_integration.sync.report import Problem

KINDS = ("create", "update", "unchanged", "held", "parked", "dead", "later", "refused")
"""`later`: another process has it, its time has not come, or it waits to be judged anew;
`refused`: kept back by a rule or a mapping, so that there is nothing to write."""


@dataclass(frozen=True)
class Request:
    """What is to be replayed: days `[start, end)` of a tenant, or with None all that is known.

    `object_types` are the CRM objects, all where there are none; `mapping` another version than
    the pinned one to look through; `forced` fields are written whoever owns them.
    """

    tenant: str
    days: Window | None
    object_types: tuple[str, ...] = ()
    mapping: MappingName | None = None
    forced: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        unknown = set(self.object_types) - set(OBJECT_TYPES)
        if unknown:
            raise BadInput(f"there is no object type {min(unknown)[:40]!r}: "
                           f"use {', '.join(OBJECT_TYPES)}")  # fmt: skip
        if self.days is not None and self.days.start >= self.days.end:
            raise BadInput("the window is empty: its last day lies before its first")

    def windows(self) -> list[Window]:
        """The days, one by one: as which they were judged, and will be."""
        if self.days is None:
            return []
        number = (self.days.end - self.days.start).days
        days = (self.days.start + timedelta(n) for n in range(number))
        return [Window(day, day + timedelta(1)) for day in days]


def days_between(first: date, last: date) -> Window:
    """From the first day to the last, both of them included."""
    return Window(first, last + timedelta(days=1))


@dataclass(frozen=True)
class PlannedWrite:
    """One record that would be written: `kind` create or update, and its fields that change."""

    object_type: str
    object_id: UUID
    kind: str
    fields: tuple[FieldPreview, ...]


@dataclass
class Plan:
    """What a replay would do. `counts` by object type and kind, `by_field` records a field of
    them is written of. `writes` are the first ones; the digest covers all of them."""

    request: Request
    mappings: Mapping[str, CompiledMapping]
    masks: Mapping[str, Mask]
    limit: int
    digest: bytes
    counts: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict[str, Counter[str]](Counter)
    )
    by_field: dict[str, Counter[str]] = field(
        default_factory=lambda: defaultdict[str, Counter[str]](Counter)
    )
    writes: list[PlannedWrite] = field(default_factory=lambda: list[PlannedWrite]())
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())
    waiting: set[UUID] = field(default_factory=lambda: set[UUID]())
    """Of the differences those that a person would have to approve first; counted as held."""
    calls: int = 0
    """Calls that only read."""

    @classmethod
    def empty(
        cls,
        request: Request,
        mappings: Mapping[str, CompiledMapping],
        masks: Mapping[str, Mask],
        keys: TenantKeys,
        limit: int,
    ) -> Plan:
        """Nothing is planned so far; the digest names what was asked for."""
        days = request.days
        asked = [
            request.tenant,
            None if days is None else [days.start.isoformat(), days.end.isoformat()],
            sorted((one.mapping_id, one.digest) for one in mappings.values()),
            sorted(request.forced),
        ]
        return cls(request, mappings, masks, limit, keys.digest("plan", orjson.dumps(asked)))

    @property
    def total(self) -> int:
        """Records that would be written."""
        return sum(one["create"] + one["update"] for one in self.counts.values())

    def add(
        self,
        keys: TenantKeys,
        object_type: str,
        object_id: UUID,
        kind: str,
        decisions: Sequence[FieldDecision],
    ) -> None:
        """Count one record that would be written."""
        written = [one for one in decisions if one.decision.write]
        self.counts[object_type][kind] += 1
        self.by_field[object_type].update(one.rule.name for one in written)
        told = [[one.rule.name, one.old, one.decision.value] for one in written]
        line = orjson.dumps([object_type, str(object_id), kind, told])
        self.digest = keys.digest("plan", self.digest + line)
        if len(self.writes) < self.limit:
            fields = tuple(preview(written, mask=self.masks[object_type]))
            self.writes.append(PlannedWrite(object_type, object_id, kind, fields))

    def hold(self, object_type: str, object_ids: Collection[UUID]) -> None:
        """Updates that would wait for a person (`restraint.py`): more than may be in a day."""
        self.counts[object_type]["update"] -= len(object_ids)
        self.counts[object_type]["held"] += len(object_ids)
        self.waiting |= set(object_ids)

    def rows(self) -> Iterator[tuple[str, Counter[str]]]:
        """Counts by object type, in the order of sending."""
        for object_type in OBJECT_TYPES:
            if object_type in self.counts:
                yield object_type, self.counts[object_type]
