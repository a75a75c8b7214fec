"""Turns what a run did into Dagster events: a materialization for each partition that passed.

Prevents the green lie: in a run over many partitions a check without its own partition hides
the one that failed; here each partition has its own materialization and check evaluations, and
one that did not pass has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from dagster import (
    AssetCheckEvaluation,
    AssetCheckSeverity,
    AssetExecutionContext,
    AssetKey,
    AssetMaterialization,
    DagsterEvent,
    MetadataValue,
    OpExecutionContext,
)
from dagster._core.events import DagsterEventBatchMetadata

from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.money import to_decimal_text
from crm_integration.defs import canonical, crm_sync, store_extracts
from crm_integration.defs.partitions import key_of
from crm_integration.defs.store_extracts import PLURAL
from crm_integration.defs.targets import Target, targets_of
from crm_integration.quality.verdicts import Verdict
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House
from crm_integration.sync.report import PathReport, Selection
from crm_integration.sync.window_counts import (
    DayCounts,
    canonical_counts,
    ledger_counts,
    raw_counts,
    summed,
)

Metadata = Mapping[str, Any]
Context = AssetExecutionContext | OpExecutionContext
"""Of the step that materializes what was selected, or of one that reports what it found to do."""


@dataclass
class _Written:
    """Materializations by asset; checks point at them."""

    found: dict[AssetKey, list[AssetMaterialization]] = field(
        default_factory=lambda: dict[AssetKey, list[AssetMaterialization]]()
    )

    def store(self, context: Context) -> None:
        """One insert per asset: stored one by one, an event costs 18 ms (platform-facts)."""
        own = getattr(context, "op_execution_context", context)
        step = own.get_step_execution_context()
        for key, materializations in self.found.items():
            batch = f"{context.run.run_id}/{key.to_user_string()}/{materializations[0].partition}"
            for number, one in enumerate(materializations, start=1):
                ends = number == len(materializations)
                DagsterEvent.asset_materialization(
                    step, one, DagsterEventBatchMetadata(batch, is_end=ends)
                )


def report_run(
    context: Context,
    house: House,
    report: PathReport,
    windows: Iterable[Window],
    selection: Selection,
) -> None:
    """Log the events of one tenant's run."""
    if report.failed("start", report.tenant):
        # Nothing passed, and its walls may not even open: only what was judged is told.
        _evaluate(context, report, _Written())
        return
    spans = list(windows)
    days = (min(one.start for one in spans), max(one.end for one in spans))
    written = _Written()
    with house.engines.tenancy.scope(report.tenant) as scope:
        raw, rows, sent = (
            raw_counts(scope, days, selection.extracts),
            canonical_counts(scope, days, selection.canonical),
            ledger_counts(scope, days, selection.crm),
        )
    for window in spans:
        for name in sorted(selection.extracts):
            if not report.failed("extract", name):
                counts = summed(raw[name], window.start, window.end)
                key = [store_extracts.GROUP, PLURAL[name]]
                _materialize(written, report, window, key, _extracted(report, name, counts))
        for name in sorted(selection.canonical):
            if _canonical_passed(report, name, window):
                counts = summed(rows[name], window.start, window.end)
                key = [canonical.GROUP, PLURAL[name]]
                _materialize(written, report, window, key, _derived(report, name, counts))
        for name in sorted(selection.crm):
            if _crm_passed(report, name, window):
                counts = summed(sent[name], window.start, window.end)
                key = [crm_sync.GROUP, crm_sync.NAMES[name]]
                _materialize(written, report, window, key, _sent(report, name, counts))
    written.store(context)
    _evaluate(context, report, written)


def _canonical_passed(report: PathReport, entity: str, window: Window) -> bool:
    return not report.failed("derive", entity) and all(
        verdict.passed for verdict in _verdicts(report, entity, window)
    )


def _crm_passed(report: PathReport, object_type: str, window: Window) -> bool:
    entity = crm_sync.OBJECTS[object_type]
    return not report.failed("sync", object_type) and _canonical_passed(report, entity, window)


def _verdicts(report: PathReport, entity: str, window: Window) -> list[Verdict]:
    return [
        verdict
        for verdict in report.verdicts
        if verdict.entity == entity and verdict.window_start == window.start
    ]


