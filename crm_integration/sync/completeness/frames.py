"""Rows as pandas frames with the columns and times that the merges expect.

Prevents a merge that depends on what happens to be in a column: an empty one, or one without a
single time, has the same type as any other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from crm_integration.sync.completeness.model import Frame


def pandas() -> Any:
    """The module; it costs half a second to import and ships no types."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    return pd


def frame(
    rows: Iterable[Sequence[Any]], columns: Sequence[str], *, times: Sequence[str] = ()
) -> Frame:
    """A frame of objects; `times` are UTC moments, NaT where there is none."""
    pd = pandas()
    made = pd.DataFrame(list(map(tuple, rows)), columns=list(columns), dtype=object)
    for name in times:
        made[name] = pd.to_datetime(made[name], utc=True)
    return made


def truth(series: Any) -> Any:
    """A column of True and False, False where a merge found nothing."""
    return series.eq(True).astype(bool)  # noqa: FBT003


def first_of(cases: Sequence[tuple[Any, Any]], otherwise: str) -> Any:
    """Of each row the word of the first case that is true of it.

    A case is (a column of truth, a word or a column of words).
    """
    import numpy as np

    conditions = [truth(condition).to_numpy() for condition, _ in cases]
    words = [word if isinstance(word, str) else word.astype(object).to_numpy() for _, word in cases]
    return np.select(conditions, words, default=otherwise).astype(object)


def where(series: Any, test: Callable[[Any], bool]) -> Any:
    """A column of truth: what the test says of each value."""
    return truth(series.map(test))
