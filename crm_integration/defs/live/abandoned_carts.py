"""Each minute: carts that nobody has touched for a while start a sweep for their tenant."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

from dagster import DefaultSensorStatus, RunRequest, SensorEvaluationContext, sensor

from crm_integration.defs.jobs import sweep_abandoned_carts
from crm_integration.defs.partitions import key_of
from crm_integration.defs.resources import HouseResource
from crm_integration.sync.abandonment import waiting_carts
from crm_integration.sync.tenant_settings import engine_settings

TENANTS_A_TICK = 20
"""A tick is cut at 60 s and must do no unbounded work; the others follow a minute later."""


@sensor(
    job=sweep_abandoned_carts,
    minimum_interval_seconds=60,
    default_status=DefaultSensorStatus.RUNNING,
    description="Looks for carts left alone for longer than their tenant allows, and sweeps them.",
)
def abandoned_carts_sensor(
    context: SensorEvaluationContext, house: HouseResource
) -> Iterator[RunRequest]:
    """At most one run a tenant and minute; the tenants whose carts wait longest come first."""
    opened, now = house.open(), datetime.now(UTC)
    touched = waiting_carts(opened.engines.ops)
    for tenant in sorted(touched, key=lambda name: touched[name])[:TENANTS_A_TICK]:
        minutes = engine_settings(opened.config(tenant).settings).cart_abandoned_after_minutes
        if touched[tenant] < now - timedelta(minutes=minutes):
            yield RunRequest(
                run_key=f"carts:{tenant}:{now:%Y%m%d%H%M}",
                partition_key=key_of(tenant, now.date()),
            )
