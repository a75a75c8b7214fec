"""great_expectations suites made from the rules, and what they say of each row.

Prevents a second set of rules that drifts from the first: an expectation is translated from a
`Rule`, never written by hand. Results name row positions only, for a value in a result would
reach Dagster's event log, where nobody may find a person.

Rules that expect the same of their columns are asked as one expectation, their columns one below
the other: at most eight expectations a suite, whatever the number of rules and entities.

Importing great_expectations costs 2 to 8 s of CPU (platform-facts), so it is imported where a
frame is judged and nowhere else.
"""

from __future__ import annotations

import warnings
from bisect import bisect_right
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any

from crm_integration.quality.checks import (
    AtLeast,
    Between,
    Check,
    NotAfter,
    SumsTo,
    UniqueTogether,
)
from crm_integration.quality.rule import Rule
from crm_integration.quality.rule_columns import Frame, can_judge, column_of

_ONLY_POSITIONS = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "partial_unexpected_count": 0,
}


@dataclass(frozen=True)
class Asked:
    """One expectation about the columns of several rules, which lie one below the other.

    `parts` are the rules with the number of the frame they are judged on.
    """

    name: str
    check: Check
    parts: tuple[tuple[int, Rule], ...]


Subject = tuple[Frame, Sequence[Rule]]
"""A frame and the rules it is to be judged by."""


def judge_rows(frame: Frame, rules: Sequence[Rule]) -> dict[str, list[int]]:
    """`judge_frames` of one frame."""
    return judge_frames([(frame, rules)])[0]


def judge_frames(subjects: Sequence[Subject]) -> list[dict[str, list[int]]]:
    """For each frame the positions (from 0) of the rows that fail, by rule that can be judged.

    Rules on fields that only rows carry (`ONLY_IN_ROWS`, texts asked for a NUL) are left out
    where a frame lacks them. Raises ValueError when another column is missing, RuntimeError
    when an expectation could not be evaluated.
    """
    judged = [
        (frame, [rule for rule in rules if can_judge(rule, frame)]) for frame, rules in subjects
    ]
    found: list[dict[str, list[int]]] = [{rule.name: [] for rule in rules} for _, rules in judged]
    frames = [frame for frame, _ in judged]
    asked = grouped([() if frame.empty else rules for frame, rules in judged])
    for one, result in zip(asked, validate(frames, asked), strict=True):
        starts = list(accumulate((len(frames[at]) for at, _ in one.parts), initial=0))
        for position in result.get("unexpected_index_list") or ():
            part = bisect_right(starts, int(position)) - 1
            at, rule = one.parts[part]
            found[at][rule.name].append(int(position) - starts[part])
    return found


def grouped(rules_of: Sequence[Sequence[Rule]]) -> list[Asked]:
    """Rules (by frame) that expect the same, together: an expectation costs 10 ms of CPU."""
    alike: dict[Hashable, list[tuple[int, Rule]]] = {}
    for at, rules in enumerate(rules_of):
        for rule in rules:
            alike.setdefault(_expects(rule.check), []).append((at, rule))
    return [
        Asked(f"expected_{number}", parts[0][1].check, tuple(parts))
        for number, parts in enumerate(alike.values())
    ]


def _expects(check: Check) -> Hashable:
    match check:
        case AtLeast(_, minimum, exclusive):
            return ("at_least", minimum, exclusive)
        case Between(_, earliest, before):
            return ("between", earliest, before)
        case NotAfter() | SumsTo():
            return "no_excess"
        case UniqueTogether():
            return "unique"
        case _:
            return "true"


