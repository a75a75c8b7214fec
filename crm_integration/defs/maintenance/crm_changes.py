"""Every few minutes: what people changed in the CRMs, such as an opt-out."""

from collections.abc import Iterator

from dagster import (
    DefaultScheduleStatus,
    Failure,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    ScheduleEvaluationContext,
    job,
    op,
    schedule,
)

from crm_integration.defs.resources import HouseResource
from crm_integration.errors import CrmIntegrationError
from crm_integration.sync.crm_watch import watch
from crm_integration.tenancy.tenants import all_tenants


@op(description="Look at the changes of each CRM whose time has come, tenant by tenant.")
def look_at_crms(context: OpExecutionContext, house: HouseResource) -> None:
    """A CRM that cannot be reached delays no other tenant; at the end the run says which failed."""
    opened = house.open()
    failed: dict[str, str] = {}
    lines = ["| tenant | records | opted out | lifted | values | merged | calls |",
             "|---|---:|---:|---:|---:|---:|---:|"]  # fmt: skip
    for tenant in all_tenants(opened.engines.ops):
        try:
            read = watch(opened, tenant, run_id=context.run_id)
        except CrmIntegrationError as error:
            failed[tenant] = str(error)
            continue
        if read is None:
            continue
        counts = (read.seen, read.opted_out, read.lifted, read.values, read.merged, read.calls)
        lines.append(f"| {tenant} | {' | '.join(map(str, counts))} |")
        if read.problem is not None:
            failed[tenant] = read.problem
    context.add_output_metadata({"changes": MetadataValue.md("\n".join(lines))})
    if failed:
        told = "; ".join(f"{tenant}: {why}" for tenant, why in sorted(failed.items()))
        raise Failure(f"the changes of these CRMs were not read to the end: {told}")


@job(
    name="read_crm_changes",
    description=(
        "Read what people changed in the CRMs: opt-outs become words about consent, values that a "
        "mapping wants back are kept. Nothing is written to a CRM or a store."
    ),
    tags={"crm_integration/purpose": "reconcile"},
)
def read_crm_changes() -> None:
    """All tenants in one run."""
    look_at_crms()


@schedule(
    job=read_crm_changes,
    cron_schedule="*/15 * * * *",
    default_status=DefaultScheduleStatus.RUNNING,
    description="Each tenant at most as often as its crm_changes_minutes say.",
)
def crm_changes_schedule(context: ScheduleEvaluationContext) -> Iterator[RunRequest]:
    """One run."""
    yield RunRequest()
