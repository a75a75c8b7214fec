"""great_expectations suites made from the rules, and what they say of each row.

Prevents a second set of rules that drifts from the first: an expectation is translated from a
`Rule`, never written by hand. Results name row positions only, for a value in a result would
reach Dagster's event log, where nobody may find a person.

Importing great_expectations costs 2 to 8 s of CPU (platform-facts), so it is imported where a
frame is judged and nowhere else.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

from crm_integration.quality.checks import (
    AtLeast,
    Between,
    KnownCurrency,
    Matches,
    NotAfter,
    NotEmpty,
    Refers,
    Storable,
    SumsTo,
    TextCheck,
    UniqueTogether,
    fields_of,
    text_test,
)
from crm_integration.quality.rules import ONLY_IN_ROWS, Rule

Frame = Any
"""A pandas DataFrame; pandas ships no types."""

_ONLY_POSITIONS = {
    "result_format": "COMPLETE",
    "exclude_unexpected_values": True,
    "include_unexpected_rows": False,
    "partial_unexpected_count": 0,
}


def judge_rows(frame: Frame, rules: Sequence[Rule]) -> dict[str, list[int]]:
    """Positions (from 0) of the rows that fail, for each rule that can be judged on the frame.

    Rules on fields that only rows carry (`ONLY_IN_ROWS`, texts asked for a NUL) are left out
    where the frame lacks them. Raises ValueError when another column is missing, RuntimeError
    when an expectation could not be evaluated.
    """
    judged = [rule for rule in rules if _can_judge(rule, frame)]
    if frame.empty or not judged:
        return {rule.name: [] for rule in judged}
    return {
        name: [int(position) for position in result.get("unexpected_index_list") or ()]
        for name, result in validate(frame, judged).items()
    }


def validate(frame: Frame, rules: Sequence[Rule]) -> dict[str, dict[str, Any]]:
    """great_expectations' own result of each rule: counts and row positions, no values."""
    columns = frame.reset_index(drop=True)
    derived = {rule.name: _derived(rule, columns) for rule in rules}
    made = {name: column for name, column in derived.items() if column is not None}
    read = {field for r in rules if r.name not in made for field in fields_of(r.check)}
    # Only these: great_expectations pickles every value of a frame to tell batches apart.
    columns = columns[sorted(read)].assign(**made)
    found: dict[str, dict[str, Any]] = {}
    for outcome in _batch_results(columns, rules):
        rule = str(outcome.expectation_config.meta["rule"])
        if outcome.exception_info.get("raised_exception"):
            # Its message may quote a value, so it is not passed on.
            raise RuntimeError(f"great_expectations could not evaluate {rule}: check its column")
        found[rule] = dict(outcome.result)
    return found


def _batch_results(columns: Frame, rules: Sequence[Rule]) -> list[Any]:
    gx, context = _in_memory()
    asset = context.data_sources.add_pandas("canonical").add_dataframe_asset("rows")
    definition = asset.add_batch_definition_whole_dataframe("all")
    batch = definition.get_batch({"dataframe": columns})
    expectations = [_expectation(rule, gx.expectations) for rule in rules]
    suite = gx.ExpectationSuite(name="rules", expectations=expectations)
    return batch.validate(suite, result_format=_ONLY_POSITIONS).results


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


def _expectation(rule: Rule, gxe: Any) -> Any:
    meta = {"rule": rule.name}
    match rule.check:
        case AtLeast(_, minimum, exclusive):
            return gxe.ExpectColumnValuesToBeBetween(
                column=rule.name, min_value=minimum, strict_min=exclusive, meta=meta
            )
        case Between(field, earliest, before):
            return gxe.ExpectColumnValuesToBeBetween(
                column=field, min_value=earliest, max_value=before, strict_max=True, meta=meta
            )
        case NotAfter() | SumsTo():
            return gxe.ExpectColumnValuesToBeBetween(column=rule.name, max_value=0, meta=meta)
        case UniqueTogether(fields):
            return gxe.ExpectCompoundColumnsToBeUnique(
                column_list=list(fields), ignore_row_if="any_value_is_missing", meta=meta
            )
        case _:
            return gxe.ExpectColumnValuesToBeInSet(column=rule.name, value_set=[True], meta=meta)


def _derived(rule: Rule, frame: Frame) -> Any:
    """The column a rule is judged by where no column of the frame says it alone.

    Texts become truth values by the row checks' own test: great_expectations would hand a
    pattern to another regular expression engine (pandas' Arrow strings), with other verdicts.
    """
    match rule.check:
        case NotEmpty() | Matches() | KnownCurrency() | Storable():
            return _texts_pass(rule.check, frame)
        case NotAfter(field, other, grace):
            return (frame[field] - frame[other]).dt.total_seconds() - grace
        case SumsTo(total, parts, per):
            return (frame[total] - sum(frame[part] for part in parts)).abs() - frame[per]
        case Refers(field):
            return frame[field]
        case AtLeast(field):
            # Decimals would be compared one by one in Python: ten times as slow.
            return frame[field].astype(float)
        case Between() | UniqueTogether():
            return None


def _texts_pass(check: TextCheck, frame: Frame) -> list[bool]:
    passes, missing_passes = text_test(check), not isinstance(check, NotEmpty)
    present = [field for field in fields_of(check) if field in frame.columns]
    columns = [frame[field].tolist() for field in present]
    return [
        all(passes(text) if isinstance(text, str) else missing_passes for text in texts)
        for texts in zip(*columns, strict=True)
    ]


def _can_judge(rule: Rule, frame: Frame) -> bool:
    missing = set(fields_of(rule.check)) - set(frame.columns)
    if isinstance(rule.check, Storable):
        # Frames read from the database carry few texts, and none of them can hold a NUL.
        return len(missing) < len(rule.check.fields)
    if missing - ONLY_IN_ROWS:
        raise ValueError(f"{rule.name}: the frame has no column {sorted(missing)}")
    return not missing
