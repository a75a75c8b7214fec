"""Looks at what people changed in one tenant's CRM, when its time has come.

Prevents the look at every tenant every minute: each sets how often, and a run that has looked
before it sent counts.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, select

from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.quality.rules import rules_version
from crm_integration.sync.crm_changes import CrmRead, read_changes
from crm_integration.sync.crm_cursor import last_read
from crm_integration.sync.path import House
from crm_integration.sync.tenant_settings import engine_settings
from crm_integration.tenancy.connections import connections_of

EARLY = timedelta(minutes=1)
"""A schedule's tick is never exact: a look that is due within this is due."""


def watch(house: House, tenant: str, *, run_id: str) -> CrmRead | None:
    """The look, or None where none is due or there is no CRM.

    Raises BadMapping and BadInput for a tenant's file that is wrong; what the CRM refuses is the
    look's `problem`.
    """
    with house.engines.tenancy.scope(tenant) as scope:
        crm = next(iter(connections_of(scope, "crm")), None)
        at = None if crm is None else last_read(scope, crm.connection_id)
        now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
    if crm is None:
        return None
    config = house.config(tenant)
    pause = timedelta(minutes=engine_settings(config.settings).crm_changes_minutes)
    if at is not None and now - at < pause - EARLY:
        return None
    mappings = compiled_mappings(house.mappings, config)
    return read_changes(house.engines, tenant, mappings, rules_version(config.rules), run_id=run_id)