def _materialize(
    written: _Written,
    report: PathReport,
    window: Window,
    path: list[str],
    metadata: Metadata,
) -> None:
    key = AssetKey(path)
    partition = key_of(report.tenant, window.start)
    one = AssetMaterialization(key, partition=partition, metadata=metadata)
    written.found.setdefault(key, []).append(one)


def _extracted(report: PathReport, name: str, counts: DayCounts) -> Metadata:
    listed = report.extracted.get(name)
    return {
        "dagster/partition_row_count": counts.raw,
        "repeats not kept twice": counts.repeats,
        "kept by this run": listed.kept.kept if listed else 0,
        "pages of this run": listed.pages if listed else 0,
        "resumed": bool(listed and listed.resumed),
        "unreadable": len(listed.unreadable) if listed else 0,
    }


def _derived(report: PathReport, name: str, counts: DayCounts) -> Metadata:
    derived = report.derived
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": counts.rows,
        "changed by this run": derived.changed[name] if derived else 0,
        "quarantined by this run": derived.quarantined[name] if derived else 0,
        "schema version": ENTITIES[name].schema_version,
    }
    if derived and name in derived.drift:
        drift = derived.drift[name]
        metadata["paths seen first by this run"] = sum(len(one.new_paths) for one in drift)
        metadata["drift"] = sum(len(one.problems) for one in drift)
    for currency, minor in sorted(counts.minor.items()):
        metadata[f"total {currency}"] = float(to_decimal_text(minor, currency))
    return metadata


def _sent(report: PathReport, name: str, counts: DayCounts) -> Metadata:
    crm = report.crm
    states = dict(sorted(counts.states.items()))
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": counts.rows,
        "synced": states.get("synced", 0),
        "waiting": counts.rows - states.get("synced", 0),
        "states": MetadataValue.md(_bars(states)),
    }
    if crm is not None and name in crm.sent:
        sent = crm.sent[name]
        metadata |= {
            "created by this run": sent.created,
            "updated by this run": sent.updated,
            "adopted by this run": sent.adopted,
            "ambiguous in this run": sent.ambiguous,
            "failed in this run": sent.failed,
            "calls of this run": crm.calls,
        }
    return metadata


def _bars(states: Mapping[str, int]) -> str:
    """A small picture of the ledger's states."""
    most = max(states.values(), default=1)
    lines = [
        f"| {state} | {number:,} | {'█' * max(1, round(20 * number / most))} |"
        for state, number in states.items()
    ]
    return "\n".join(["| state | records | |", "|---|---:|---|", *lines])


def _evaluate(context: Context, report: PathReport, written: _Written) -> None:
    """One evaluation per check and partition that holds rows, tied to its materialization."""
    if isinstance(context, AssetExecutionContext):
        selected = {(check.asset_key, check.name) for check in context.selected_asset_check_keys}
    else:
        selected = {(check.asset_key, check.name) for check in canonical.check_specs}
    wanted = [
        verdict
        for verdict in report.verdicts
        if (AssetKey([canonical.GROUP, PLURAL[verdict.entity]]), verdict.check_name) in selected
        and (verdict.rows or not verdict.passed)
    ]
    targets = _targets(context, written)
    for verdict in wanted:
        key = AssetKey([canonical.GROUP, PLURAL[verdict.entity]])
        partition = key_of(report.tenant, verdict.window_start)
        context.log_event(
            AssetCheckEvaluation(
                asset_key=key,
                check_name=verdict.check_name,
                passed=verdict.passed,
                severity=AssetCheckSeverity.ERROR,
                partition=partition,
                target_materialization_data=targets.get((key, str(partition))),
                metadata={
                    "rows": verdict.rows,
                    "failed": verdict.failed,
                    "highest raw id": verdict.highest_raw_id,
                    "rules version": verdict.rules_version,
                    "details": MetadataValue.json(dict(verdict.details)),
                },
            )
        )


def _targets(
    context: Context, written: _Written
) -> dict[tuple[AssetKey, str], Target]:
    wanted = {
        key: [str(one.partition) for one in materializations]
        for key, materializations in written.found.items()
        if key.path[0] == canonical.GROUP
    }
    return targets_of(context.instance, wanted)
