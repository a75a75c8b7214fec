"""The kinds of check a rule may make, as data.

Prevents two drivers from understanding one rule differently: a rule is one of these values and
nothing else; `row_checks` compiles it to a function, `suites` to expectations. A field that is
None passes every kind but `NotEmpty` and `AnyGiven`: whether it must be there is a rule of its
own.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache

from crm_integration.canonical.money import minor_digits


@dataclass(frozen=True)
class NotEmpty:
    """Text with at least one character that is no white space."""

    field: str


@dataclass(frozen=True)
class AtLeast:
    """A number >= `minimum`, or > `minimum` when `exclusive`."""

    field: str
    minimum: int
    exclusive: bool = False


@dataclass(frozen=True)
class Between:
    """A moment in `[earliest, before)`, both UTC."""

    field: str
    earliest: datetime
    before: datetime


@dataclass(frozen=True)
class NotAfter:
    """`field` is a moment at most `grace_seconds` later than `other`."""

    field: str
    other: str
    grace_seconds: int


@dataclass(frozen=True)
class Matches:
    """Text that `pattern` matches from its first to its last character."""

    field: str
    pattern: str


@dataclass(frozen=True)
class KnownCurrency:
    """An ISO 4217 code for which `canonical.money` knows the decimals."""

    field: str


@dataclass(frozen=True)
class OneOf:
    """Text that is one of a closed set of values."""

    field: str
    values: tuple[str, ...]


@dataclass(frozen=True)
class AnyGiven:
    """At least one of these texts is there and not blank."""

    fields: tuple[str, ...]


@dataclass(frozen=True)
class Storable:
    """Texts without NUL: no Postgres text or jsonb holds one, and COPY would lose the batch."""

    fields: tuple[str, ...]


@dataclass(frozen=True)
class SumsTo:
    """`total` equals the sum of `parts` to within 1 minor unit for each of `per` (a count).

    Stores round each line on its own, so a total may be off by one unit a line. Passes when a
    part is None: what nobody stated cannot contradict.
    """

    total: str
    parts: tuple[str, ...]
    per: str


@dataclass(frozen=True)
class UniqueTogether:
    """No two rows share all `fields`; rows with an empty one are not compared. Set rule."""

    fields: tuple[str, ...]


@dataclass(frozen=True)
class Refers:
    """`field` (a truth value the frame carries) says that the referred row exists. Set rule."""

    field: str


TextCheck = NotEmpty | Matches | KnownCurrency | OneOf | Storable
RowCheckKind = TextCheck | AnyGiven | AtLeast | Between | NotAfter | SumsTo
Check = RowCheckKind | UniqueTogether | Refers

_VISIBLE = re.compile(r"\S")


def fields_of(check: Check) -> tuple[str, ...]:
    """Every field the check reads."""
    match check:
        case Storable(fields) | AnyGiven(fields) | UniqueTogether(fields):
            return fields
        case NotAfter(field, other):
            return (field, other)
        case SumsTo(total, parts, per):
            return (total, *parts, per)
        case _:
            return (check.field,)


def text_test(check: TextCheck) -> Callable[[str], bool]:
    """The one test of a text value, used by both drivers; the caller lets None pass."""
    match check:
        case NotEmpty():
            return is_visible
        case Matches(_, pattern):
            matches = re.compile(pattern).fullmatch
            return lambda value: matches(value) is not None
        case KnownCurrency():
            return is_currency
        case OneOf(_, values):
            return frozenset(values).__contains__
        case Storable():
            return is_storable


def is_visible(value: str) -> bool:
    """Whether the text has a character that is no white space."""
    return _VISIBLE.search(value) is not None


def is_storable(value: str) -> bool:
    """Whether Postgres can hold this text."""
    return "\0" not in value


@cache
def is_currency(code: str) -> bool:
    """Whether `code` is an ISO 4217 code (`canonical.money` decides)."""
    try:
        minor_digits(code)
    except ValueError:
        return False
    return True
