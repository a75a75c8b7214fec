"""Shopify's search syntax: `updated_at:>='2024-01-01T00:00:00Z' AND (tag:a OR -status:closed)`.

Prevents the failure where a filter is silently wider than meant: a field this list cannot be
searched by is ignored, as there, but told in `extensions.search`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Literal

Json = dict[str, Any]
Test = Callable[[Any], bool]
Bounds = dict[str, tuple[int, int]]
_LOWEST, _HIGHEST, _DAY = -(2**62), 2**62, 86_400
_TOKEN = re.compile(
    r"""\s*(?:(?P<open>\()|(?P<close>\))|(?P<minus>-(?=[\w(]))|
    (?:(?P<field>[A-Za-z_][\w.]*):\s*)?(?P<sign>>=|<=|>|<)?\s*
    (?P<value>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*'|[^\s()'"]+))""",
    re.X,
)


@dataclass(frozen=True, slots=True)
class Searchable:
    """One field a list can be searched by; `read` gives epoch seconds, a number or texts.

    A `day` is a time that is compared by whole days of the shop, whatever hour is asked for.
    """

    kind: Literal["time", "day", "id", "text"]
    read: Callable[[Any], Any]


@dataclass(frozen=True, slots=True)
class Search:
    """What a query string means: a test, and bounds [low, high] that every hit lies within."""

    test: Test | None
    bounds: Bounds = field(default_factory=dict[str, tuple[int, int]])
    warnings: list[Json] = field(default_factory=list[Json])


class _Reader:
    """Reads one query by recursive descent: OR binds less than AND, a blank is AND."""

    def __init__(self, text: str, fields: Mapping[str, Searchable], offset_minutes: int) -> None:
        self._tokens = [found for found in _TOKEN.finditer(text) if found.group().strip()]
        self._at = 0
        self._fields, self._offset = fields, offset_minutes * 60
        self.warnings: list[Json] = []

    def whole(self) -> tuple[Test | None, Bounds]:
        return self._either()

    def _next(self) -> re.Match[str] | None:
        return self._tokens[self._at] if self._at < len(self._tokens) else None

    def _word(self) -> str:
        found = self._next()
        bare = found is not None and not found["field"] and not found["sign"]
        return found["value"] or "" if found is not None and bare else ""

    def _either(self) -> tuple[Test | None, Bounds]:
        test, bounds = self._both()
        while self._word() == "OR":
            self._at += 1
            other, _ = self._both()
            test, bounds = _any(test, other), {}
        return test, bounds

    def _both(self) -> tuple[Test | None, Bounds]:
        test: Test | None = None
        bounds: Bounds = {}
        while (found := self._next()) is not None and not found["close"]:
            if self._word() == "OR":
                break
            if self._word() == "AND":
                self._at += 1
                continue
            other, more = self._one()
            test, bounds = _all(test, other), _narrower(bounds, more)
        return test, bounds

    def _one(self) -> tuple[Test | None, Bounds]:
        found = self._next()
        if found is None:
            return None, {}
        word = self._word()
        self._at += 1
        if found["minus"] or word == "NOT":
            test, _ = self._one()
            return (None if test is None else lambda one: not test(one)), {}
        if found["open"]:
            test, bounds = self._either()
            self._at += 1
            return test, bounds
        return self._term(found)

    def _term(self, found: re.Match[str]) -> tuple[Test | None, Bounds]:
        name, raw = found["field"] or "default", found["value"]
        value = _unquoted(raw)
        known = self._fields.get(name)
        if known is None:
            self._warn(name, "Invalid search field for this query.")
            return None, {}
        if known.kind == "text":
            return _text_test(known, [value] if value != raw else raw.split(",")), {}
        parts = [value] if value != raw or found["sign"] else raw.split(",")
        ranges = [self._range(known, found["sign"] or "", part) for part in parts]
        kept = [one for one in ranges if one is not None]
        if not kept:
            self._warn(name, "Invalid value for this field.")
            return None, {}
        bounds = {name: kept[0]} if len(kept) == 1 else {}
        return _range_test(known, kept), bounds

    def _warn(self, name: str, message: str) -> None:
        self.warnings.append({"field": name, "message": message})

    def _range(self, known: Searchable, sign: str, value: str) -> tuple[int, int] | None:
        span = _numbers(value) if known.kind == "id" else self._moments(value)
        if span is None:
            return None
        if known.kind == "day":
            span = self._day(span[0])[0], self._day(span[1])[1]
        return {
            ">=": (span[0], _HIGHEST),
            ">": (span[1] + 1, _HIGHEST),
            "<": (_LOWEST, span[0] - 1),
            "<=": (_LOWEST, span[1]),
        }.get(sign, span)

    def _day(self, at: int) -> tuple[int, int]:
        start = (at + self._offset) // _DAY * _DAY - self._offset
        return start, start + _DAY - 1

    def _moments(self, value: str) -> tuple[int, int] | None:
        """First and last second meant; a year and a date are whole, and in the shop's time."""
        if re.fullmatch(r"\d{4}", value):
            first, last = (self._moments(f"{value}-{day}") for day in ("01-01", "12-31"))
            return (first[0], last[1]) if first and last else None
        try:
            told = datetime.fromisoformat(value.upper())
        except ValueError:
            return None
        shift = 0 if told.tzinfo else self._offset
        start = int((told if told.tzinfo else told.replace(tzinfo=UTC)).timestamp()) - shift
        return start, start + (_DAY - 1 if len(value) == 10 else 0)


def _unquoted(raw: str) -> str:
    if raw[:1] in {'"', "'"} and raw[-1:] == raw[:1] and len(raw) > 1:
        return re.sub(r"\\(.)", r"\1", raw[1:-1])
    return raw


def _numbers(value: str) -> tuple[int, int] | None:
    number = value.rsplit("/", 1)[-1]
    if not number.isascii() or not number.isdigit():
        return None
    return int(number), int(number)


def _range_test(known: Searchable, ranges: list[tuple[int, int]]) -> Test:
    read = known.read
    if len(ranges) == 1:
        low, high = ranges[0]
        return lambda one: low <= read(one) <= high
    return lambda one: any(low <= read(one) <= high for low, high in ranges)


def _text_test(known: Searchable, values: list[str]) -> Test:
    """Case does not count; a `*` at the end means any ending."""
    read = known.read
    exact = {value.lower() for value in values if not value.endswith("*")}
    starts = tuple(value[:-1].lower() for value in values if value.endswith("*"))

    def test(one: Any) -> bool:
        held = read(one)
        texts: list[str] = [held] if isinstance(held, str) else list(held or ())
        return any(text.lower() in exact or text.lower().startswith(starts) for text in texts)

    return test


def _all(one: Test | None, other: Test | None) -> Test | None:
    if one is None or other is None:
        return one or other
    return lambda held: one(held) and other(held)


def _any(one: Test | None, other: Test | None) -> Test | None:
    if one is None or other is None:
        return None
    return lambda held: one(held) or other(held)


def _narrower(one: Bounds, other: Bounds) -> Bounds:
    merged = dict(one)
    for name, (low, high) in other.items():
        held = merged.get(name, (_LOWEST, _HIGHEST))
        merged[name] = (max(held[0], low), min(held[1], high))
    return merged


def read_search(
    text: str | None, fields: Mapping[str, Searchable], offset_minutes: int = 0
) -> Search:
    """The meaning of a `query` argument; nothing or blank means everything."""
    if not text or not text.strip():
        return Search(None)
    reader = _Reader(text, fields, offset_minutes)
    test, bounds = reader.whole()
    return Search(test, bounds, reader.warnings)
