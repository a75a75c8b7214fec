"""What a rule is, and the short forms in which the tables of rules are written.

Prevents rules of one kind from being worded in nine ways: keys, times, currencies and states
are asked for by the same few functions whatever the entity.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from crm_integration.quality.checks import (
    Between,
    Check,
    KnownCurrency,
    NotAfter,
    NotEmpty,
    OneOf,
    Refers,
    Storable,
    UniqueTogether,
)

Level = Literal["row", "line", "set"]
Severity = Literal["quarantine", "flag"]


@dataclass(frozen=True)
class Rule:
    """One rule; `reason` is a finding's stable code (and the flag's name), `fix` a sentence."""

    name: str
    entity: str
    level: Level
    check: Check
    severity: Severity
    reason: str
    fix: str


DAY = 86_400
"""Seconds of grace between two times of one object: shops write some in shop time, which
differs from UTC by up to 14 hours."""

# WooCommerce writes 1970 or year 0 for a date it lost; web shops began in 1995.
_FIRST_SHOP = datetime(1995, 1, 1, tzinfo=UTC)
_FAR_FUTURE = datetime(2100, 1, 1, tzinfo=UTC)


def keep_back(name: str, check: Check, reason: str, fix: str) -> Rule:
    """A row that breaks it is quarantined."""
    return Rule(name, name.split(".")[0], "row", check, "quarantine", reason, fix)


def keep_line_back(name: str, check: Check, reason: str, fix: str) -> Rule:
    """A line that breaks it is quarantined, its object goes on without it."""
    return replace(keep_back(name, check, reason, fix), level="line")


def flag(name: str, check: Check, reason: str, fix: str) -> Rule:
    """A row that breaks it goes on, marked with the reason."""
    return replace(keep_back(name, check, reason, fix), severity="flag")


def of_set(name: str, check: Check, reason: str, fix: str) -> Rule:
    """Judged on whole windows: a failing row makes the window fail."""
    return replace(keep_back(name, check, reason, fix), level="set")


def every_entity(
    entity: str, texts: tuple[str, ...], *, one_row: tuple[str, ...] = ()
) -> tuple[Rule, ...]:
    """Keys, time and texts; `one_row` are the fields that with the id make a row unique."""
    return (
        keep_back(
            f"{entity}.source_id",
            NotEmpty("source_id"),
            "source_id_missing",
            "The store sent an object without an id: report it to the store's support.",
        ),
        plausible(
            entity,
            "source_time",
            "Save the object again in the store, so that it gets a modification date.",
        ),
        keep_back(
            f"{entity}.storable",
            Storable(("source_id", *texts)),
            "text_with_nul",
            "Remove the NUL character from the object's texts in the store.",
        ),
        of_set(
            f"{entity}.unique",
            UniqueTogether(("connection_id", "source_id", *one_row)),
            "twice",
            "One object is in our tables twice: replay the day, and report it if it stays.",
        ),
    )


def plausible(entity: str, field: str, fix: str) -> Rule:
    """A moment between the first web shops and 2100."""
    check = Between(field, _FIRST_SHOP, _FAR_FUTURE)
    return keep_back(f"{entity}.{field}", check, f"{field}_impossible", fix)


def in_order(entity: str, first: str, then: str, *, what: str) -> Rule:
    """`first` is at most a day later than `then`; only flagged, for both may still be of use."""
    name = f"{entity}.{first}_before_{then}"
    fix = f"Look at the dates in the store: {what}."
    return flag(name, NotAfter(first, then, DAY), f"{then}_before_{first}", fix)


def known_currency(entity: str) -> Rule:
    """The currency is an ISO 4217 code; an object that may lack one passes without it."""
    fix = "Set a currency with an ISO 4217 code such as EUR in the store."
    return keep_back(f"{entity}.currency", KnownCurrency("currency"), "currency_unknown", fix)


def one_of(entity: str, field: str, values: Iterable[str]) -> Rule:
    """A value of a closed set; the models know it too, rows in tables may be older than they."""
    known = tuple(v.value if isinstance(v, StrEnum) else v for v in values)
    fix = f"Update this program or the store's connector: {field} is none of {', '.join(known)}."
    return keep_back(f"{entity}.{field}", OneOf(field, known), f"{field}_unknown", fix)


def order_accounted_for(entity: str) -> Rule:
    """The order it names is there, or kept back and counted as such; naming none passes."""
    return of_set(
        f"{entity}.order",
        Refers("order_accounted_for"),
        "order_missing",
        f"Fetch the {entity}'s order from the store, or replay the day it was placed.",
    )


def identity_exists(entity: str) -> Rule:
    """The customer it names is a known identity; naming none passes."""
    return of_set(
        f"{entity}.customer",
        Refers("identity_exists"),
        "customer_missing",
        f"Replay the day: the {entity}'s customer was not derived with it.",
    )
