"""Each minute: carts that nobody has touched for a while start a sweep for their tenant."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dagster import (
    DagsterInstance,
    DagsterRunStatus,
    DefaultSensorStatus,
    RunRequest,
    RunsFilter,
    SensorEvaluationContext,
    sensor,
)

from crm_integration.defs.jobs import sweep_abandoned_carts
from crm_integration.defs.partitions import key_of
from crm_integration.defs.resources import HouseResource
from crm_integration.errors import CrmIntegrationError
from crm_integration.sync.abandonment import WaitingCarts, waiting_carts
from crm_integration.sync.path import House
from crm_integration.sync.tenant_settings import engine_settings

TENANTS_A_TICK = 20
"""Runs a tick asks for at most; the others follow a minute later."""

LOOKED_AT_A_TICK = 200
"""Tenants a tick looks at: it is cut at 60 s and must do no unbounded work, and each tenant's
file is read for its wait."""

TENANT_OF_A_RUN = "dagster/partition/tenant"
"""The tag that Dagster gives a run for the dimension `tenant` of its partition."""

_UNFINISHED = [
    DagsterRunStatus.NOT_STARTED,
    DagsterRunStatus.QUEUED,
    DagsterRunStatus.STARTING,
    DagsterRunStatus.STARTED,
    DagsterRunStatus.CANCELING,
]


@sensor(
    job=sweep_abandoned_carts,
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Looks for carts left alone for longer than their tenant allows, and sweeps them.",
)
def abandoned_carts_sensor(
    context: SensorEvaluationContext, house: HouseResource
) -> Iterator[RunRequest]:
    """At most one run a tenant and minute, and none while its last one is not finished.

    The cursor is the last tenant that was looked at: the next tick goes on behind it, so that
    neither those who allow a long wait nor those in trouble stand in front of the others.
    """
    opened, now = house.open(), datetime.now(UTC)
    busy, asked = _busy(context.instance), 0
    found = waiting_carts(opened.engines.ops, limit=LOOKED_AT_A_TICK, behind=context.cursor or "")
    for one in found:
        if asked == TENANTS_A_TICK:
            return
        context.update_cursor(one.tenant)
        if one.tenant not in busy and _due(context, opened, one, now):
            asked += 1
            yield RunRequest(
                run_key=f"carts:{one.tenant}:{now:%Y%m%d%H%M}",
                partition_key=key_of(one.tenant, now.date()),
            )


def _busy(instance: DagsterInstance) -> set[str]:
    """Tenants with a sweep that is queued or running."""
    mine = RunsFilter(job_name=sweep_abandoned_carts.name, statuses=_UNFINISHED)
    return {run.tags.get(TENANT_OF_A_RUN, "") for run in instance.get_runs(mine)}


def _due(
    context: SensorEvaluationContext, house: House, carts: WaitingCarts, now: datetime
) -> bool:
    """Whether its oldest cart was left for longer than the tenant allows; not where the tenant's
    file cannot be read, which is its own trouble and nobody else's."""
    try:
        settings = engine_settings(house.config(carts.tenant).settings)
    except CrmIntegrationError as error:
        context.log.warning(f"{carts.tenant}: its carts are not swept. {error}")
        return False
    return carts.touched < now - timedelta(minutes=settings.cart_abandoned_after_minutes)