def validate(frames: Sequence[Frame], asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """great_expectations' own result of each expectation: counts and positions, no values."""
    if not asked:
        return []
    columns = _columns([frame.reset_index(drop=True) for frame in frames], asked)
    found: list[dict[str, Any]] = []
    for one, outcome in zip(asked, _batch_results(columns, asked), strict=True):
        if outcome.exception_info.get("raised_exception"):
            names = ", ".join(rule.name for _, rule in one.parts)
            # Its message may quote a value, so it is not passed on.
            raise RuntimeError(f"great_expectations could not evaluate {names}: check the columns")
        found.append(dict(outcome.result))
    return found


def _columns(frames: Sequence[Frame], asked: Sequence[Asked]) -> Frame:
    """Only what is judged (great_expectations pickles every value of a frame to tell batches
    apart), filled up with missing values, which break no rule."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    untyped: Any = pd
    length = max(sum(len(frames[at]) for at, _ in one.parts) for one in asked)
    made: dict[str, Any] = {}
    for one in asked:
        if isinstance(one.check, UniqueTogether):
            keys = untyped.concat([_key(frames[at], at, rule) for at, rule in one.parts])
            made |= {_key_column(one, place): keys[place] for place in _key_places()}
        else:
            columns = [untyped.Series(column_of(rule, frames[at])) for at, rule in one.parts]
            made[one.name] = untyped.concat(columns)
    whole = range(length)
    filled = {name: column.reset_index(drop=True).reindex(whole) for name, column in made.items()}
    return untyped.DataFrame(filled)


def _key(frame: Frame, at: int, rule: Rule) -> Frame:
    """What must be unique, with the number of its frame; a key that is shorter ends in zeros."""
    fields = rule.check.fields if isinstance(rule.check, UniqueTogether) else ()
    padding = (0,) * (_KEY_FIELDS - len(fields))
    named = {place: frame[name] for place, name in enumerate(fields, start=1)}
    named |= {place: zero for place, zero in enumerate(padding, start=len(fields) + 1)}
    return frame[[]].assign(**{str(place): value for place, value in ({0: at} | named).items()})


_KEY_FIELDS = 4
"""Fields of the longest key: connection, source id, and what tells events of one source apart."""


def _key_places() -> list[str]:
    return [str(place) for place in range(_KEY_FIELDS + 1)]


def _key_column(one: Asked, place: str) -> str:
    return f"{one.name}.{place}"


def _batch_results(columns: Frame, asked: Sequence[Asked]) -> list[Any]:
    """In the order in which they were asked."""
    gx, context = _in_memory()
    asset = context.data_sources.add_pandas("canonical").add_dataframe_asset("rows")
    definition = asset.add_batch_definition_whole_dataframe("all")
    batch = definition.get_batch({"dataframe": columns})
    expectations = [_expectation(one, gx.expectations) for one in asked]
    suite = gx.ExpectationSuite(name="rules", expectations=expectations)
    results = batch.validate(suite, result_format=_ONLY_POSITIONS).results
    place = {one.name: number for number, one in enumerate(asked)}
    return sorted(results, key=lambda one: place[one.expectation_config.meta["asked"]])


def _in_memory() -> tuple[Any, Any]:
    """The library and a context that writes no file, calls nobody and draws no progress bar."""
    with warnings.catch_warnings():
        # great_expectations imports modules that Python deprecated; not ours to mend.
        warnings.simplefilter("ignore", DeprecationWarning)
        import great_expectations
        from great_expectations.data_context.types import base

    gx: Any = great_expectations  # partly typed only
    config = base.DataContextConfig(
        store_backend_defaults=base.InMemoryStoreBackendDefaults(init_temp_docs_sites=False),
        analytics_enabled=False,
        progress_bars=base.ProgressBarsConfig(globally=False, metric_calculations=False),
    )
    return gx, gx.get_context(mode="ephemeral", project_config=config)


def _expectation(one: Asked, gxe: Any) -> Any:
    meta = {"asked": one.name}
    match one.check:
        case AtLeast(_, minimum, exclusive):
            return gxe.ExpectColumnValuesToBeBetween(
                column=one.name, min_value=minimum, strict_min=exclusive, meta=meta
            )
        case Between(_, earliest, before):
            return gxe.ExpectColumnValuesToBeBetween(
                column=one.name, min_value=earliest, max_value=before, strict_max=True, meta=meta
            )
        case NotAfter() | SumsTo():
            return gxe.ExpectColumnValuesToBeBetween(column=one.name, max_value=0, meta=meta)
        case UniqueTogether():
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=[_key_column(one, place) for place in _key_places()],
                ignore_row_if="any_value_is_missing",
                meta=meta,
            )
        case _:
            return gxe.ExpectColumnValuesToBeInSet(column=one.name, value_set=[True], meta=meta)
