"""The drop table queues what it keeps: in the lane that its tenant has everywhere, and once."""

from __future__ import annotations

from uuid import uuid4

from sqlalchemy import text

from crm_integration.intake.drop_table import Arrived, lane_of, put_all
from crm_integration.intake.hearing import Ear
from crm_integration.intake.lanes import ALL_LANES
from crm_integration.storage.engine import engine_for
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.intake.receiving import keys_of, queued


def _arrived(tenant: Tenant) -> Arrived:
    return Arrived(uuid4(), keys_of(tenant), "main", {"x": "y"}, b"{}")


def _put(house: House, *arrived: Arrived) -> None:
    with engine_for(house.urls.intake).begin() as connection:
        put_all(connection, arrived)


def test_a_delivery_is_queued_in_its_tenants_lane(house: House) -> None:
    """Queued in another one, it waited for a run that never looks there."""
    tenants = [house.tenant() for _ in range(6)]
    _put(house, *(_arrived(one) for one in tenants))
    with house.engines.ops.connect() as connection:
        rows = connection.execute(text("select tenant_id, lane from webhook_queue")).all()
    lanes = {row.tenant_id: row.lane for row in rows}
    assert {one.name: lanes[one.name] for one in tenants} == {
        one.name: lane_of(one.name) for one in tenants
    }
    assert len({lanes[one.name] for one in tenants}) > 1


def test_what_is_kept_already_is_not_queued_again(house: House, tenant: Tenant) -> None:
    """Read once more, a version that had been superseded was kept as a raw record again."""
    first, second = _arrived(tenant), _arrived(tenant)
    _put(house, first)
    _put(house, first, second)
    assert queued(house, tenant) == 2
    with house.engines.ops.begin() as connection:
        connection.execute(
            text("delete from webhook_queue where tenant_id = :t"), {"t": tenant.name}
        )
    _put(house, first, second)
    assert queued(house, tenant) == 0


def test_each_tenant_of_a_commit_is_told_of_once(
    house: House, tenant: Tenant, neighbour: Tenant
) -> None:
    """A statement for each of a hundred tenants cost more than keeping what they sent."""
    with Ear(house.engines.ops, ALL_LANES) as ear:
        ear.listen(0)
        _put(house, *(_arrived(one) for one in (tenant, neighbour, tenant, tenant)))
        heard = ear.listen(2.0)
        heard += ear.listen(0.2)
    assert sorted(heard) == sorted([tenant.name, neighbour.name])
