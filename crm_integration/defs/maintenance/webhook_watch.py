"""Once an hour for each tenant: webhooks that are off, lost or silent are put right."""

from collections.abc import Iterator

from dagster import (
    DefaultScheduleStatus,
    Failure,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    ScheduleEvaluationContext,
    SkipReason,
    job,
    op,
    schedule,
)

from crm_integration.defs.reconcile import (
    EVERYTHING,
    MINUTES,
    SLOTS,
    Share,
    report_polled,
    run_of_slot,
    several_at_once,
)
from crm_integration.defs.resources import HouseResource
from crm_integration.settings import get_settings
from crm_integration.sync.path import House
from crm_integration.sync.reconciling import reconcile_tenant, slot_of
from crm_integration.sync.report import PathReport
from crm_integration.sync.webhook_watch import Watched, watch_webhooks
from crm_integration.tenancy.tenants import all_tenants

AFTER_POLLING = 2
"""Minutes: what silence is told from has just been polled."""


@op(description="Compare expected with actual subscriptions, tenant by tenant; mend, fetch gaps.")
def look_at_webhooks(context: OpExecutionContext, config: Share, house: HouseResource) -> None:
    """A store that cannot be asked delays no other; at the end the run says which failed."""
    opened = house.open()
    tenants = [
        one
        for one in all_tenants(opened.engines.ops)
        if config.slot < 0 or slot_of(one, SLOTS) == config.slot
    ]
    failed: dict[str, list[str]] = {}
    lines = ["| tenant | store | topic | was | mended |", "|---|---|---|---|---|"]
    for watched, report in _watched(opened, tenants, context.run_id):
        lines += _lines(watched)
        problems = list(watched.problems)
        if report is not None:
            report_polled(context, opened, report)
            problems += [f"{one.stage} {one.what}: {one.reason}" for one in report.problems]
        if problems:
            failed[watched.tenant] = problems
    context.add_output_metadata({
        "tenants": len(tenants),
        "found": MetadataValue.md("\n".join(lines)),
    })  # fmt: skip
    if failed:
        told = "; ".join(f"{name}: {', '.join(why)}" for name, why in sorted(failed.items()))
        raise Failure(f"webhooks of {len(failed)} tenant(s) need a person: {told}")


def _watched(
    house: House, tenants: list[str], run_id: str
) -> Iterator[tuple[Watched, PathReport | None]]:
    url = get_settings().receiver_url

    def watch(tenant: str) -> tuple[Watched, PathReport | None]:
        done = watch_webhooks(house, tenant, receiver_url=url, run_id=run_id)
        if not done.kept:
            return done, None
        return done, reconcile_tenant(house, tenant, EVERYTHING, run_id=run_id)

    return several_at_once(watch, tenants)


def _lines(watched: Watched) -> list[str]:
    """What was not as it should be."""
    return [
        f"| {watched.tenant} | {name} | {one.topic} | {one.state} | {one.mended} |"
        for name, looks in watched.looks.items()
        for one in looks
        if one.state != "active"
    ]


@job(
    name="watch_webhooks",
    description=(
        "Find webhooks that a store has switched off, lost, or that tell nothing; subscribe again "
        "and fetch exactly what was missed. Started by hand it looks at all tenants."
    ),
    tags={"crm_integration/purpose": "reconcile"},
)
def watch_webhooks_job() -> None:
    """All tenants, or those of one slot."""
    look_at_webhooks()


@schedule(
    job=watch_webhooks_job,
    cron_schedule=f"{AFTER_POLLING}-59/{MINUTES} * * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Every five minutes a twelfth of the tenants, shortly after they were polled.",
)
def webhook_schedule(context: ScheduleEvaluationContext) -> RunRequest | SkipReason:
    """One run for the tenants of this slot; none where there are none."""
    return run_of_slot(context, "webhooks", look_at_webhooks.name)
