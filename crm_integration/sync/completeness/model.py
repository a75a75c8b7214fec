"""What a proof of completeness is asked for, and what it says.

Prevents the count that hides a hole: each object has one verdict a stage, verdicts are counted
exactly, and whatever is neither proven nor wrong is named by its reason.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any

from crm_integration.canonical.entities import ENTITIES
from crm_integration.errors import BadInput
from crm_integration.quality.holds import HELD_OBJECT
from crm_integration.stores._contract import Window
from crm_integration.sync.report import Problem

Frame = Any
"""A pandas DataFrame; pandas ships no types."""


class Stage(StrEnum):
    """Where an object has to be, in the order of its way. Each is compared with the one before."""

    raw = "raw"
    """The newest raw record is what the store says now."""
    canonical = "canonical"
    """The canonical row is made of the newest raw record."""
    ledger = "ledger"
    """What the canonical row maps to is desired, and is written."""
    crm = "crm"
    """The CRM's record holds what we wrote, but for what its rules let people change."""


PROVEN = "proven"
MISSING, DIFFERS, SURPLUS, DOUBLE = "missing", "differs", "surplus", "double"
WRONG = (MISSING, DIFFERS, SURPLUS, DOUBLE)
"""Not there; there, but not what it should be; there without what it was made of; there twice.
Each other verdict but `proven` and `later` names a reason that accounts for the object."""
LATER = "later"
"""It changed since the scan began (or too short before it to be told): judged next time."""

SAMPLE = 20
"""Ids kept of each verdict that is wrong."""

NAMELESS = "(without an id)"
"""Stands for the id of what the store lists without one."""

FOUND = ("entity", "day", "stage", "verdict", "connection_id", "object_type", "id", "raw_day")
"""Columns of the frame of verdicts: one row an object and stage. `id` is the store's id up to the
canonical stage, the canonical id behind it (of surplus CRM records: their own); `day` is None for
what has no time. `raw_day` is the day of its raw record, where there is one."""


@dataclass(frozen=True)
class Request:
    """Days `[start, end)` of a tenant (None: everything), and of which entities (none: all).

    `surplus`: list all CRM records that carry our key, too.
    """

    tenant: str
    days: Window | None = None
    entities: tuple[str, ...] = ()
    surplus: bool = False

    def __post_init__(self) -> None:
        unknown = sorted(set(self.entities) - set(ENTITIES))
        if unknown:
            raise BadInput(f"there is no object type {unknown[0][:40]!r}: use one of "
                           f"{', '.join(sorted({*ENTITIES, *HELD_OBJECT.values()}))}")  # fmt: skip
        if self.days is not None and self.days.start >= self.days.end:
            raise BadInput("the window is empty: its last day lies before its first")

    def wants(self, entity: str) -> bool:
        """Whether this entity is to be proven."""
        return not self.entities or entity in self.entities


def entity_named(name: str) -> str:
    """The entity that is meant by an entity's name or by that of a CRM object (`contact`)."""
    if name in ENTITIES:
        return name
    return next((entity for entity, held in HELD_OBJECT.items() if held == name), name)


@dataclass(frozen=True)
class DayProof:
    """What was found of one entity on one day; `day` None for what has no time of its own.

    `counts` by stage and verdict are exact; `samples` are the first ids of what is wrong.
    `problem` says why not all of it could be looked at.
    """

    entity: str
    day: date | None
    counts: Mapping[str, Mapping[str, int]]
    samples: Mapping[str, Mapping[str, tuple[str, ...]]]
    highest_raw_id: int
    problem: str | None = None

    @property
    def passed(self) -> bool:
        """Whether every object is proven, accounted for, or judged next time."""
        return self.problem is None and not self.wrong

    @property
    def wrong(self) -> int:
        """Objects that are missing, differ, or are too many; one may be wrong at one stage only."""
        return sum(of.get(one, 0) for of in self.counts.values() for one in WRONG)

    @property
    def proven(self) -> int:
        """Objects proven at the last stage that they have."""
        last = [self.counts[one] for one in reversed(Stage) if one in self.counts]
        return last[0].get(PROVEN, 0) if last else 0


@dataclass
class Completeness:
    """A whole proof. `found` holds the verdict of every object (see `FOUND`)."""

    request: Request
    began: datetime
    highest_raw_id: int
    found: Frame = field(repr=False)
    days: list[DayProof] = field(default_factory=lambda: list[DayProof]())
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())
    calls: int = 0
    """Calls to the CRM."""
    healed: int = 0
    """Objects that were wrong and were healed before this proof."""

    @property
    def whole(self) -> bool:
        """Whether everything is proven or accounted for."""
        return not self.problems and all(one.passed for one in self.days)

    def total(self) -> dict[str, dict[str, int]]:
        """Counts by stage and verdict over all days and entities."""
        added: dict[str, dict[str, int]] = {}
        for one in self.days:
            for stage, verdicts in one.counts.items():
                of = added.setdefault(stage, {})
                for verdict, number in verdicts.items():
                    of[verdict] = of.get(verdict, 0) + number
        return added
