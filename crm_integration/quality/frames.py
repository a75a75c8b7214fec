"""Canonical rows of some windows, as frames a suite can judge.

Prevents a check from carrying people out of the database: only columns that are not personal
are read (nothing is unsealed), and never more rows at once than memory allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crm_integration.quality.judged_rows import SELECTS
from crm_integration.quality.rule_columns import Frame
from crm_integration.quality.verdicts import Window
from crm_integration.tenancy.scope import TenantScope


def frames_of(
    scope: TenantScope, subject: str, windows: Sequence[Window], *, chunk_rows: int
) -> Iterator[Frame]:
    """Rows whose raw record's day lies in a window, in frames of about `chunk_rows` rows.

    `subject` is one of `SELECTS`: an entity or `order_line`. Columns are those its rules read
    and `day`, for entities also `flags` and `rules_version`. Without rows there is no frame.
    Rows of one object never lie in two frames, so that a duplicate is always seen. Texts that
    are only asked for a NUL stay where they are: the database cannot hold one.
    """
    statement = SELECTS[subject](windows)
    result = scope.connection.execute(
        statement.order_by(statement.selected_columns[0], statement.selected_columns[1]),
        execution_options={"yield_per": chunk_rows},
    )
    names = list(result.keys())
    carried: list[tuple[Any, ...]] = []
    for rows in result.partitions():
        carried += map(tuple, rows)
        cut = _last_object_starts_at(carried)
        if cut:
            yield _frame(carried[:cut], names)
            carried = carried[cut:]
    if carried:
        yield _frame(carried, names)


def _frame(rows: Sequence[tuple[Any, ...]], names: Sequence[str]) -> Frame:
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    untyped: Any = pd
    return untyped.DataFrame.from_records(rows, columns=names)


def _last_object_starts_at(rows: Sequence[tuple[Any, ...]]) -> int:
    """Where the rows of the last object begin: more of it may be on the way."""
    cut = len(rows) - 1
    while cut and rows[cut - 1][:2] == rows[-1][:2]:
        cut -= 1
    return cut
