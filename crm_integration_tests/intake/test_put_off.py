"""What came twice before it was read can be put off, and put aside, like anything else."""

from __future__ import annotations

from uuid import uuid4

import orjson
from sqlalchemy import text

from crm_integration.intake.drop_table import Arrived, drain, put_all
from crm_integration.intake.poison import TRIES, count_try
from crm_integration.storage.engine import engine_for
from crm_integration_tests.house import House, Tenant


def _twice(house: House, tenant: Tenant, number: int) -> Arrived:
    """One delivery, sent again: the receiver was killed between its commit and its answer."""
    headers = {"x-shopify-topic": "customers/update", "x-shopify-webhook-id": "d1"}
    with tenant.scope() as scope:
        keys = scope.keys
    one = Arrived(uuid4(), keys, "main", headers, orjson.dumps({"id": number}))
    for _ in range(2):
        _again(house, one)
    return one


def _again(house: House, one: Arrived) -> None:
    with engine_for(house.urls.intake).begin() as connection:
        put_all(connection, [one])


def _rows(house: House, tenant: Tenant) -> int:
    with house.engines.ops.connect() as connection:
        asked = text("select count(*) from webhook_queue where tenant_id = :t")
        return connection.execute(asked, {"t": tenant.name}).scalar_one()


def test_a_delivery_that_came_twice_is_put_off_once(house: House) -> None:
    """Two rows of one delivery were put off to the same moment: the key refused it, and all later
    deliveries of the shop waited behind it, for both drivers and for ever."""
    tenant = house.tenant("shopify")
    one = _twice(house, tenant, tenant.shop.account("ada@example.com"))

    found = drain(house.tenancy, house.engines.ops, tenant.name, tenant.store, run_id="r1")

    assert set(found.thin) == {("customer", str(tenant.shop.state.customers.copy().popitem()[0]))}
    assert _rows(house, tenant) == 1
    _again(house, one)
    assert drain(house.tenancy, house.engines.ops, tenant.name, tenant.store, run_id="r2").thin
    assert _rows(house, tenant) == 1


def test_a_delivery_that_breaks_its_reader_and_came_twice_is_put_aside_once(house: House) -> None:
    """It was put aside, the shop sent it again, and it could not be put aside a second time."""
    tenant = house.tenant("shopify")
    one = _twice(house, tenant, 7)
    for _ in range(2):
        _again(house, one)
        for _ in range(TRIES):
            with house.engines.ops.begin() as claim:
                count_try(claim, tenant.name, one.drop_id, ValueError())
    with house.engines.ops.connect() as connection:
        asked = text(
            "select tries >= :most and ready_at = 'infinity' from webhook_queue"
            " where tenant_id = :t"
        )
        told = {"t": tenant.name, "most": TRIES}
        assert connection.execute(asked, told).scalars().all() == [True]
