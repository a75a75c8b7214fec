"""Each night: who may be one customer although no key says so, for a person to decide."""

from collections.abc import Iterator

from dagster import (
    DefaultScheduleStatus,
    MetadataValue,
    OpExecutionContext,
    RunRequest,
    ScheduleEvaluationContext,
    job,
    op,
    schedule,
)

from crm_integration.canonical.identity_suggestions import suggest
from crm_integration.defs.resources import HouseResource
from crm_integration.tenancy.tenants import all_tenants


@op(description="Compare what changed since the last time, tenant by tenant.")
def compare_people(context: OpExecutionContext, house: HouseResource) -> None:
    """Suggestions are never merges: `crm-integration identity list` shows them."""
    opened = house.open()
    found: dict[str, int] = {}
    for tenant in all_tenants(opened.engines.ops):
        told = suggest(opened.engines.tenancy, tenant)
        found[tenant] = told.suggestions
        context.log.info(f"{tenant}: {told.customers:,} customers, {told.suggestions} suggestions")
    lines = [f"| {tenant} | {number} |" for tenant, number in sorted(found.items())]
    table = "\n".join(["| tenant | suggestions |", "|---|---:|", *lines])
    context.add_output_metadata({"suggestions": MetadataValue.md(table)})


@job(
    name="suggest_same_people",
    description=(
        "Look for customers who may be one person although no key says so. Nothing is merged: "
        "`crm-integration identity list --tenant T` shows what a person may accept or dismiss."
    ),
    tags={"crm_integration/purpose": "backfill"},
)
def suggest_same_people() -> None:
    """All tenants in one run."""
    compare_people()


@schedule(
    job=suggest_same_people,
    cron_schedule="37 3 * * *",
    default_status=DefaultScheduleStatus.STOPPED,
    description="Each night, in one run for all tenants.",
)
def suggest_schedule(context: ScheduleEvaluationContext) -> Iterator[RunRequest]:
    """One run."""
    yield RunRequest()
