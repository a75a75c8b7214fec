"""The way from stores to CRMs as one step with many assets.

Prevents two things Dagster does to a chain of steps: a failed tenant in one step would skip the
next step for all others, and a step that succeeds is marked for every partition. One step goes
the whole way for each tenant, reports each partition that passed, and fails at its end if any
did not (docs/adr/0001).
"""

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from queue import Empty, Queue
from threading import Event, Lock
from time import monotonic

from dagster import (
    AssetExecutionContext,
    AssetKey,
    BackfillPolicy,
    Failure,
    MetadataValue,
    multi_asset,
)

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs import canonical, crm_sync, store_extracts
from crm_integration.defs.giving_way import give_way
from crm_integration.defs.jobs import PURPOSE
from crm_integration.defs.memory import bound_heaps, give_back
from crm_integration.defs.partitions import by_tenant, tenant_windows
from crm_integration.defs.reporting import report_run
from crm_integration.defs.resources import HouseResource
from crm_integration.defs.store_extracts import PLURAL
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House, Progress
from crm_integration.sync.report import PathReport, Problem, Selection, unforeseen
from crm_integration.sync.slices import Slice, run_slices, slices_of
from crm_integration.transport.quota import Purpose

PROGRESS_SECONDS = 5.0
ROOT_RUN = "dagster/root_run_id"
RETRY_NUMBER = "dagster/retry_number"
BACKFILL = "dagster/backfill"
RESUMES = "dagster/is_resume_retry"
"""Dagster's tags: on each re-executed run; on automatic retries; on runs of a backfill; on
"re-execute from failure"."""
TENANTS_AT_ONCE = 4
"""Most of a tenant's time is waiting: for its store, its CRM's call budget, the database."""


@multi_asset(
    name="customer_data_path",
    specs=[*store_extracts.specs, *canonical.specs, *crm_sync.specs],
    check_specs=canonical.check_specs,
    partitions_def=tenant_windows,
    backfill_policy=BackfillPolicy.single_run(),
    can_subset=True,
)
def customer_data_path(context: AssetExecutionContext, house: HouseResource) -> Iterator[None]:
    """Extract, derive, judge and sync every tenant of the run, each on its own."""
    bound_heaps()
    if purpose_of(context.run.tags) == "backfill":
        give_way()
    opened = house.open()
    selection = selected(context.selected_asset_keys)
    problems: dict[str, list[Problem]] = {}
    parts = by_tenant(str(key) for key in context.partition_keys)
    total = sum(len(slices_of(windows)) for windows in parts.values())
    for number, (part, report) in enumerate(_run(context, opened, parts, selection), start=1):
        span = part.span
        context.log.info(f"{report.tenant} {span.start} to {span.end} done ({number} of {total})")
        try:
            report_run(context, opened, report, part.windows, selection)
        except Exception as error:  # noqa: BLE001 - the neighbours' events are still to come
            report.problems.append(Problem("report", "events", unforeseen(error)))
        problems.setdefault(report.tenant, []).extend(problems_of(report))
        give_back()
    problems = {tenant: found for tenant, found in problems.items() if found}
    if problems:
        raise failure_of(problems)
    yield from ()


def _run(
    context: AssetExecutionContext,
    house: House,
    parts: Mapping[str, Sequence[Window]],
    selection: Selection,
) -> Iterator[tuple[Slice, PathReport]]:
    """Slices as they are finished, of several tenants at once."""
    told, done, stopped = _Told(context), Queue[_Finished](), Event()

    def run(tenant: str) -> None:
        try:
            for part, report in _slices(context, house, tenant, parts[tenant], selection, told):
                finished = _Finished(part, report)
                done.put(finished)
                while not finished.told.wait(0.2):
                    if stopped.is_set():
                        return
        except Exception as error:  # noqa: BLE001 - the tenant's boundary: its neighbours go on
            problem = Problem("start", tenant, unforeseen(error))
            report = PathReport(tenant, problems=[problem])
            done.put(_Finished(Slice(tuple(parts[tenant])), report))

    pool = ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="tenant")
    try:
        running = [pool.submit(run, tenant) for tenant in parts]
        while not (all(one.done() for one in running) and done.empty()):
            with suppress(Empty):
                finished = done.get(timeout=0.2)
                yield finished.part, finished.report
                finished.told.set()
    finally:
        # Terminated from the UI: what has begun ends its slice, nothing else begins.
        stopped.set()
        pool.shutdown(cancel_futures=True)


