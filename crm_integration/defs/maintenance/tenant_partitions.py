"""New tenants become partitions by themselves."""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, sensor

from crm_integration.defs.partitions import TENANTS, tenants
from crm_integration.defs.resources import HouseResource
from crm_integration.tenancy.tenants import all_tenants


@sensor(
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Adds a partition for each new tenant.",
)
def tenant_partitions(context: SensorEvaluationContext, house: HouseResource) -> SensorResult:
    """Nothing is taken away: a partition of a tenant that left is history."""
    known = set(context.instance.get_dynamic_partitions(TENANTS))
    fresh = [one for one in all_tenants(house.open().engines.ops) if one not in known]
    return SensorResult(
        dynamic_partitions_requests=[tenants.build_add_request(fresh)] if fresh else []
    )
