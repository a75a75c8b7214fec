"""The reconcile schedule: what webhooks missed is found by listing the last windows again."""

from collections.abc import Iterator
from datetime import timedelta

from dagster import DefaultScheduleStatus, RunRequest, ScheduleEvaluationContext, schedule

from crm_integration.defs.jobs import reconcile_all
from crm_integration.defs.partitions import TENANTS, key_of

RANGE_START = "dagster/asset_partition_range_start"
RANGE_END = "dagster/asset_partition_range_end"
LOOK_BACK = timedelta(days=1)
"""Yesterday and today: a window is listed once more after it has closed."""


@schedule(
    job=reconcile_all,
    cron_schedule="17 * * * *",
    default_status=DefaultScheduleStatus.STOPPED,
    description="Each hour: yesterday and today of every tenant, in one run.",
)
def reconcile_schedule(context: ScheduleEvaluationContext) -> Iterator[RunRequest]:
    """One range run over all tenants; nothing when there is no tenant."""
    tenants = context.instance.get_dynamic_partitions(TENANTS)
    if not tenants:
        return
    now = context.scheduled_execution_time
    start, end = key_of(tenants[0], (now - LOOK_BACK).date()), key_of(tenants[-1], now.date())
    yield RunRequest(tags={RANGE_START: start, RANGE_END: end})
