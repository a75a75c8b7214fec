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

from crm_integration.quality.drift_holds import DRIFT, drift_verdict
from crm_integration.quality.expectations import judge_frames, judge_rows
from crm_integration.quality.frames import frames_of
from crm_integration.quality.judged_rows import SELECTS, in_windows
from crm_integration.quality.options import Options, Scalar, read_options
from crm_integration.quality.row_checks import THE_ROW
from crm_integration.quality.rule import Rule
from crm_integration.quality.rule_columns import Frame
from crm_integration.quality.rules import LINES_OF, rules_for, rules_version
from crm_integration.quality.verdicts import Verdict, Window, write_verdicts
from crm_integration.quality.volume import HAVE_VOLUME, VOLUME, volume_verdicts
from crm_integration.quality.window_holds import ROW_RULES, SET_RULES, settle_window_holds
from crm_integration.storage.bulk import join_by_hash
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.quality import quarantine
from crm_integration.tenancy.scope import TenantScope

_OF_RULES = (ROW_RULES, SET_RULES)
CHECKS = (*_OF_RULES, VOLUME, DRIFT)
CHUNK_ROWS = 25_000
"""Rows in memory at once: about 25 MB of frame, against 80 ms of fixed cost a suite."""


def checks_of(entity: str) -> tuple[str, ...]:
    """The checks that an entity has; only what has traffic of its own has a volume."""
    return tuple(one for one in CHECKS if one != VOLUME or entity in HAVE_VOLUME)


_ObjectKey = tuple[str, str]


@dataclass
class _Tally:
    """What one window holds; failing objects are kept by key, so that none counts twice."""

    window: Window
    rows: int = 0
    highest_raw_id: int = 0
    failing: dict[str, set[_ObjectKey]] = field(
        default_factory=lambda: {check: set[_ObjectKey]() for check in _OF_RULES}
    )
    by_rule: dict[str, Counter[str]] = field(
        default_factory=lambda: {check: Counter[str]() for check in _OF_RULES}
    )
    kept_back: set[_ObjectKey] = field(default_factory=lambda: set[_ObjectKey]())
    kept_back_lines: int = 0
    flagged: Counter[str] = field(default_factory=lambda: Counter[str]())
    other_rules: int = 0


def judge_frame(entity: str, frame: Frame, options: Mapping[str, Scalar]) -> dict[str, list[int]]:
    """Positions of the rows of a frame that fail, by rule name, [] where all pass.

    `entity` is an entity or its lines (`order_line`, `cart_line`); the frame has a column for
    each field the rules name (`judged_rows.py` lists them). Set rules without their columns
    raise ValueError, as any missing column does. Raises BadInput for a wrong option.
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
    """`judge_entities` of one entity."""
    return judge_entities(
        scope, [entity], windows, options, run_id=run_id, today=today, chunk_rows=chunk_rows
    )


def judge_entities(
    scope: TenantScope,
    entities: Sequence[str],
    windows: Sequence[Window],
    options: Mapping[str, Scalar],
    *,
    run_id: str,
    today: date,
    chunk_rows: int = CHUNK_ROWS,
) -> list[Verdict]:
    """Judge windows of entities; verdicts are written and holds opened or released here.

    Gives `row_rules` and `set_rules` of each window, for what has traffic its `volume`, and of
    the newest window `drift`. Windows must not overlap (ValueError). A window is closed when it
    ended by `today` (UTC); only closed windows hold. Raises BadInput for a wrong option.
    """
    if not windows:
        return []
    join_by_hash(scope.connection)
    chosen, version = read_options(options), rules_version(options)
    judged = {entity: _empty_tallies(windows) for entity in entities}
    _judge_rows(scope, judged, windows, rules_for(options), version, chunk_rows)
    found: list[Verdict] = []
    for entity, tallies in judged.items():
        _count_kept_back(scope, entity, tallies)
        _note_highest_raw_ids(scope, tallies)
        of_rules = [
            _verdict(entity, check, one, chosen, version) for one in tallies for check in _OF_RULES
        ]
        others = _other_verdicts(scope, entity, tallies, chosen, version, run_id, today)
        write_verdicts(scope, [*of_rules, *others], run_id)
        settle_window_holds(scope, entity, today)
        found += [*of_rules, *others]
    return found


def _judge_rows(
    scope: TenantScope,
    judged: Mapping[str, list[_Tally]],
    windows: Sequence[Window],
    rules: Sequence[Rule],
    version: str,
    chunk_rows: int,
) -> None:
    """Judge what lies in the tables: small frames of several entities in one suite."""
    waiting: list[tuple[list[_Tally], Frame, list[Rule]]] = []
    for entity, tallies in judged.items():
        for subject in _subjects(entity):
            of_subject = [rule for rule in rules if rule.entity == subject]
            for frame in frames_of(scope, subject, windows, chunk_rows=chunk_rows):
                if subject == entity:
                    _count_rows(tallies, frame, version)
                waiting.append((tallies, frame, of_subject))
                if sum(len(each) for _, each, _ in waiting) >= chunk_rows:
                    _count_all(waiting)
                    waiting = []
    _count_all(waiting)


def _count_all(waiting: Sequence[tuple[list[_Tally], Frame, list[Rule]]]) -> None:
    failing = judge_frames([(frame, rules) for _, frame, rules in waiting])
    for (tallies, frame, rules), found in zip(waiting, failing, strict=True):
        _count(tallies, frame, rules, found)


def _other_verdicts(
    scope: TenantScope,
    entity: str,
    tallies: Sequence[_Tally],
    options: Options,
    version: str,
    run_id: str,
    today: date,
) -> list[Verdict]:
    """Volume of every window where the entity has one, drift of the newest window."""
    found: list[Verdict] = []
    if entity in HAVE_VOLUME:
        found = volume_verdicts(
            scope,
            entity,
            [tally.window for tally in tallies],
            options,
            today=today,
            rules_version=version,
            highest_raw_ids={tally.window.start: tally.highest_raw_id for tally in tallies},
        )
    newest = tallies[-1]
    drift = drift_verdict(
        scope,
        entity,
        newest.window,
        highest_raw_id=newest.highest_raw_id,
        rules_version=version,
        run_id=run_id,
    )
    return [*found, drift]


def _subjects(entity: str) -> list[str]:
    """The entity, and its lines where they lie in a table."""
    return [one for one in (entity, LINES_OF.get(entity, "")) if one in SELECTS]


def _empty_tallies(windows: Sequence[Window]) -> list[_Tally]:
    ordered = sorted(windows, key=lambda window: window.start)
    for one, following in zip(ordered, ordered[1:], strict=False):
        if one.end > following.start:
            raise ValueError(f"the windows from {one.start} and {following.start} overlap")
    return [_Tally(window) for window in ordered]


def _at(tallies: Sequence[_Tally], day: date) -> _Tally:
    return tallies[bisect_right(tallies, day, key=lambda tally: tally.window.start) - 1]


def _count(
    tallies: Sequence[_Tally],
    frame: Frame,
    rules: Sequence[Rule],
    failing: Mapping[str, list[int]],
) -> None:
    """Add a frame's failures to the windows they belong to."""
    days: list[date] = frame["day"].tolist()
    keys = list(zip(frame["connection_id"], frame["source_id"], strict=True))
    by_name = {rule.name: rule for rule in rules}
    for name, positions in failing.items():
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
