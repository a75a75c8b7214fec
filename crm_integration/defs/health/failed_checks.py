"""Failed checks are told to people: each failed verdict is posted once to a webhook address.

Prevents the check that fails in silence: failing checks never reach Dagster's run-failure
sensors, so this reads the verdicts themselves.
"""

from dagster import DefaultSensorStatus, SensorEvaluationContext, SensorResult, SkipReason, sensor

from crm_integration.defs.resources import HouseResource
from crm_integration.health.failed_check_post import post_failed_checks
from crm_integration.settings import get_settings


@sensor(
    minimum_interval_seconds=30,
    default_status=DefaultSensorStatus.RUNNING,
    description="Posts each failed quality check to CRM_INTEGRATION_ALERT_URL.",
)
def failed_checks(
    context: SensorEvaluationContext, house: HouseResource
) -> SensorResult | SkipReason:
    """The cursor is the last verdict that was posted; an unreachable address is tried again."""
    settings = get_settings()
    if settings.alert_url is None:
        return SkipReason("CRM_INTEGRATION_ALERT_URL is not set: nobody is told")
    last = post_failed_checks(
        house.open().engines.ops, settings.alert_url, after=int(context.cursor or 0)
    )
    return SensorResult(cursor=str(last))
