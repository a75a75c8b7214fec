"""What Dagster loads: the way from stores to CRMs, what starts it, and what watches it."""

from dagster import Definitions, in_process_executor

from crm_integration.defs.health.completeness import completeness
from crm_integration.defs.health.completeness_schedule import completeness_schedule
from crm_integration.defs.health.failed_checks import failed_checks
from crm_integration.defs.jobs import JOBS
from crm_integration.defs.live.abandoned_carts import abandoned_carts_sensor
from crm_integration.defs.live.drop_table_sensor import drop_table_sensor
from crm_integration.defs.live.lane_run import drain_deliveries
from crm_integration.defs.maintenance.crm_changes import crm_changes_schedule, read_crm_changes
from crm_integration.defs.maintenance.same_people import suggest_same_people, suggest_schedule
from crm_integration.defs.maintenance.tenant_partitions import tenant_partitions
from crm_integration.defs.maintenance.webhook_watch import watch_webhooks_job, webhook_schedule
from crm_integration.defs.path import customer_data_path
from crm_integration.defs.reconcile import reconcile, reconcile_schedule
from crm_integration.defs.resources import HouseResource

defs = Definitions(
    assets=[customer_data_path],
    asset_checks=[completeness],
    jobs=[*JOBS, drain_deliveries, reconcile, watch_webhooks_job, suggest_same_people,
          read_crm_changes],
    schedules=[reconcile_schedule, webhook_schedule, suggest_schedule, crm_changes_schedule,
               completeness_schedule],
    sensors=[drop_table_sensor, abandoned_carts_sensor, failed_checks, tenant_partitions],
    resources={"house": HouseResource()},
    # One process a run: the multiprocess executor costs ten times the wall clock of our steps.
    executor=in_process_executor,
)  # fmt: skip
