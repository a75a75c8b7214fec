"""The proof in Dagster: each partition its own verdict, and a run that says who is not whole."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import dagster as dg

from crm_integration.definitions import defs
from crm_integration.defs.health.completeness import ASSETS, CHECK, PROVE
from crm_integration.defs.health.completeness_schedule import completeness_schedule
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import Tenant
from crm_integration_tests.served import writes

ORDERS = dg.AssetKey(["crm_sync", "orders"])


def _prove(dagster: Dagster, *tenants: Tenant, **more: Any) -> dg.ExecuteInProcessResult:
    config = {
        "from_day": "2024-03-01", "to_day": "2024-03-02",
        "tenants": [one.name for one in tenants], **more,
    }  # fmt: skip
    return defs.resolve_job_def(PROVE).execute_in_process(
        instance=dagster.instance,
        raise_on_error=False,
        run_config={
            "ops": {"completeness": {"config": config}},
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
    )


def _orders(dagster: Dagster, run_id: str) -> dict[str | None, dg.AssetCheckEvaluation]:
    return {one.partition: one for one in dagster.checks(run_id) if one.asset_key == ORDERS}


def test_exactly_the_partition_of_the_tenant_with_a_hole_is_red(
    dagster: Dagster, tenant: Tenant, neighbour: Tenant
) -> None:
    """The latest partition was green, so the check was."""
    for one in (tenant, neighbour):
        one.shop.guest_order("ada.lovelace@example.com")
    assert dagster.run("reconcile_all", tenant, neighbour).success
    missing = tenant.shop.guest_order("unheard@example.com")
    made = writes(tenant.portal.calls)

    result = _prove(dagster, tenant, neighbour)

    assert not result.success
    (failure,) = [one.step_failure_data for one in result.all_events if one.is_step_failure]
    assert failure.user_failure_data is not None
    said = failure.user_failure_data.description or ""
    assert tenant.name in said
    assert neighbour.name not in said
    found = _orders(dagster, result.run_id)
    red, green = found[f"{tenant.name}|2024-03-01"], found[f"{neighbour.name}|2024-03-01"]
    assert (red.passed, green.passed) == (False, True)
    assert red.target_materialization_data is not None
    assert str(missing) in str(red.metadata["stages"].value)
    assert "completeness" in str(red.metadata["next step"].value)
    assert (red.metadata["wrong"].value, green.metadata["proven"].value) == (1, 1)
    assert writes(tenant.portal.calls) == made
    log = json.dumps([str(entry) for entry in dagster.instance.all_logs(result.run_id)])
    assert "lovelace" not in log.lower()
    assert "unheard" not in log


def test_a_healing_run_reports_the_second_proof(dagster: Dagster, tenant: Tenant) -> None:
    """What counts is how it is now."""
    tenant.shop.guest_order("ada@example.com")
    assert dagster.run("reconcile_all", tenant).success
    tenant.shop.guest_order("unheard@example.com")

    result = _prove(dagster, tenant, heal=True, surplus=True)

    assert result.success
    evaluation = _orders(dagster, result.run_id)[f"{tenant.name}|2024-03-01"]
    assert (evaluation.passed, evaluation.metadata["proven"].value) == (True, 2)
    assert tenant.portal.one("contact", email="unheard@example.com")


def test_other_jobs_prove_nothing(dagster: Dagster, tenant: Tenant) -> None:
    """Every reconcile would have listed every store twice."""
    tenant.shop.guest_order("ada@example.com")
    result = dagster.run("reconcile_all", tenant)
    assert result.success
    assert CHECK not in {one.check_name for one in dagster.checks(result.run_id)}
    assert tenant.value("select count(*) from proofs") == 0


def test_every_crm_asset_and_every_listed_type_has_the_check() -> None:
    """What no check is about, nobody looks for."""
    keys = {key.to_user_string() for key in ASSETS.values()}
    assert {one for one in keys if one.startswith("crm_sync/")} == {
        key.to_user_string()
        for key in defs.resolve_asset_graph().get_all_asset_keys()
        if key.path[0] == "crm_sync"
    }
    assert keys - {one for one in keys if one.startswith("crm_sync/")} == {"canonical/shipments"}


def test_the_schedule_lists_surplus_once_a_week(dagster: Dagster) -> None:
    """Sunday is a quiet day."""
    told = {}
    for day in range(2, 9):  # Saturday the 2nd to Friday the 8th
        moment = datetime(2024, 3, day, 2, 41, tzinfo=UTC)
        context = dg.build_schedule_context(
            instance=dagster.instance, scheduled_execution_time=moment
        )
        (request,) = completeness_schedule(context)
        config = request.run_config["ops"]["completeness"]["config"]
        told[config["to_day"]] = config["surplus"]
    assert [day for day, surplus in told.items() if surplus] == ["2024-03-03"]
