"""Reads API2Cart's dates, which name their own PHP format.

Prevents hours and days from being guessed: each cart writes dates in its own way (`Y-m-d H:i:s`
in shop time, `Y-m-d\\TH:i:sO`, `U`), so the format that came with the value is followed, and one
that is not understood is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Any, cast
from zoneinfo import ZoneInfo

from crm_integration.stores._contract import JsonObject, Unreadable
from crm_integration.stores._payload import FIRST_YEAR

ZONE_ASSUMED = "zone_assumed"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_OFFSET = r"[+-]\d{2}:?\d{2}|Z|UTC|GMT"
# PHP's letters as in its manual (DateTimeInterface::format). Weekdays carry no information.
_LETTERS = {
    "Y": r"(?P<Y>\d{4})", "y": r"(?P<y>\d{2})",
    "m": r"(?P<m>\d{2})", "n": r"(?P<m>\d{1,2})",
    "M": r"(?P<M>[A-Za-z]{3})", "F": r"(?P<M>[A-Za-z]{3,9})",
    "d": r"(?P<d>\d{2})", "j": r"(?P<d>\d{1,2})",
    "H": r"(?P<H>\d{2})", "G": r"(?P<H>\d{1,2})",
    "h": r"(?P<h>\d{2})", "g": r"(?P<h>\d{1,2})",
    "A": r"(?P<a>[AP]M)", "a": r"(?P<a>[ap]m)",
    "i": r"(?P<i>\d{2})", "s": r"(?P<s>\d{2})",
    "u": r"(?P<u>\d{1,6})", "v": r"(?P<u>\d{3})",
    "D": r"[A-Za-z]{3}", "l": r"[A-Za-z]{6,9}",
    "O": rf"(?P<z>{_OFFSET})", "P": rf"(?P<z>{_OFFSET})", "p": rf"(?P<z>{_OFFSET})",
    "T": rf"(?P<z>{_OFFSET})", "e": rf"(?P<z>{_OFFSET}|[A-Za-z]+/[A-Za-z_/+-]+\d*)",
    "U": r"(?P<U>-?\d{1,10})",
    "c": r"(?P<Y>\d{4})-(?P<m>\d{2})-(?P<d>\d{2})T(?P<H>\d{2}):(?P<i>\d{2}):(?P<s>\d{2})"
         rf"(?P<z>{_OFFSET})",
    "r": r"[A-Za-z]{3}, (?P<d>\d{1,2}) (?P<M>[A-Za-z]{3}) (?P<Y>\d{4}) "
         rf"(?P<H>\d{{2}}):(?P<i>\d{{2}}):(?P<s>\d{{2}}) (?P<z>{_OFFSET})",
}  # fmt: skip


@dataclass(frozen=True)
class Moment:
    """A time in UTC; `assumed` where neither the date nor the store said a zone."""

    at: datetime
    assumed: bool = False


def read_date(value: Any, zone: tzinfo | None, field: str) -> Moment | None:
    """A `{value, format}` date; None for a missing or empty one (`0000-00-00` too).

    A date without a zone is in the store's `zone`; where that is not known it counts as UTC and
    says so. Raises Unreadable `unknown_date_format`, `not_a_date`.
    """
    if value is None or value == "" or value == []:
        return None
    if not isinstance(value, dict):
        raise Unreadable("not_a_date", field=field, fix="expected {value, format}")
    date = cast(JsonObject, value)
    text, form = date.get("value"), date.get("format")
    if text is None or text == "" or (isinstance(text, str) and text.startswith("0000-00-00")):
        return None
    if not isinstance(form, str) or not form:
        raise _unknown_format(field)
    found = _pattern(form, field).fullmatch(str(text))
    if found is None:
        raise Unreadable("not_a_date", field=field, fix="the value does not follow its format")
    try:
        moment = _moment(found.groupdict(), zone)
    except (ValueError, OverflowError, KeyError) as error:
        raise Unreadable("not_a_date", field=field, fix="there is no such moment") from error
    return moment if moment.at.year >= FIRST_YEAR else None


def zone_of(name: Any) -> tzinfo | None:
    """`Europe/Kyiv`, `UTC+05:30`, `+02:00` as a zone; None for what is none."""
    if not isinstance(name, str) or not name.strip():
        return None
    text = name.strip()
    offset = re.fullmatch(r"(?:UTC|GMT)?([+-])(\d{1,2}):?(\d{2})?", text)
    if offset:
        minutes = int(offset[2]) * 60 + int(offset[3] or 0)
        return _fixed(-minutes if offset[1] == "-" else minutes)
    if text.upper() in ("UTC", "GMT", "Z"):
        return UTC
    try:
        return ZoneInfo(text)
    except (ValueError, OSError, KeyError):
        return None


@lru_cache(maxsize=256)
def _pattern(form: str, field: str) -> re.Pattern[str]:
    parts: list[str] = []
    letters = iter(form)
    for letter in letters:
        if letter == "\\":
            parts.append(re.escape(next(letters, "")))
        elif letter in _LETTERS:
            parts.append(_LETTERS[letter])
        elif letter.isalpha():
            raise _unknown_format(field)
        else:
            parts.append(re.escape(letter))
    pattern = "".join(parts)
    complete = "(?P<U>" in pattern or (
        ("(?P<Y>" in pattern or "(?P<y>" in pattern)
        and ("(?P<m>" in pattern or "(?P<M>" in pattern)
        and "(?P<d>" in pattern
    )
    if not complete:
        raise _unknown_format(field)
    try:
        return re.compile(pattern)
    except re.error as error:  # one part given twice: which one counts would be a guess
        raise _unknown_format(field) from error


def _moment(parts: dict[str, str | None], zone: tzinfo | None) -> Moment:
    epoch = parts.get("U")
    if epoch is not None:
        return Moment(datetime.fromtimestamp(int(epoch), UTC))
    named = parts.get("z")
    own = zone_of(named) if named else None
    if named and own is None:
        raise ValueError("a zone nobody knows")
    moment = datetime(
        _year(parts), _month(parts), _number(parts, "d"), _hour(parts),
        _number(parts, "i"), _number(parts, "s"), _micros(parts),
        tzinfo=own or zone or UTC,
    )  # fmt: skip
    return Moment(moment.astimezone(UTC), assumed=own is None and zone is None)


def _number(parts: dict[str, str | None], name: str) -> int:
    return int(parts.get(name) or 0)


def _year(parts: dict[str, str | None]) -> int:
    """Two digits are read as PHP does: 70-99 in the 1900s, the rest in the 2000s."""
    if parts.get("Y"):
        return _number(parts, "Y")
    short = _number(parts, "y")
    return short + (1900 if short >= 70 else 2000)


def _month(parts: dict[str, str | None]) -> int:
    name = parts.get("M")
    return _MONTHS.index(name[:3].lower()) + 1 if name else _number(parts, "m")


def _hour(parts: dict[str, str | None]) -> int:
    half = parts.get("h")
    if half is None:
        return _number(parts, "H")
    late = (parts.get("a") or "").lower() == "pm"
    return int(half) % 12 + (12 if late else 0)


def _micros(parts: dict[str, str | None]) -> int:
    return int((parts.get("u") or "0").ljust(6, "0"))


def _fixed(minutes: int) -> tzinfo | None:
    return timezone(timedelta(minutes=minutes)) if abs(minutes) < 24 * 60 else None


def _unknown_format(field: str) -> Unreadable:
    return Unreadable(
        "unknown_date_format",
        field=f"{field}.format",
        fix="this PHP date format is not understood: add its letters to api2cart/dates.py",
    )
