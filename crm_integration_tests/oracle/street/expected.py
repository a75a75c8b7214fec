"""What one record of a CRM must hold, and how a value counts as equal to what a CRM shows.

Prevents two false alarms and one false calm: a CRM writes `12.3` for 12.30 and groups phones, which
is no difference; a field that is missing where a value is due is one.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Kind = Literal["text", "number", "time", "lately", "phone", "contains"]
LATELY = 3_600.0
"""Seconds; no run of a seeded world takes longer."""


@dataclass(frozen=True)
class Value:
    """What a field may hold: one of `allowed` (None: nothing)."""

    allowed: tuple[Any, ...]
    kind: Kind = "text"

    def met(self, held: str | None) -> bool:
        """Whether the CRM shows one of them."""
        return any(_same(self.kind, one, held) for one in self.allowed)


def text(*allowed: Any) -> Value:
    """A text; blanks count as one."""
    return Value(allowed)


def number(value: Any) -> Value:
    """A number, whatever its zeros."""
    return Value((value,), "number")


def money(minor: int) -> Value:
    """Pence as pounds: every shop of the world sells in pounds."""
    return Value((Decimal(minor) / 100,), "number")


def moment(*epochs: float | None) -> Value:
    """A time in epoch seconds."""
    return Value(epochs, "time")


def none_or_lately(*also: float) -> Value:
    """No time, or one within this run; or one of these, in epoch seconds."""
    return Value((None, LATELY, *also), "lately")


def phone(value: str) -> Value:
    """A British number as typed. A CRM shows it with +44, or as typed where no network could ring
    it, as most numbers that are kept for drama."""
    return Value((_international(value) or None,), "phone")


def _international(value: str) -> str:
    digits = re.sub(r"\D", "", value)
    return "44" + digits[1:] if digits.startswith("0") else digits


def contains(part: str) -> Value:
    """A text with this in it."""
    return Value((part,), "contains")


def _same(kind: Kind, wanted: Any, held: str | None) -> bool:
    if wanted in (None, ""):
        return held in (None, "")
    if held in (None, ""):
        return False
    if kind == "number":
        return _decimal(held) == Decimal(wanted)
    if kind == "time":
        return _epoch(held) == float(wanted)
    if kind == "lately":
        at = _epoch(held)
        return at is not None and (
            at == float(wanted) or (wanted == LATELY and 0 <= time.time() - at < LATELY)
        )
    if kind == "phone":
        return _international(held) == wanted
    if kind == "contains":
        return " ".join(str(wanted).split()) in " ".join(held.split())
    return " ".join(str(wanted).split()) == " ".join(held.split())


def _decimal(held: str) -> Decimal | None:
    try:
        return Decimal(held)
    except InvalidOperation:
        return None


def _epoch(held: str) -> float | None:
    try:
        found = datetime.fromisoformat(held)
    except ValueError:
        return None
    return found.replace(tzinfo=found.tzinfo or UTC).timestamp()


@dataclass(frozen=True)
class Expected:
    """One record that a CRM must hold exactly once. `links` are (kind, key) of other records;
    `consent` names fields that tell of consent."""

    kind: str
    key: str
    fields: Mapping[str, Value]
    links: frozenset[tuple[str, str]] = frozenset()
    consent: frozenset[str] = frozenset()
    fill_empty: frozenset[str] = frozenset()
    """Fields that are a person's once a person has changed them."""
    may_lack: bool = False
    """Whether the CRM may have no such record: it was gone before anybody could look at it."""


@dataclass
class Books:
    """All that one tenant's CRM must hold."""

    records: dict[tuple[str, str], Expected] = field(
        default_factory=dict[tuple[str, str], Expected]
    )

    def add(self, found: Iterable[Expected]) -> None:
        for one in found:
            self.records[one.kind, one.key] = one
