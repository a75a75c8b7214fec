"""One scan: what stays the same while a tenant is proven.

Prevents the moving target: what counts as known is fixed at the start, by the database's clock and
the highest raw id there was, and whatever is newer is judged next time.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import func, select

from crm_integration.intake.raw_records import FUTURE_TOLERANCE, Days
from crm_integration.mapping.tenant_file import TenantConfig
from crm_integration.quality.rules import rules_version
from crm_integration.storage.tables.intake import raw_records
from crm_integration.sync.completeness.model import Request
from crm_integration.sync.path import Connected, House
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import started_on

SETTLES = FUTURE_TOLERANCE
"""What changed in the store within this time before the scan may still be on its way to us, and a
store's clock may be this much behind."""


@dataclass(frozen=True)
class Scan:
    """`began` by the database's clock; `days` says on which day a source time lies."""

    house: House
    request: Request
    connected: Connected
    began: datetime
    highest_raw_id: int
    days: Days
    run_id: str

    @property
    def tenancy(self) -> Tenancy:
        return self.house.engines.tenancy

    @property
    def tenant(self) -> str:
        return self.request.tenant

    @property
    def config(self) -> TenantConfig:
        return self.connected.config

    @property
    def settled(self) -> datetime:
        """What changed in a store before this has reached us."""
        return self.began - SETTLES

    @property
    def rules_version(self) -> str:
        return rules_version(self.config.rules)

    def delayed(self, seconds: float) -> datetime:
        """What was written before this is read as it was written."""
        return self.began - timedelta(seconds=seconds)

    def within(self, day: date) -> bool:
        """Whether this day is asked for."""
        days = self.request.days
        return days is None or days.start <= day < days.end


def begin(house: House, request: Request, *, run_id: str) -> Scan:
    """Raises BadInput and BadMapping for a tenant's file that is wrong, NotFound for no tenant or
    one without a CRM."""
    connected = house.connected(request.tenant)
    with house.engines.tenancy.scope(request.tenant) as scope:
        now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
        highest = scope.connection.scalar(
            select(func.max(raw_records.c.raw_id)).where(raw_records.c.tenant_id == scope.tenant)
        )
        days = Days(started_on(scope), now)
    return Scan(house, request, connected, now, int(highest or 0), days, run_id)
