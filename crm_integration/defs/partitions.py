"""Partitions: tenant x window of days (or months, by one setting).

Prevents an asset per tenant, which every run would pay for at its start; and windows are known
to the engine as plain days, so that changing their size changes nothing but these keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta

from dagster import (
    DailyPartitionsDefinition,
    DynamicPartitionsDefinition,
    MonthlyPartitionsDefinition,
    MultiPartitionKey,
    MultiPartitionsDefinition,
)

from crm_integration.settings import get_settings
from crm_integration.stores._contract import Window

TENANTS = "crm_integration_tenants"
_settings = get_settings()

tenants = DynamicPartitionsDefinition(name=TENANTS)
windows = (
    DailyPartitionsDefinition(start_date=_settings.start_day.isoformat(), end_offset=1)
    if _settings.window == "day"
    else MonthlyPartitionsDefinition(
        start_date=_settings.start_day.replace(day=1).isoformat(), end_offset=1
    )
)
"""`end_offset=1`: today's window exists while it is still filling."""

tenant_windows = MultiPartitionsDefinition({"tenant": tenants, "window": windows})


def key_of(tenant: str, day: date) -> MultiPartitionKey:
    """The partition of a tenant that holds a day."""
    start = day if _settings.window == "day" else day.replace(day=1)
    return MultiPartitionKey({"tenant": tenant, "window": start.isoformat()})


def window_of(key: str) -> Window:
    """The days of a window's key (`2026-11-23`, or the first of a month)."""
    start = date.fromisoformat(key)
    if _settings.window == "day":
        return Window(start, start + timedelta(days=1))
    return Window(start, (start.replace(day=28) + timedelta(days=4)).replace(day=1))


def window_of_day(day: date) -> Window:
    """The window that holds a day."""
    return window_of((day if _settings.window == "day" else day.replace(day=1)).isoformat())


def span_of_windows() -> tuple[date, date]:
    """The first day that has a window, and the day behind the last one."""
    last = window_of_day(datetime.now(UTC).date())
    return window_of_day(_settings.start_day).start, last.end


def by_tenant(keys: Iterable[str]) -> dict[str, list[Window]]:
    """Partition keys of a run as windows by tenant, in order of time."""
    found: dict[str, list[Window]] = defaultdict(list)
    for key in keys:
        # Dagster writes the dimensions in the order of their names: tenant, then window.
        tenant, window = str(key).split("|")
        found[tenant].append(window_of(window))
    return {
        tenant: sorted(some, key=lambda one: one.start) for tenant, some in sorted(found.items())
    }
