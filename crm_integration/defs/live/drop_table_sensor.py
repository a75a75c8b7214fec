"""Deliveries in the drop table start a run for their tenant within one tick."""

from collections.abc import Iterator
from datetime import UTC, datetime

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, sensor

from crm_integration.defs.jobs import sync_one_tenant_now
from crm_integration.defs.partitions import key_of
from crm_integration.defs.resources import HouseResource
from crm_integration.intake.drop_table import waiting

TENANTS_A_TICK = 20
"""A tick is cut at 60 s and must do no unbounded work."""


@sensor(
    job=sync_one_tenant_now,
    minimum_interval_seconds=5,
    default_status=DefaultSensorStatus.RUNNING,
    description="Looks for unread webhook deliveries and starts a run for each tenant with some.",
)
def drop_table_sensor(
    context: SensorEvaluationContext, house: HouseResource
) -> Iterator[RunRequest]:
    """At most one run a tenant and tick; a run key a minute keeps a backlog from piling up runs.

    The cursor is the last tenant that was asked for: the next tick goes on behind it.
    """
    now = datetime.now(UTC)
    some = waiting(house.open().engines.ops, limit=TENANTS_A_TICK, behind=context.cursor or "")
    if some:
        context.update_cursor(some[-1].tenant)
    for found in some:
        yield RunRequest(
            run_key=f"drop:{found.tenant}:{now:%Y%m%d%H%M}",
            partition_key=key_of(found.tenant, now.date()),
            tags={"crm_integration/deliveries": str(found.deliveries)},
        )
