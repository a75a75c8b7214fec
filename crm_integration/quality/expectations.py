"""great_expectations suites made from the rules, and what they say of each row.

Prevents a second set of rules that drifts from the first: an expectation is translated from a
`Rule`, never written by hand. Results name row positions only, for a value in a result would
reach Dagster's event log, where nobody may find a person.

Rules that expect the same of their columns are asked as one expectation, their columns one below
the other: five or six expectations a suite, whatever the number of rules.

Importing great_expectations costs 2 to 8 s of CPU (platform-facts), so it is imported where a
frame is judged and nowhere else.
"""

from __future__ import annotations

import warnings
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
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
    """One expectation about the columns of several rules, which lie one below the other."""

    name: str
    check: Check
    rules: tuple[Rule, ...]


def judge_rows(frame: Frame, rules: Sequence[Rule]) -> dict[str, list[int]]:
    """Positions (from 0) of the rows that fail, for each rule that can be judged on the frame.

    Rules on fields that only rows carry (`ONLY_IN_ROWS`, texts asked for a NUL) are left out
    where the frame lacks them. Raises ValueError when another column is missing, RuntimeError
    when an expectation could not be evaluated.
    """
    judged = [rule for rule in rules if can_judge(rule, frame)]
    found: dict[str, list[int]] = {rule.name: [] for rule in judged}
    if frame.empty or not judged:
        return found
    asked = grouped(judged)
    for one, result in zip(asked, validate(frame, asked), strict=True):
        for position in result.get("unexpected_index_list") or ():
            number, row = divmod(int(position), len(frame))
            found[one.rules[number].name].append(row)
    return found


def grouped(rules: Sequence[Rule]) -> list[Asked]:
    """Rules that expect the same, together: an expectation costs 10 ms, however few the rows."""
    alike: dict[Hashable, list[Rule]] = {}
    for rule in rules:
        match rule.check:
            case AtLeast(_, minimum, exclusive):
                expects: Hashable = ("at_least", minimum, exclusive)
            case Between(_, earliest, before):
                expects = ("between", earliest, before)
            case NotAfter() | SumsTo():
                expects = "no_excess"
            case UniqueTogether():
                expects = ("unique", rule.name)
            case _:
                expects = "true"
        alike.setdefault(expects, []).append(rule)
    return [
        Asked(f"expected_{number}", together[0].check, tuple(together))
        for number, together in enumerate(alike.values())
    ]


def validate(frame: Frame, asked: Sequence[Asked]) -> list[dict[str, Any]]:
    """great_expectations' own result of each expectation: counts and positions, no values."""
    rows = frame.reset_index(drop=True)
    columns = _columns(rows, asked)
    found: list[dict[str, Any]] = []
    for one, outcome in zip(asked, _batch_results(columns, asked), strict=True):
        if outcome.exception_info.get("raised_exception"):
            names = ", ".join(rule.name for rule in one.rules)
            # Its message may quote a value, so it is not passed on.
            raise RuntimeError(f"great_expectations could not evaluate {names}: check the columns")
        found.append(dict(outcome.result))
    return found


def _columns(frame: Frame, asked: Sequence[Asked]) -> Frame:
    """Only what is judged (great_expectations pickles every value of a frame to tell batches
    apart), filled up with missing values, which break no rule."""
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    untyped: Any = pd
    length = len(frame) * max(len(one.rules) for one in asked)
    made: dict[str, Any] = {}
    for one in asked:
        if isinstance(one.check, UniqueTogether):
            made |= {_of(one, name): frame[name] for name in one.check.fields}
        else:
            columns = [untyped.Series(column_of(rule, frame)) for rule in one.rules]
            made[one.name] = untyped.concat(columns, ignore_index=True)
    return untyped.DataFrame({name: made[name].reindex(range(length)) for name in made})


def _of(one: Asked, field: str) -> str:
    return f"{one.name}.{field}"


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
        case UniqueTogether(fields):
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=[_of(one, name) for name in fields],
                ignore_row_if="any_value_is_missing",
                meta=meta,
            )
        case _:
            return gxe.ExpectColumnValuesToBeInSet(column=one.name, value_set=[True], meta=meta)
