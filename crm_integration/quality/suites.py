"""Judging whole windows: great_expectations suites made from the rules, verdicts and holds.

Prevents a bad day from slipping through record by record: single rows can all look sane while
a third of the day is kept back or orders point at customers that do not exist. A closed window
that fails holds the writes of its object type until no closed window fails any more.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import and_, func, select

from crm_integration.quality import holds
from crm_integration.quality.expectations import Frame, judge_rows
from crm_integration.quality.frames import frames_of, in_windows
from crm_integration.quality.options import Options, Scalar, read_options
from crm_integration.quality.row_checks import THE_ROW
from crm_integration.quality.rules import LINES_OF, Rule, rules_for, rules_version
from crm_integration.quality.verdicts import Verdict, Window, failing_windows, write_verdicts
from crm_integration.storage.bulk import join_by_hash
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.quality import quarantine
from crm_integration.tenancy.scope import TenantScope

ROW_RULES, SET_RULES = "row_rules", "set_rules"
CHECKS = (ROW_RULES, SET_RULES)
CHUNK_ROWS = 100_000
"""Rows in memory at once: about 100 MB of frame, and 80 ms of fixed cost a suite is nothing."""

_FIXES = {
    ROW_RULES: "See what is kept back and why, correct it in the store, then replay these days.",
    SET_RULES: "Replay these days; if the check still fails, look at the rows its rules name.",
}
_ObjectKey = tuple[str, str]


@dataclass
class _Tally:
    """What one window holds; failing objects are kept by key, so that none counts twice."""

    window: Window
    rows: int = 0
    highest_raw_id: int = 0
    failing: dict[str, set[_ObjectKey]] = field(
        default_factory=lambda: {check: set[_ObjectKey]() for check in CHECKS}
    )
    by_rule: dict[str, Counter[str]] = field(
        default_factory=lambda: {check: Counter[str]() for check in CHECKS}
    )
    kept_back: set[_ObjectKey] = field(default_factory=lambda: set[_ObjectKey]())
    kept_back_lines: int = 0
    flagged: Counter[str] = field(default_factory=lambda: Counter[str]())
    other_rules: int = 0


def judge_frame(entity: str, frame: Frame, options: Mapping[str, Scalar]) -> dict[str, list[int]]:
    """Positions of the rows of a frame that fail, by rule name, [] where all pass.

    `entity` is one of the four or `order_line`; the frame has a column for each field the
    rules name (`frames.py` lists them). Set rules without their columns raise ValueError, as
    any missing column does. Raises BadInput for a wrong option.
    """
    return judge_rows(frame, [rule for rule in rules_for(options) if rule.entity == entity])


def judge_windows(
    scope: TenantScope,
    entity: str,
    windows: Sequence[Window],
    options: Mapping[str, Scalar],
    *,
    run_id: str,
    today: date,
    chunk_rows: int = CHUNK_ROWS,
) -> list[Verdict]:
    """Judge windows of one entity; verdicts are written and holds opened or released here.

    Gives two verdicts a window, `row_rules` and `set_rules`. Windows must not overlap
    (ValueError). A window is closed when it ended by `today` (UTC); only closed windows hold.
    Raises BadInput for a wrong option.
    """
    if not windows:
        return []
    join_by_hash(scope.connection)
    tallies = _empty_tallies(windows)
    chosen, version = read_options(options), rules_version(options)
    for subject in (entity, *([LINES_OF[entity]] if entity in LINES_OF else ())):
        rules = [rule for rule in rules_for(options) if rule.entity == subject]
        for frame in frames_of(scope, subject, windows, chunk_rows=chunk_rows):
            _count(tallies, frame, rules)
            if subject == entity:
                _count_rows(tallies, frame, version)
    _count_kept_back(scope, entity, tallies)
    _note_highest_raw_ids(scope, tallies)
    found = [
        _verdict(entity, check, tally, chosen, version) for tally in tallies for check in CHECKS
    ]
    write_verdicts(scope, found, run_id)
    for check in CHECKS:
        _settle_hold(scope, entity, check, today)
    return found


def _empty_tallies(windows: Sequence[Window]) -> list[_Tally]:
    ordered = sorted(windows, key=lambda window: window.start)
    for one, following in zip(ordered, ordered[1:], strict=False):
        if one.end > following.start:
            raise ValueError(f"the windows from {one.start} and {following.start} overlap")
    return [_Tally(window) for window in ordered]


def _at(tallies: Sequence[_Tally], day: date) -> _Tally:
    return tallies[bisect_right(tallies, day, key=lambda tally: tally.window.start) - 1]


def _count(tallies: Sequence[_Tally], frame: Frame, rules: Sequence[Rule]) -> None:
    """Add a frame's failures to the windows they belong to."""
    days: list[date] = frame["day"].tolist()
    keys = list(zip(frame["connection_id"], frame["source_id"], strict=True))
    by_name = {rule.name: rule for rule in rules}
    for name, positions in judge_rows(frame, rules).items():
        rule = by_name[name]
        check = SET_RULES if rule.level == "set" else ROW_RULES
        for position in positions:
            tally = _at(tallies, days[position])
            tally.by_rule[check][name] += 1
            if rule.severity == "quarantine":
                tally.failing[check].add(keys[position])


