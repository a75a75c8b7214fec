"""The watchdog as a job: mended, fetched and brought to the CRM in one run."""

from __future__ import annotations

import time
from datetime import UTC, datetime

import dagster as dg

from crm_integration.definitions import defs
from crm_integration.defs.maintenance.webhook_watch import webhook_schedule
from crm_integration.defs.partitions import TENANTS
from crm_integration.defs.reconcile import SLOTS
from crm_integration.defs.run_here import QUIET
from crm_integration.intake.webhook_paths import make_path
from crm_integration.stores._registry import connector
from crm_integration.sync.reconciling import slot_of
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import Tenant

HOUR = 3600


def _watch(dagster: Dagster) -> dg.ExecuteInProcessResult:
    result = defs.resolve_job_def("watch_webhooks").execute_in_process(
        instance=dagster.instance, raise_on_error=False, run_config=QUIET
    )
    for event in result.all_events:
        if event.is_step_failure:
            print(event.step_failure_data.error_display_string)
    return result


def _with_hooks(tenant: Tenant) -> None:
    """A webhook for each topic at an address of ours, good for five hours."""
    with tenant.scope() as scope:
        path = make_path(scope, tenant.house.tenancy.master, "main", actor="test")
    for topic in connector("woocommerce").manifest.topics:
        body = {"topic": topic, "delivery_url": f"https://hooks.example.com{path}"}
        tenant.shop.call("POST", "/webhooks", body)
    tenant.shop.now = int(time.time()) - 3 * HOUR


def test_a_dead_webhook_is_mended_and_what_it_missed_is_in_the_crm(
    dagster: Dagster, tenant: Tenant
) -> None:
    """Mended is not enough: the orders of that night are what the merchant asks for."""
    _with_hooks(tenant)
    assert _watch(dagster).success
    tenant.rows("update webhook_subscriptions set good_since = now() - interval '5 hours'"
                " returning 1")  # fmt: skip
    hooks = tenant.shop.state.webhooks
    (dead,) = [one for one in hooks.values() if one["topic"] == "order.created"]
    dead["status"] = "disabled"
    tenant.shop.guest_order("missed@example.com")

    result = _watch(dagster)

    assert result.success
    assert dead["status"] == "active"
    assert tenant.portal.one("contact")["email"] == "missed@example.com"
    assert len(tenant.portal.records("order")) == 1
    (gap,) = tenant.rows("select topic, kept, fetched_at from webhook_gaps")
    assert (gap.topic, gap.kept) == ("order.created", 1)


def test_a_shop_that_cannot_be_asked_stops_no_other_and_is_named(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    for one in (tenant, neighbour):
        _with_hooks(one)
    for hook in neighbour.shop.state.webhooks.values():
        hook["status"] = "disabled"
    tenant.shop.spoiling.spoil = lambda body: b"<html>maintenance</html>"

    result = _watch(dagster)
    tenant.shop.spoiling.spoil = lambda body: body

    assert not result.success
    (failed,) = [one for one in result.all_events if one.is_step_failure]
    assert tenant.name in failed.step_failure_data.error_display_string
    assert f"{neighbour.name}:" not in failed.step_failure_data.error_display_string
    assert {one["status"] for one in neighbour.shop.state.webhooks.values()} == {"active"}


def test_a_tenant_that_is_polled_alone_is_left_alone(dagster: Dagster, tenant: Tenant) -> None:
    """Nobody gave its shop an address: it is not asked, and nothing is made in it."""
    tenant.shop.app.calls.clear()
    _watch(dagster)
    assert not tenant.shop.app.calls
    assert tenant.shop.state.webhooks == {}


def test_a_tenant_is_looked_at_once_an_hour(dagster: Dagster) -> None:
    dagster.instance.add_dynamic_partitions(TENANTS, ["aurora"])
    asked: list[int] = []
    for minute in range(2, 60, 5):
        at = datetime(2024, 3, 2, 9, minute, tzinfo=UTC)
        context = dg.build_schedule_context(instance=dagster.instance, scheduled_execution_time=at)
        if isinstance(webhook_schedule(context), dg.RunRequest):
            asked.append(minute // 5)
    assert asked == [slot_of("aurora", SLOTS)]
