"""Runs over many tenants: who passed is done, who did not is red, and nobody stops another."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import date

from crm_integration.quality.holds import open_hold, release
from crm_integration.sandbox.faults import FaultRule
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import Tenant


def test_one_run_takes_two_tenants_the_whole_way(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    """The thinnest way: what is bought in a shop stands in its own merchant's CRM."""
    tenant.shop.guest_order("ada@example.com")
    neighbour.shop.guest_order("bob@example.com")

    result = dagster.run("reconcile_all", tenant, neighbour)

    assert result.success
    assert tenant.portal.one("contact")["email"] == "ada@example.com"
    assert neighbour.portal.one("contact")["email"] == "bob@example.com"
    assert dagster.partitions("crm_sync", "orders") == {
        f"{one.name}|2024-03-01" for one in (tenant, neighbour)
    }


def test_a_long_range_reports_slice_by_slice_and_a_retry_only_what_is_left(
    dagster: Dagster, tenant: Tenant
) -> None:
    """Two quarters: the store fails in the first one, and re-executing asks only for that."""
    tenant.shop.guest_order("ada@example.com")
    days = (date(2024, 2, 20), date(2024, 6, 20))
    tenant.shop.follow(FaultRule("status", path="/products", status=403, count=1))

    failed = dagster.run("reconcile_all", tenant, days=days)
    first = {one.partition for one in dagster.materializations(failed.run_id)}
    again = dagster.run("reconcile_all", tenant, days=days, again=failed.run_id)
    rest = {one.partition for one in dagster.materializations(again.run_id)}

    assert not failed.success
    assert again.success
    assert f"{tenant.name}|2024-06-20" in first - rest
    assert f"{tenant.name}|2024-03-01" in rest
    assert len(dagster.partitions("store_extracts", "products")) == (days[1] - days[0]).days + 1
    assert len(tenant.portal.records("order")) == 1


