"""Each night the last week is proven, and once a week all CRM records with our key are listed."""

from collections.abc import Iterator

from dagster import DefaultScheduleStatus, RunRequest, ScheduleEvaluationContext, schedule

from crm_integration.defs.jobs import prove_completeness

SURPLUS_ON = 6
"""Sunday: a listing of all records is the largest part of a proof."""


@schedule(
    job=prove_completeness,
    cron_schedule="41 2 * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Each night, in one run for all tenants; on Sundays with the listing for surplus.",
)
def completeness_schedule(context: ScheduleEvaluationContext) -> Iterator[RunRequest]:
    """One run; it is told its days, so that a run that waits proves the same."""
    day = context.scheduled_execution_time.date()
    config = {"to_day": day.isoformat(), "surplus": day.weekday() == SURPLUS_ON}
    yield RunRequest(run_config={"ops": {"completeness": {"config": config}}})
