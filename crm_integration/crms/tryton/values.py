"""Tryton's own JSON for what JSON has no word for, and our key as its records carry it.

Prevents the total that became a float, and a merchant's own number that is taken for our key.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final, cast

from crm_integration.crms._contract import FieldValue
from crm_integration.errors import DataRejected

_PREFIX: Final = "ci-"
_KEY: Final = re.compile(r"ci-([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})")


def marked(key: str) -> str:
    """Our key as a record carries it: `ci-<canonical id>`."""
    return _PREFIX + key


def any_marked() -> str:
    """What `like` compares with: a key of ours, whichever."""
    return _PREFIX + "%"


def key_in(text: object) -> str | None:
    """Our key if this text is one; a number of the merchant's own never is."""
    found = _KEY.fullmatch(text) if isinstance(text, str) else None
    return found[1] if found else None


def decimal(name: str, value: FieldValue) -> dict[str, str] | None:
    """A number as Tryton takes it. Raises DataRejected(name) for text that is none."""
    if value is None or value == "":
        return None
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        number = Decimal("NaN")
    if not number.is_finite():
        raise DataRejected(f"{name} is no number", field=name)
    return {"__class__": "Decimal", "decimal": format(number, "f")}


def day(name: str, value: FieldValue) -> dict[str, Any] | None:
    """An ISO date as Tryton takes it. Raises DataRejected(name) for text that is none."""
    if value is None or value == "":
        return None
    try:
        found = date.fromisoformat(str(value))
    except ValueError as error:
        raise DataRejected(f"{name} is no date", field=name) from error
    return {"__class__": "date", "year": found.year, "month": found.month, "day": found.day}


def parts_of(row: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The records of a list field, as a dotted name reads them."""
    return cast(list[Mapping[str, Any]], row.get(f"{name}.") or [])


def part_of(row: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """The record another one points to, as a dotted name reads it; {} without one."""
    return cast(Mapping[str, Any], row.get(f"{name}.") or {})


def plain(value: object) -> FieldValue:
    """A value as Tryton reads it in the engine's form; what is empty is None."""
    if isinstance(value, dict):
        told = cast(Mapping[str, Any], value)
        if told.get("__class__") == "Decimal":
            return str(told["decimal"])
        if told.get("__class__") == "date":
            return date(told["year"], told["month"], told["day"]).isoformat()
        return None
    if isinstance(value, str):
        return value or None
    return value if isinstance(value, (int, float)) else None


def newest(values: Iterable[object]) -> datetime | None:
    """The latest of Tryton's times (UTC, without saying so); None without any."""
    found = [_time(cast(Mapping[str, Any], one)) for one in values if isinstance(one, dict)]
    return max(found, default=None)


def _time(told: Mapping[str, Any]) -> datetime:
    names = ("year", "month", "day", "hour", "minute", "second", "microsecond")
    year, month, of_month, hour, minute, second, rest = (int(told[name]) for name in names)
    return datetime(year, month, of_month, hour, minute, second, rest, tzinfo=UTC)


def escaped(text: str) -> str:
    """Text for Tryton's `ilike`, in which `%` and `_` would stand for anything."""
    return re.sub(r"([\\%_])", r"\\\1", text)


def is_utf8(text: str) -> bool:
    """False for text with a lone surrogate, which no request can carry."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
