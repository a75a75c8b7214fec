"""Live runs in Dagster: when one is asked for, what it does, and what it tells."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from sqlalchemy import text

from crm_integration.definitions import defs
from crm_integration.defs.live.drop_table_sensor import drop_table_sensor
from crm_integration.defs.live.lane_run import lanes_of
from crm_integration.defs.resources import HouseResource
from crm_integration.defs.run_here import QUIET
from crm_integration.intake.drop_table import lane_of
from crm_integration.intake.lanes import ALL_LANES, Lanes, holders
from crm_integration.settings import get_settings
from crm_integration.sync import live_run
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.sync.live import deliver_order, queued


def _context(dagster: Dagster, cursor: str | None = None) -> dg.SensorEvaluationContext:
    return dg.build_sensor_context(
        instance=dagster.instance,
        cursor=cursor,
        resources={"house": HouseResource()},
        definitions=defs,
    )


def _asked(dagster: Dagster) -> list[dg.RunRequest]:
    return list(drop_table_sensor(_context(dagster)))


def _run(dagster: Dagster, **config: object) -> dg.ExecuteInProcessResult:
    told = {**QUIET, "ops": {"drain_lanes": {"config": {"life_seconds": 30.0, **config}}}}
    job = defs.resolve_job_def("drain_deliveries")
    return job.execute_in_process(instance=dagster.instance, raise_on_error=False, run_config=told)


@pytest.fixture(autouse=True)
def _short(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run ends after two seconds without a successor; nothing of other tests waits."""
    monkeypatch.setattr(live_run, "OVERTIME", 2.0 / 30.0)
    with house.engines.ops.begin() as connection:
        connection.execute(text("delete from webhook_queue"))


def test_an_unread_delivery_in_a_cold_lane_asks_for_a_run(dagster: Dagster, tenant: Tenant) -> None:
    """A webhook must not wait for the next schedule; an empty queue asks for nothing."""
    assert _asked(dagster) == []
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    (first,), (again,) = _asked(dagster), _asked(dagster)
    assert first.run_config["ops"]["drain_lanes"]["config"]["successor"] is False
    assert first.run_key is not None
    assert first.run_key.split(":")[:2] == ["live", "0"]
    assert again.run_key is not None


def test_a_lane_that_somebody_drains_asks_for_nobody_until_its_life_nears_the_end(
    dagster: Dagster, tenant: Tenant
) -> None:
    """A run was started for each tick of the sensor."""
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    ops = tenant.house.engines.ops
    with Lanes(ops, "holder", 100) as lanes:
        lanes.take(ALL_LANES)
        assert _asked(dagster) == []
        with ops.begin() as connection:
            late = datetime.now(UTC) - timedelta(seconds=90)
            connection.execute(
                text("update lanes set taken_at = :t, ends_at = :t + interval '100 s'"),
                {"t": late},
            )
        (asked,), (again,) = _asked(dagster), _asked(dagster)
        assert asked.run_config["ops"]["drain_lanes"]["config"]["successor"] is True
        assert asked.run_key == again.run_key, "one successor for each epoch"
        with Lanes(ops, "next", 100) as successor:
            successor.announce(ALL_LANES)
            assert _asked(dagster) == []


def test_a_cold_lane_of_a_share_that_others_drain_asks_for_a_run(
    dagster: Dagster, tenant: Tenant
) -> None:
    """A successor had missed one lane, and for a minute everybody believed that it was drained."""
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    mine = lane_of(tenant.name)
    with Lanes(tenant.house.engines.ops, "holder", 100) as lanes:
        lanes.take(set(ALL_LANES) - {mine})
        (asked,) = _asked(dagster)
        assert asked.run_config["ops"]["drain_lanes"]["config"]["successor"] is False
        lanes.take([mine])
        assert _asked(dagster) == []


def test_two_shares_hand_over_one_after_the_other(
    dagster: Dagster, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two runs that started at once took the processors from those who drained."""
    monkeypatch.setenv("CRM_INTEGRATION_LIVE_GROUPS", "2")
    monkeypatch.setenv("CRM_INTEGRATION_LIVE_LIFE", "100")
    get_settings.cache_clear()
    ops, late = tenant.house.engines.ops, datetime.now(UTC) - timedelta(seconds=90)
    with Lanes(ops, "holder", 100) as lanes:
        lanes.take(ALL_LANES)
        with ops.begin() as connection:
            connection.execute(
                text("update lanes set taken_at = :t, ends_at = :t + interval '100 s'"),
                {"t": late},
            )
        context = _context(dagster)
        (first,) = drop_table_sensor(context)
        assert list(drop_table_sensor(_context(dagster, context.cursor))) == []
        moment = datetime.fromisoformat(context.cursor or "") - timedelta(seconds=16)
        (next_one,) = drop_table_sensor(_context(dagster, moment.isoformat()))
        assert first.run_key == next_one.run_key, "the first has not come yet"
        with Lanes(ops, "next", 100) as successor:
            successor.announce(lanes_of(0, 2))
            (other,) = drop_table_sensor(_context(dagster, moment.isoformat()))
        assert other.run_config["ops"]["drain_lanes"]["config"]["group"] == 1
    get_settings.cache_clear()


def test_a_run_brings_deliveries_to_the_crm_and_tells_what_it_touched(
    dagster: Dagster, tenant: Tenant
) -> None:
    """A partition looked stale although its records were in the CRM."""
    order = tenant.shop.guest_order("ada@example.com")
    deliver_order(tenant, order)
    result = _run(dagster)
    assert result.success
    assert tenant.portal.one("contact")["email"] == "ada@example.com"
    assert queued(tenant) == 0
    told = [
        one
        for one in dagster.materializations(result.run_id)
        if one.partition and one.partition.startswith(f"{tenant.name}|")
    ]
    assert {one.asset_key.to_user_string() for one in told} == {
        "store_extracts/orders", "canonical/orders", "crm_sync/orders",
    }  # fmt: skip
    assert all(one.metadata["complete"].value is False for one in told)
    assert all(one.metadata["dagster/partition_row_count"].value == 1 for one in told)


def test_what_a_killed_run_touched_is_told_by_the_next(dagster: Dagster, tenant: Tenant) -> None:
    """A killed run reports nothing: its partitions stayed grey."""
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    with tenant.house.engines.ops.begin() as connection:
        connection.execute(
            text("insert into touched_partitions (tenant_id, object_type, day)"
                 " values (:t, 'order', '2024-03-01') on conflict do nothing"),
            {"t": tenant.name},
        )  # fmt: skip
    with Lanes(tenant.house.engines.ops, "holder", 100) as lanes:
        lanes.take(ALL_LANES)
        result = _run(dagster)
        (holder,) = {one.successor for one in holders(tenant.house.engines.ops)}
    assert result.success, "a run that misses the lanes ends as a no-op"
    assert holder is None, "and makes nobody end who drains: waker and sensor both ask for a run"
    told = {one.partition for one in dagster.materializations(result.run_id)}
    assert f"{tenant.name}|2024-03-01" in told
    assert queued(tenant) == 1


def test_shares_of_the_lanes_are_disjoint_and_whole() -> None:
    """A lane that belonged to no share was drained by nobody."""
    shares = [lanes_of(group, 3) for group in range(3)]
    assert sorted(lane for share in shares for lane in share) == list(ALL_LANES)