@dataclass
class _Finished:
    """A slice that waits to be told about; its tenant goes on when that is done."""

    part: Slice
    report: PathReport
    told: Event = field(default_factory=Event)


def _slices(
    context: AssetExecutionContext,
    house: House,
    tenant: str,
    windows: Sequence[Window],
    selection: Selection,
    told: Progress,
) -> Iterator[tuple[Slice, PathReport]]:
    """A tenant's slices. Only a retry leaves out what the run it retries has finished; whoever
    re-executes everything wants everything."""
    run, tags = context.run, context.run.tags
    retries = RETRY_NUMBER in tags or tags.get(RESUMES) == "true"
    root_run_id = (run.root_run_id or tags.get(ROOT_RUN)) if retries else None
    return run_slices(
        house,
        tenant,
        windows,
        selection,
        run_id=run.run_id,
        root_run_id=root_run_id or run.run_id,
        progress=told,
        purpose=purpose_of(tags),
    )


def purpose_of(tags: Mapping[str, str]) -> Purpose:
    """What a run's calls are for: its job says it, and a backfill of partitions is one whatever
    job it takes."""
    if BACKFILL in tags:
        return "backfill"
    return "live" if tags.get(PURPOSE) == "live" else "reconcile"


class _Told:
    """Progress in the run's log, every few seconds: each line is a row in Dagster's database."""

    def __init__(self, context: AssetExecutionContext) -> None:
        self._log, self._last, self._lock = context.log, monotonic(), Lock()

    def __call__(self, tenant: str, what: str, count: int) -> None:
        with self._lock:
            if monotonic() - self._last > PROGRESS_SECONDS:
                self._last = monotonic()
                self._log.info(f"{tenant}: {what}, {count:,} so far")


def selected(keys: set[AssetKey] | frozenset[AssetKey]) -> Selection:
    """The parts of the way that these assets stand for."""
    paths = {tuple(key.path) for key in keys}
    return Selection(
        extracts=frozenset(
            name
            for name in store_extracts.OBJECT_TYPES
            if (store_extracts.GROUP, PLURAL[name]) in paths
        ),
        canonical=frozenset(n for n in ENTITIES if (canonical.GROUP, PLURAL[n]) in paths),
        crm=frozenset(
            name for name, plural in crm_sync.NAMES.items() if (crm_sync.GROUP, plural) in paths
        ),
    )


def problems_of(report: PathReport) -> list[Problem]:
    """What of a tenant's run did not pass, its verdicts too."""
    failed = [
        Problem("judge", verdict.entity, f"{verdict.check_name} on {verdict.window_start}")
        for verdict in report.verdicts
        if not verdict.passed
    ]
    return [*report.problems, *failed]


def failure_of(problems: dict[str, list[Problem]]) -> Failure:
    """The one failure at a run's end: it names each tenant, what failed and why."""
    lines = [
        f"| {tenant} | {one.stage} | {one.what} | {one.reason} |"
        for tenant, found in problems.items()
        for one in found
    ]
    table = "\n".join(["| tenant | stage | what | why |", "|---|---|---|---|", *lines[:50]])
    return Failure(
        f"{len(problems)} tenant(s) did not pass: {', '.join(problems)}. All others did.",
        metadata={"what failed": MetadataValue.md(table), "failures": len(lines)},
        # The ledger keeps what is due; a retry of the whole run would only repeat what passed.
        allow_retries=False,
    )
