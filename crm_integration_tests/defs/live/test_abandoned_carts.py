"""The sensor of abandoned carts: every tenant gets its turn, whatever the others are like."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from sqlalchemy import text

from crm_integration.definitions import defs
from crm_integration.defs import resources
from crm_integration.defs.live import abandoned_carts as sensor_module
from crm_integration.defs.live.abandoned_carts import TENANT_OF_A_RUN, abandoned_carts_sensor
from crm_integration.defs.partitions import TENANTS, key_of
from crm_integration.defs.resources import HouseResource
from crm_integration.sync.path import House as OpenHouse
from crm_integration_tests import shop_life
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import MAPPINGS, House, Tenant


@pytest.fixture
def mappings(
    house: House, dagster: Dagster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """A folder of mappings that the sensor reads and a test may spoil."""
    root = tmp_path / "mappings"
    shutil.copytree(MAPPINGS, root)
    opened = OpenHouse(house.engines, root)

    def opened_here(database: str) -> OpenHouse:
        return opened

    monkeypatch.setattr(resources, "_opened", opened_here)
    return root


@pytest.fixture(autouse=True)
def _no_carts_of_others(house: House) -> Iterator[None]:
    """The sensor looks at all tenants of a database: those of the tests before are done with."""
    yield
    for tenant in house._tenants:  # pyright: ignore[reportPrivateUsage]
        with tenant.scope() as scope:
            scope.connection.execute(text("update carts set settled = true"))


def _with_cart(house: House, minutes: int) -> Tenant:
    """A tenant whose shop has a cart that nobody touched for so many minutes."""
    tenant = house.tenant("shopify")
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    cart = tenant.shop.state.carts[shop_life.leaves_cart(tenant.shop, order)]
    now = datetime.now(UTC)
    cart.created = cart.modified = int((now - timedelta(minutes=minutes)).timestamp())
    tenant.shop.now = int(now.timestamp())
    tenant.extract()
    tenant.derive()
    return tenant


def _settings(mappings: Path, tenant: Tenant, minutes: str) -> None:
    told = f"tenant: {tenant.name}\ncrm: hubspot\n"
    told += f"settings: {{cart_abandoned_after_minutes: {minutes}}}\n"
    (mappings / "tenants" / f"{tenant.name}.yaml").write_text(told)


def _tick(dagster: Dagster, cursor: str | None = None) -> tuple[list[str], str | None]:
    """The partitions that a tick asks for, and its cursor."""
    context = dg.build_sensor_context(
        instance=dagster.instance,
        cursor=cursor,
        resources={"house": HouseResource()},
        definitions=defs,
    )
    requests: Any = abandoned_carts_sensor(context)
    return [str(one.partition_key) for one in requests], context.cursor


def _today(tenant: Tenant) -> str:
    return str(key_of(tenant.name, datetime.now(UTC).date()))


def test_one_tenants_broken_file_does_not_stop_the_others(
    dagster: Dagster, house: House, mappings: Path
) -> None:
    """A typing mistake in one file ended the tick: no shop's carts were swept until somebody
    found it."""
    broken, sound = _with_cart(house, 90), _with_cart(house, 80)
    _settings(mappings, broken, "soon")
    asked, _ = _tick(dagster)
    assert asked == [_today(sound)]


def test_carts_that_are_not_due_do_not_stand_before_those_that_are(
    dagster: Dagster, house: House, mappings: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Twenty tenants that wait for a week had the oldest carts and filled every tick with
    nothing."""
    monkeypatch.setattr(sensor_module, "TENANTS_A_TICK", 1)
    patient, due = _with_cart(house, 900), _with_cart(house, 80)
    _settings(mappings, patient, "10080")
    asked, _ = _tick(dagster)
    assert asked == [_today(due)]


@pytest.mark.parametrize("limit", ["TENANTS_A_TICK", "LOOKED_AT_A_TICK"])
def test_every_tenant_has_its_turn_tick_after_tick(
    dagster: Dagster, house: House, mappings: Path, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    """A tenant whose sweep fails keeps the oldest cart: it was asked for first for ever."""
    monkeypatch.setattr(sensor_module, limit, 1)
    tenants = [_with_cart(house, minutes) for minutes in (90, 80, 70)]
    asked, cursor = list[str](), None
    for _ in tenants:
        more, cursor = _tick(dagster, cursor)
        asked += more
    assert sorted(asked) == sorted(_today(one) for one in tenants)
    assert _tick(dagster, cursor)[0] == asked[:1], "it goes round"


def test_no_sweep_is_asked_for_while_the_last_one_is_unfinished(
    dagster: Dagster, house: House, mappings: Path
) -> None:
    """Behind a backfill of an hour sixty sweeps of one tenant stood in the queue."""
    waits, other = _with_cart(house, 90), _with_cart(house, 80)
    dagster.instance.add_dynamic_partitions(TENANTS, [waits.name, other.name])
    job = defs.resolve_job_def("sweep_abandoned_carts")
    tags = job.get_tags_for_partition_key(_today(waits), selected_asset_keys=None)
    assert tags[TENANT_OF_A_RUN] == waits.name, "as Dagster names it"
    run = dagster.instance.create_run_for_job(job, tags=tags, status=dg.DagsterRunStatus.STARTED)
    assert _tick(dagster)[0] == [_today(other)]
    dagster.instance.report_run_canceled(run)
    assert sorted(_tick(dagster)[0]) == sorted([_today(waits), _today(other)])