def _count_rows(tallies: Sequence[_Tally], frame: Frame, version: str) -> None:
    """Add a frame's rows, their flags, and how many of them other rules had accepted."""
    days: list[date] = frame["day"].tolist()
    for (day, accepted_by), rows in Counter(zip(days, frame["rules_version"], strict=True)).items():
        tally = _at(tallies, day)
        tally.rows += rows
        tally.other_rules += rows if accepted_by != version else 0
    for day, flags in zip(days, frame["flags"], strict=True):
        if flags:
            _at(tallies, day).flagged.update(flags)


def _count_kept_back(scope: TenantScope, entity: str, tallies: Sequence[_Tally]) -> None:
    """Add what is kept back now, on the day of its raw record."""
    same_record = and_(
        raw_records.c.tenant_id == quarantine.c.tenant_id,
        raw_records.c.raw_id == quarantine.c.raw_id,
    )
    columns = (quarantine.c.connection_id, quarantine.c.source_id, quarantine.c.position)
    rows = scope.connection.execute(
        select(*columns, quarantine.c.rule, raw_records.c.day)
        .join_from(quarantine, raw_records, same_record)
        .where(quarantine.c.entity == entity, quarantine.c.released_at.is_(None))
        .where(in_windows([tally.window for tally in tallies]))
    )
    for connection_id, source_id, position, rule, day in rows:
        tally = _at(tallies, day)
        tally.by_rule[ROW_RULES][rule] += 1
        if position == THE_ROW:
            tally.kept_back.add((connection_id, source_id))
        else:
            tally.kept_back_lines += 1
    for tally in tallies:
        tally.rows += len(tally.kept_back)
        tally.failing[ROW_RULES] |= tally.kept_back


def _note_highest_raw_ids(scope: TenantScope, tallies: Sequence[_Tally]) -> None:
    rows = scope.connection.execute(
        select(raw_records.c.day, func.max(raw_records.c.raw_id))
        .where(in_windows([tally.window for tally in tallies]))
        .group_by(raw_records.c.day)
    )
    for day, highest in rows:
        tally = _at(tallies, day)
        tally.highest_raw_id = max(tally.highest_raw_id, highest)


def _verdict(entity: str, check: str, tally: _Tally, options: Options, version: str) -> Verdict:
    failed = len(tally.failing[check])
    details: dict[str, object] = {"rules": dict(tally.by_rule[check])}
    passed = failed == 0
    if check == ROW_RULES:
        few = failed < options.quarantine_min_rows
        passed = few or failed <= options.quarantine_max_share * tally.rows
        details |= {
            "kept_back": len(tally.kept_back),
            "kept_back_lines": tally.kept_back_lines,
            "flagged": dict(tally.flagged),
            "accepted_by_other_rules": tally.other_rules,
            "max_share": options.quarantine_max_share,
            "min_rows": options.quarantine_min_rows,
        }
    return Verdict(
        entity=entity,
        check_name=check,
        window_start=tally.window.start,
        window_end=tally.window.end,
        passed=passed,
        rows=tally.rows,
        failed=failed,
        highest_raw_id=tally.highest_raw_id,
        rules_version=version,
        details=details,
    )


def _settle_hold(scope: TenantScope, entity: str, check: str, today: date) -> None:
    """Open, update or release the hold of a check by what its newest verdicts say."""
    object_type, actor = holds.HELD_OBJECT[entity], f"check {check}"
    failing = failing_windows(scope, entity, check, today)
    if not failing:
        holds.release(scope, object_type, check, actor)
        return
    first = failing[0]
    rules = ", ".join(sorted(first.details["rules"])) or "none"
    holds.open_hold(
        scope,
        object_type,
        check,
        f"{len(failing)} closed window(s) of {entity} fail {check}, the first "
        f"{first.window_start} to {first.window_end} with {first.failed} of {first.rows} rows "
        f"(rules: {rules})",
        _FIXES[check],
        sum(verdict.failed for verdict in failing),
        by=actor,
    )
