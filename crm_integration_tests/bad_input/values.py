"""Values that have no business where money, a date, a state or a block is expected."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from crm_integration.stores._contract import SourceObject
from crm_integration_tests.bad_input.samples import Path, Sample, leaves, places

APART = 50_000
"""Copies of the samples of one batch are numbered so far apart."""

AMOUNTS: tuple[Any, ...] = (
    0, -1, 7, 17.995, -0.0, 1e30, 1e-30, 10**25, float("nan"), float("inf"), float("-inf"),
    "", " ", "0", "-0", "-0.00", "+1", " 12.50 ", "1,234.50", "1.234,50", "12,50", "1e3", "1E+400",
    "1e-400", "1e30", "0x10", "NaN", "sNaN", "Infinity", "-Infinity", "£10", "10 GBP", "١٢٫٥٠",
    "12.345678901234567890123456789", "9" * 40, "0." + "0" * 400 + "1", "1" * 5_000, "1_000",
    "92233720368547758.07", "92233720368547758.08", "-92233720368547758.09",
    2**31 - 1, -(2**31), 2**31, None, True, False, [], {}, ["1.00"], {"amount": "1.00"},
)  # fmt: skip

MOMENTS: tuple[Any, ...] = (
    "0001-01-01T00:00:00Z", "0001-01-01T00:00:00+14:00", "0001-01-01T00:00:00", "9999-12-31",
    "9999-12-31T23:59:59Z", "9999-12-31T23:59:59-14:00", "9999-12-31T23:59:59", "0000-00-00",
    "0000-00-00 00:00:00", "0000-01-01T00:00:00Z", "-0001-11-30T00:00:00", "10000-01-01T00:00:00Z",
    "2026-02-30T12:00:00Z", "2026-02-29T12:00:00Z", "2026-13-01T00:00:00Z", "2026-10-20T24:00:00Z",
    "2026-12-31T23:59:60Z", "2026-10-20T12:00:00", "2026-10-20 12:00:00", "20261020T120000Z",
    "2026-W43-2", "2026-10-20T12:00:00+25:00", "2026-10-20T12:00:00.123456789Z", "20/10/2026",
    "Oct 20, 2026", "now", "1792497600", "1792497600000", "", " ", 1792497600, 1792497600.5,
    1792497600000, -62135596800, 253402300800, 10**30, float("nan"), 0, None, True, [], {},
)  # fmt: skip

STATES: tuple[str, ...] = (
    "lost-in-space", "wc-lost", "PROCESSING", " processing ", "SUBSCRIBED_MAYBE", "on_fire", "🙂",
    "", "null", "draft", "trash", "auto-draft", "checkout-draft", "x" * 300,
)  # fmt: skip
"""Plugins make states of their own, and vendors add theirs without a word."""

OTHER_TYPES: tuple[Any, ...] = (
    None, True, 0, -7, 1.5, 10**30, "word", "", [], {}, [None], [[]], ["word"], [{}], {"a": {}},
    {"": None}, {"id": "word"}, [1, "two", None],
)  # fmt: skip

Where = Callable[[Sample], Sequence[Path]]
"""The places of a sample that a test is about."""

_MONEY = re.compile(r"-?\d+(\.\d+)?")
_MOMENT = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d.*")
_STATE = re.compile(r"status|state|kind|type|role|via|channel|level", re.IGNORECASE)


def money_of(sample: Sample) -> tuple[Path, ...]:
    """Where amounts, prices and numbers of pieces stand."""
    return tuple(
        path
        for path, value in leaves(sample.document)
        if not _is_flag_or_id(path, value) and _MONEY.fullmatch(str(value))
    )


def moments_of(sample: Sample) -> tuple[Path, ...]:
    """Where points in time stand."""
    return tuple(p for p, value in leaves(sample.document) if _MOMENT.fullmatch(str(value)))


def states_of(sample: Sample) -> tuple[Path, ...]:
    """Where a word out of a vendor's list stands."""
    found = dict(leaves(sample.document))
    return tuple(
        path for path in sample.texts
        if _STATE.search(str(path[-1])) and str(found[path]).replace("_", "").isalpha()
    ) + tuple(
        path for path in sample.texts
        if path[-1] in ("code", "name") and path[-2:-1] == ("status",)
    )  # fmt: skip


def free_of(sample: Sample) -> tuple[Path, ...]:
    """Text fields that may hold any words."""
    return sample.free


def bound_of(sample: Sample) -> tuple[Path, ...]:
    """Text fields with a form of their own."""
    return sample.bound


def every_place(sample: Sample) -> tuple[Path, ...]:
    """Everything but the object's own id."""
    own = set(sample.own_ids)
    return tuple(path for path in places(sample.document) if path not in own)


def _is_flag_or_id(path: Path, value: Any) -> bool:
    names = [str(part).lower() for part in path[-2:]]
    return isinstance(value, bool) or any(name.endswith(("id", "ids")) for name in names)


def in_turn(
    samples: Sequence[Sample], where: Where, values: Sequence[Any]
) -> Iterator[SourceObject]:
    """Copies with one value at one place, until every value and every place has had its turn."""
    for first, sample, paths in _numbered(samples, where):
        for turn in range(max(len(paths), len(values))):
            change = {paths[turn % len(paths)]: values[turn % len(values)]}
            yield from sample.copy(first + turn, change)


def all_at_once(
    samples: Sequence[Sample], where: Where, values: Sequence[Any]
) -> Iterator[SourceObject]:
    """For each value a copy that has it at all the places."""
    for first, sample, paths in _numbered(samples, where):
        for turn, value in enumerate(values):
            yield from sample.copy(first + APART // 2 + turn, dict.fromkeys(paths, value))


def _numbered(
    samples: Sequence[Sample], where: Where
) -> Iterator[tuple[int, Sample, Sequence[Path]]]:
    """Samples that have such places, with the number of the first copy."""
    for position, sample in enumerate(samples):
        paths = where(sample)
        if paths:
            yield position * APART + 1, sample, paths