def test_exactly_the_partitions_of_the_tenant_that_failed_are_red(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    """A dead shop once kept a hundred merchants from being synced."""
    tenant.shop.guest_order("ada@example.com")
    neighbour.shop.guest_order("bob@example.com")
    tenant.shop.spoiling.spoil = lambda body: b"<html>maintenance</html>"

    result = dagster.run("reconcile_all", tenant, neighbour)

    assert not result.success
    assert dagster.partitions("store_extracts", "orders") == {f"{neighbour.name}|2024-03-01"}
    assert neighbour.portal.one("order")["hs_total_price"]
    (failure,) = [e.step_failure_data for e in result.all_events if e.is_step_failure]
    assert failure.user_failure_data is not None
    assert tenant.name in (failure.user_failure_data.description or "")
    assert neighbour.name not in (failure.user_failure_data.description or "")


def test_a_wrong_key_stops_one_tenant_with_a_sentence(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    """ "401" in a stack trace helps nobody; the merchant must reconnect, and the rest goes on."""
    tenant.shop.guest_order("ada@example.com")
    neighbour.shop.guest_order("bob@example.com")
    tenant.portal.follow(FaultRule("revoke", count=0))

    result = dagster.run("reconcile_all", tenant, neighbour)

    assert not result.success
    assert tenant.state("contact") == [("pending", None)]
    assert neighbour.portal.one("contact")["email"] == "bob@example.com"


def test_an_error_nobody_foresaw_stops_one_tenant_and_shows_nobody(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    """A validator's traceback showed the value it refused, and ended the run of all merchants."""
    tenant.shop.guest_order("ada@example.com")
    neighbour.shop.guest_order("bob@example.com")
    plan = json.dumps({"budgets": {"all": {"calls": "ada.lovelace@example.com"}}})
    tenant.rows(
        "update connections set settings = cast(:plan as jsonb) where side = 'crm' returning 1",
        plan=plan,
    )

    result = dagster.run("reconcile_all", tenant, neighbour)

    assert not result.success
    assert neighbour.portal.one("contact")["email"] == "bob@example.com"
    assert dagster.partitions("crm_sync", "orders") == {f"{neighbour.name}|2024-03-01"}
    log = json.dumps([str(entry) for entry in dagster.instance.all_logs(result.run_id)])
    assert "lovelace" not in log.lower()
    assert "unforeseen ValidationError at crm_integration.transport.budget:" in log


def test_a_tenant_whose_walls_do_not_open_stops_nobody(dagster: Dagster, tenant: Tenant) -> None:
    """Somebody removed a merchant and left the partition: reporting on it ended the run."""
    tenant.shop.guest_order("ada@example.com")

    result = dagster.run("reconcile_all", replace(tenant, name="nobody"), tenant)

    assert not result.success
    assert dagster.partitions("crm_sync", "orders") == {f"{tenant.name}|2024-03-01"}


def test_each_partition_has_its_own_check_and_points_at_its_own_materialization(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    """A check without a partition shows any one of them and hides the one that failed."""
    tenant.shop.guest_order("ada@example.com")
    neighbour.shop.guest_order("bob@example.com")

    result = dagster.run("reconcile_all", tenant, neighbour)

    of_orders = [
        one
        for one in dagster.checks(result.run_id)
        if one.asset_key.path == ["canonical", "orders"] and one.check_name == "row_rules"
    ]
    assert {str(one.partition) for one in of_orders} == {
        f"{one.name}|2024-03-01" for one in (tenant, neighbour)
    }
    assert all(one.passed for one in of_orders)
    targets = {one.target_materialization_data for one in of_orders}
    assert None not in targets
    assert len(targets) == 2


def test_a_replayed_partition_makes_no_crm_call(dagster: Dagster, tenant: Tenant) -> None:
    """Replaying is safe only if people need not fear it."""
    tenant.shop.guest_order("ada@example.com")
    dagster.run("reconcile_all", tenant)
    calls = sum(tenant.portal.calls.values())
    attempts = tenant.value("select count(*) from attempts")

    result = dagster.run("replay_a_window", tenant)

    assert result.success
    assert sum(tenant.portal.calls.values()) == calls
    assert tenant.value("select count(*) from attempts") == attempts


def test_a_run_of_only_the_crm_assets_writes_nothing_while_a_hold_is_open(
    dagster: Dagster, tenant: Tenant
) -> None:
    """A blocking check gates its own run; materializing the CRM asset afterwards went through."""
    tenant.shop.guest_order("ada@example.com")
    tenant.extract()
    tenant.derive()
    with tenant.scope() as scope:
        for object_type in ("contact", "product", "order", "refund"):
            open_hold(scope, object_type, "row_rules", "too many", "mend the rows", 7)

    held = dagster.run("send_to_crm", tenant)

    assert not held.success
    assert sum(tenant.portal.calls.values()) == 0
    assert tenant.portal.records("contact") == {}
    assert dagster.partitions("crm_sync", "contacts") == set()
    assert tenant.state("contact") == [("held", "a hold is open")]

    with tenant.scope() as scope:
        for object_type in ("contact", "product", "order", "refund"):
            release(scope, object_type, None, by="a person")
    released = dagster.run("send_to_crm", tenant)

    assert released.success
    assert tenant.portal.one("contact")["email"] == "ada@example.com"


def test_a_closed_window_full_of_bad_rows_opens_a_hold_and_its_check_fails(
    dagster: Dagster, tenant: Tenant
) -> None:
    """One broken export must not reach the CRM half."""
    for _ in range(51):
        tenant.shop.guest_order("ada@example.com", total="-5.00")
    tenant.shop.guest_order("bob@example.com")

    result = dagster.run("reconcile_all", tenant)

    assert not result.success
    assert tenant.value("select count(*) from holds where released_at is null") >= 1
    assert tenant.portal.records("order") == {}
    failed = [one for one in dagster.checks(result.run_id) if not one.passed]
    assert {one.check_name for one in failed} >= {"row_rules"}
    assert f"{tenant.name}|2024-03-01" not in dagster.partitions("canonical", "orders")


def test_metadata_holds_counts_and_money_but_no_person(dagster: Dagster, tenant: Tenant) -> None:
    """Dagster's database is not sealed, so nothing personal may reach it."""
    tenant.shop.guest_order("ada.lovelace@example.com", first="Ada", last="Lovelace-Byron")

    result = dagster.run("reconcile_all", tenant)

    found = dagster.materializations(result.run_id)
    by_key = {one.asset_key.to_user_string(): one.metadata for one in found}
    assert by_key["canonical/orders"]["total GBP"].value == 10.0
    assert by_key["store_extracts/orders"]["dagster/partition_row_count"].value == 1
    assert by_key["crm_sync/contacts"]["created by this run"].value == 1
    log = json.dumps([str(entry) for entry in dagster.instance.all_logs(result.run_id)])
    assert "lovelace" not in log.lower()
