"""Polling by Dagster: few runs, tenants spread over the hour, each reported on its own."""

from __future__ import annotations

import time
from collections import Counter
from datetime import UTC, datetime

import dagster as dg
import pytest

from crm_integration.definitions import defs
from crm_integration.defs.partitions import TENANTS, key_of
from crm_integration.defs.reconcile import SLOTS, reconcile_schedule
from crm_integration.defs.run_here import QUIET
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync.reconciling import slot_of
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import Tenant


def _poll(dagster: Dagster, slot: int = -1) -> dg.ExecuteInProcessResult:
    config = {"ops": {"poll_stores": {"config": {"slot": slot}}}, **QUIET}
    result = defs.resolve_job_def("reconcile").execute_in_process(
        instance=dagster.instance, raise_on_error=False, run_config=config
    )
    for event in result.all_events:
        if event.is_step_failure:
            print(event.step_failure_data.error_display_string)
    return result


def _live(tenant: Tenant) -> None:
    tenant.shop.now = int(time.time()) - 3 * 3600
    tenant.rows("update connections set created_at = now() - interval '4 hours' returning 1")


def _partition(tenant: Tenant) -> str:
    return str(key_of(tenant.name, datetime.fromtimestamp(tenant.shop.now, UTC).date()))


def test_a_new_order_is_polled_the_whole_way_and_reported(dagster: Dagster, tenant: Tenant) -> None:
    """No webhook told of it: an hour later it is in the CRM all the same."""
    _live(tenant)
    tenant.shop.guest_order("ada@example.com")

    result = _poll(dagster)

    assert result.success
    assert tenant.portal.one("contact")["email"] == "ada@example.com"
    assert len(tenant.portal.records("order")) == 1
    assert _partition(tenant) in dagster.partitions("crm_sync", "orders")
    assert _partition(tenant) in dagster.partitions("store_extracts", "orders")
    assert {one.passed for one in dagster.checks(result.run_id)} == {True}


def test_a_quiet_tenant_costs_no_event_and_no_crm_call(dagster: Dagster, tenant: Tenant) -> None:
    """A thousand quiet tenants an hour would be millions of events a month."""
    _live(tenant)
    tenant.shop.guest_order("ada@example.com")
    _poll(dagster)
    _poll(dagster)
    tenant.portal.calls.clear()

    again = _poll(dagster)

    assert again.success
    assert not [one for one in dagster.materializations(again.run_id)
                if str(one.partition).startswith(f"{tenant.name}|")]  # fmt: skip
    assert not tenant.portal.calls


def test_memory_is_given_back_behind_those_that_used_some(
    dagster: Dagster, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A quarter of a second of CPU behind each of a thousand quiet shops: four minutes an hour."""
    given: list[str] = []
    monkeypatch.setattr("crm_integration.defs.reconcile.give_back", lambda: given.append("back"))
    _live(tenant)
    tenant.shop.guest_order("ada@example.com")
    _poll(dagster)
    assert given
    _poll(dagster)
    given.clear()
    assert _poll(dagster).success
    assert given == []


def test_one_shop_that_is_down_stops_no_other_and_the_run_says_so(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    for one in (tenant, neighbour):
        _live(one)
        one.shop.guest_order("ada@example.com")
    tenant.shop.follow(FaultRule("status", "GET", "/orders", status=503, retry_after=3600))

    result = _poll(dagster)
    tenant.shop.follow()

    assert not result.success
    (failed,) = [one for one in result.all_events if one.is_step_failure]
    told = failed.step_failure_data.error_display_string
    assert f"1 tenant(s) did not pass: {tenant.name}." in told
    assert len(neighbour.portal.records("order")) == 1
    assert not tenant.portal.records("order")
    assert _partition(neighbour) in dagster.partitions("crm_sync", "orders")
    assert _partition(tenant) not in dagster.partitions("store_extracts", "orders")


def test_a_run_takes_the_tenants_of_its_slot_only(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    for one in (tenant, neighbour):
        _live(one)
        one.shop.guest_order("ada@example.com")
        one.shop.app.calls.clear()
    mine = slot_of(tenant.name, SLOTS)

    _poll(dagster, mine)

    assert tenant.shop.app.calls
    assert bool(neighbour.shop.app.calls) == (slot_of(neighbour.name, SLOTS) == mine)


def test_tenants_are_spread_over_the_hour_and_stay_where_they_are() -> None:
    """All shops of one host were asked in the same minute, and it answered with a ban."""
    places = Counter(slot_of(f"tenant{number}", SLOTS) for number in range(1200))
    assert set(places) == set(range(SLOTS))
    assert max(places.values()) < 2 * min(places.values())
    assert slot_of("aurora", SLOTS) == 9


def test_the_schedule_asks_for_one_run_a_slot_and_for_none_without_tenants(
    dagster: Dagster,
) -> None:
    """A run per tenant and hour would cost more than the work."""

    def tick(minute: int) -> dg.RunRequest | dg.SkipReason:
        at = datetime(2024, 3, 2, 9, minute, tzinfo=UTC)
        context = dg.build_schedule_context(instance=dagster.instance, scheduled_execution_time=at)
        found = reconcile_schedule(context)
        assert isinstance(found, dg.RunRequest | dg.SkipReason)
        return found

    dagster.instance.add_dynamic_partitions(TENANTS, ["aurora"])
    slot = slot_of("aurora", SLOTS)
    ticks = [tick(5 * number) for number in range(SLOTS)]
    asked = [number for number, one in enumerate(ticks) if isinstance(one, dg.RunRequest)]
    assert asked == [slot]
    request = ticks[slot]
    assert isinstance(request, dg.RunRequest)
    assert request.run_config == {"ops": {"poll_stores": {"config": {"slot": slot}}}}
