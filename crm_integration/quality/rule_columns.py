"""The column of a frame that a rule is judged by.

Prevents texts from being judged by another engine than in a live run: what a text must be is asked
by the row checks' own test, only numbers, times and truth values are left to the suite.
"""

from __future__ import annotations

from typing import Any

from crm_integration.quality.checks import (
    AnyGiven,
    AtLeast,
    Between,
    KnownCurrency,
    Matches,
    NotAfter,
    NotEmpty,
    OneOf,
    Refers,
    Storable,
    SumsTo,
    TextCheck,
    UniqueTogether,
    fields_of,
    is_visible,
    text_test,
)
from crm_integration.quality.rule import Rule
from crm_integration.quality.rules import ONLY_IN_ROWS

Frame = Any
"""A pandas DataFrame; pandas ships no types."""


def can_judge(rule: Rule, frame: Frame) -> bool:
    """Has the frame what the rule reads? Raises ValueError where a column is missing that no
    table seals.
    """
    missing = set(fields_of(rule.check)) - set(frame.columns)
    if isinstance(rule.check, Storable):
        # Frames read from the database carry few texts, and none of them can hold a NUL.
        return len(missing) < len(rule.check.fields)
    if missing - ONLY_IN_ROWS:
        raise ValueError(f"{rule.name}: the frame has no column {sorted(missing)}")
    return not missing


def column_of(rule: Rule, frame: Frame) -> Any:
    """What of a frame a rule is judged by, one value a row.

    Texts become truth values by the row checks' own test: great_expectations would hand a
    pattern to another regular expression engine (pandas' Arrow strings), with other verdicts.
    """
    match rule.check:
        case NotEmpty() | Matches() | KnownCurrency() | OneOf() | Storable():
            return _texts_pass(rule.check, frame)
        case AnyGiven(fields):
            columns = [frame[field].tolist() for field in fields]
            return [
                any(isinstance(text, str) and is_visible(text) for text in texts)
                for texts in zip(*columns, strict=True)
            ]
        case NotAfter(field, other, grace):
            return (_times(frame[field]) - _times(frame[other])).dt.total_seconds() - grace
        case SumsTo(total, parts, per):
            return (frame[total] - sum(frame[part] for part in parts)).abs() - frame[per]
        case Refers(field):
            return frame[field]
        case AtLeast(field):
            # Decimals would be compared one by one in Python: ten times as slow.
            return frame[field].astype(float)
        case Between(field):
            return _times(frame[field])
        case UniqueTogether():
            raise ValueError(f"{rule.name} is judged by several columns at once")


def _times(column: Any) -> Any:
    """A column in which nobody stated a time holds nothing that pandas takes for one."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    untyped: Any = pd
    return untyped.to_datetime(column, utc=True)


def _texts_pass(check: TextCheck, frame: Frame) -> list[bool]:
    passes, missing_passes = text_test(check), not isinstance(check, NotEmpty)
    present = [field for field in fields_of(check) if field in frame.columns]
    columns = [frame[field].tolist() for field in present]
    return [
        all(passes(text) if isinstance(text, str) else missing_passes for text in texts)
        for texts in zip(*columns, strict=True)
    ]
