"""Polling: every store once an hour, from where it is proven; tenants spread over the hour.

Prevents a run for each tenant (starting one costs more than most polls), all shops asked in the
same minute, and a slow shop that keeps its neighbours waiting: a few runs an hour take their
share of the tenants, several at once, and each says honestly which of them failed.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import TypeVar

from dagster import (
    Config,
    DefaultScheduleStatus,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    schedule,
)

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs import crm_sync, store_extracts
from crm_integration.defs.memory import bound_heaps, give_back
from crm_integration.defs.partitions import TENANTS, span_of_windows, window_of_day
from crm_integration.defs.path import TENANTS_AT_ONCE, failure_of, problems_of
from crm_integration.defs.reporting import report_run
from crm_integration.defs.resources import HouseResource
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House
from crm_integration.sync.reconciling import reconcile_tenant, slot_of
from crm_integration.sync.report import PathReport, Problem, Selection, unforeseen
from crm_integration.tenancy.tenants import all_tenants

T = TypeVar("T")

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
MINUTES = 5
SLOTS = 60 // MINUTES
"""Runs an hour; a tenant is always in the same one."""

EVERYTHING = Selection(
    frozenset(store_extracts.OBJECT_TYPES), frozenset(ENTITIES), frozenset(crm_sync.NAMES)
)


class Share(Config):
    """Which tenants: those of one slot of the hour, or all of them (`slot: -1`)."""

    slot: int = -1


@op(description="List what lies behind each cursor, tenant by tenant, and take it the whole way.")
def poll_stores(context: OpExecutionContext, config: Share, house: HouseResource) -> None:
    """A tenant that fails delays no other; at the end the run says which did."""
    bound_heaps()
    opened = house.open()
    tenants = [
        one
        for one in all_tenants(opened.engines.ops)
        if config.slot < 0 or slot_of(one, SLOTS) == config.slot
    ]
    problems: dict[str, list[Problem]] = {}
    busy: list[PathReport] = []
    for report in poll(opened, tenants, context.run_id):
        report_polled(context, opened, report)
        found = problems_of(report)
        if found:
            problems[report.tenant] = found
        if found or report.days or _behind(report):
            busy.append(report)
    context.add_output_metadata({
        "tenants": len(tenants),
        "quiet": len(tenants) - len(busy),
        "polled": MetadataValue.md(_table(busy)),
    })  # fmt: skip
    if problems:
        raise failure_of(problems)


def poll(house: House, tenants: Iterable[str], run_id: str) -> Iterator[PathReport]:
    """Reports as tenants are done, several at once.

    Memory is given back behind those that used some: to do it behind each of a thousand quiet
    shops took three times as long as to look at them.
    """

    def polled(tenant: str) -> PathReport:
        return reconcile_tenant(house, tenant, EVERYTHING, run_id=run_id)

    for report in several_at_once(polled, tenants):
        yield report
        if report.days or report.crm:
            give_back()


def several_at_once(work: Callable[[str], T], tenants: Iterable[str]) -> Iterator[T]:
    """What comes of each tenant, as it is done; terminated, what has not begun never does."""
    with ThreadPoolExecutor(TENANTS_AT_ONCE, thread_name_prefix="tenant") as pool:
        running = [pool.submit(work, one) for one in tenants]
        try:
            for one in as_completed(running):
                yield one.result()
        finally:
            pool.shutdown(cancel_futures=True)


def report_polled(context: OpExecutionContext, house: House, report: PathReport) -> None:
    """Materializations of the windows that got something; nothing for a quiet tenant."""
    first, end = span_of_windows()
    days = sorted(day for day in report.days if first <= day < end)
    windows: list[Window] = list(dict.fromkeys(window_of_day(day) for day in days))
    if not windows:
        return
    try:
        report_run(context, house, report, windows, EVERYTHING)
    except Exception as error:  # noqa: BLE001 - the neighbours' events are still to come
        report.problems.append(Problem("report", "events", unforeseen(error)))


def _behind(report: PathReport) -> bool:
    """A cursor that did not pass for another reason than that its second listing is to come."""
    return any(done.stuck for done in report.reconciled.values())


def _table(reports: list[PathReport]) -> str:
    lines = ["| tenant | type | kept | proven until | |", "|---|---|---:|---|---|"]
    for report in sorted(reports, key=lambda one: one.tenant)[:100]:
        for (connection, name), done in sorted(report.reconciled.items()):
            until = f"{done.proven_until:%Y-%m-%d %H:%M}"
            kept = done.listed.kept.kept
            lines.append(
                f"| {report.tenant} | {connection} {name} | {kept} | {until} | {done.reason} |"
            )
    return "\n".join(lines)


@job(
    name="reconcile",
    description=(
        "Reconcile all: poll every store from where it is proven, and bring the CRMs up to date. "
        "Started by hand it takes all tenants; the schedule takes a twelfth of them each time."
    ),
    tags={"crm_integration/purpose": "reconcile"},
)
def reconcile() -> None:
    """All tenants, or those of one slot."""
    poll_stores()


@schedule(
    job=reconcile,
    cron_schedule=f"*/{MINUTES} * * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every five minutes a twelfth of the tenants: each is polled once an hour.",
)
def reconcile_schedule(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """One run for the tenants of this slot; none where there are none."""
    return run_of_slot(context, "reconcile", poll_stores.name)


def run_of_slot(
    context: ScheduleEvaluationContext, job_key: str, op: str
) -> RunRequest | SkipReason:
    """A run of this op for the tenants whose turn it is in these five minutes."""
    at = context.scheduled_execution_time
    slot = at.minute // MINUTES
    tenants = context.instance.get_dynamic_partitions(TENANTS)
    if not any(slot_of(one, SLOTS) == slot for one in tenants):
        return SkipReason("it is no tenant's turn in these minutes")
    return RunRequest(
        run_key=f"{job_key}:{at:%Y%m%d%H%M}",
        run_config={"ops": {op: {"config": {"slot": slot}}}},
    )
