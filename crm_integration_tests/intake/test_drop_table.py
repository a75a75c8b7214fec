"""Deliveries: each is read once, for its own connection, and never taken for what it is not."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from crm_integration.intake import drop_table
from crm_integration.intake.drop_table import ASK_AGAIN, drain, put
from crm_integration.storage.engine import engine_for
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House as OpenHouse
from crm_integration.sync.path import run_path
from crm_integration.sync.report import PathReport, Selection
from crm_integration.tenancy.connections import save_connection
from crm_integration.tenancy.lately import Lately
from crm_integration_tests.house import MAPPINGS, WHOLE, House, Tenant, account, at

_ORDERS = frozenset({"order"})


def _deliver(house: House, tenant: Tenant, topic: str, body: Any, *, to: str = "main") -> None:
    """Put a delivery into the drop table as role crm_intake."""
    headers = {"x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": "d1"}
    if tenant.store.platform == "shopify":
        headers = {"x-shopify-topic": topic, "x-shopify-webhook-id": "d1"}
    with tenant.scope() as scope:
        keys = scope.keys
    with engine_for(house.urls.intake).begin() as connection:
        put(connection, keys, to, headers, orjson.dumps(body))


def _waiting(house: House, tenant: Tenant) -> int:
    with house.engines.ops.connect() as connection:
        return connection.execute(
            text("select count(*) from webhook_queue where tenant_id = :t"), {"t": tenant.name}
        ).scalar_one()


def _run(house: House, tenant: Tenant) -> PathReport:
    selection = Selection(extracts=_ORDERS, canonical=frozenset({"order", "customer"}))
    opened = OpenHouse(house.engines, MAPPINGS)
    return run_path(opened, tenant.name, [WHOLE], selection, run_id="r1")


def test_a_delivery_of_a_second_shop_waits_for_that_shop(house: House, tenant: Tenant) -> None:
    """Draining the first shop took the second one's deliveries out of the queue, unread."""
    second = replace(tenant.store, connection_id="second", account_id=f"{tenant.name}.second")
    with tenant.scope() as scope:
        save_connection(scope, second, {"consumer_key": "k", "consumer_secret": "s"}, actor="test")
    for to, number in (("second", 7), ("main", 8)):
        body = orjson.loads(account(number, at(0), f"p{number}@example.com").payload)
        _deliver(house, tenant, "customer.updated", body, to=to)
    place = (tenant.house.tenancy, house.engines.ops, tenant.name)

    assert drain(*place, tenant.store, run_id="r1").kept == 1
    assert _waiting(house, tenant) == 1
    assert drain(*place, second, run_id="r2").kept == 1
    assert _waiting(house, tenant) == 0

    rows = tenant.rows("select connection_id, source_id from raw_records order by source_id")
    assert [tuple(row) for row in rows] == [("second", "7"), ("main", "8")]


def test_what_a_shop_delivered_is_read_also_while_it_is_down(house: House, tenant: Tenant) -> None:
    """An outage of days after a sale: the deliveries lay unread, and a run was started for them
    again and again."""
    number = tenant.shop.guest_order("ada@example.com")
    _deliver(house, tenant, "order.created", tenant.shop.call("GET", f"/orders/{number}"))
    tenant.shop.spoiling.spoil = lambda body: b"not for you"

    report = _run(house, tenant)

    assert report.failed("extract", "order")
    assert _waiting(house, tenant) == 0
    assert tenant.value("select count(*) from orders") == 1


def test_a_delivery_that_only_names_an_order_is_not_taken_for_the_order(
    house: House, tenant: Tenant
) -> None:
    """`{"action": ..., "arg": 7}` has no time, passed for the newest version and put a good order
    into quarantine."""
    number = tenant.shop.guest_order("ada@example.com")
    body = {"action": "woocommerce_order_refunded", "arg": number}
    _deliver(house, tenant, "action.woocommerce_order_refunded", body)

    _run(house, tenant)

    assert tenant.value("select count(*) from quarantine") == 0
    assert tenant.value("select count(*) from orders") == 1
    newest = tenant.value("select max(observation) from raw_records where object_type = 'order'")
    assert newest == 3, "the order it names was not read"


def test_a_delivery_of_the_second_in_which_the_order_was_listed_is_settled(
    house: House, tenant: Tenant
) -> None:
    """The listing outranks a delivery of the same second, repeats it and is suppressed: the
    older content stood for ever."""
    number = tenant.shop.guest_order("ada@example.com")
    _run(house, tenant)
    tenant.shop.state.orders[number].status = "completed"
    _deliver(house, tenant, "order.updated", tenant.shop.call("GET", f"/orders/{number}"))

    _run(house, tenant)

    assert tenant.value("select store_status from orders") == "completed"


_QUIET = Window(date(2025, 1, 1), date(2025, 1, 2))
"""A day on which nothing happened: what a run reads then was delivered, not listed."""


def _run_quietly(house: House, tenant: Tenant) -> PathReport:
    people = frozenset({"customer"})
    opened = OpenHouse(house.engines, MAPPINGS)
    return run_path(opened, tenant.name, [_QUIET], Selection(people, people), run_id="r1")


def _asking(house: House, tenant: Tenant) -> int:
    """Its deliveries that start a run now."""
    ready = "select count(*) from webhook_queue where tenant_id = :t and ready_at <= now()"
    with house.engines.ops.connect() as connection:
        return connection.execute(text(ready), {"t": tenant.name}).scalar_one()


def _told_while_down(house: House) -> tuple[Tenant, int]:
    """A Shopify shop that told twice of an account (its number) and is down now."""
    tenant = house.tenant("shopify")
    number = tenant.shop.account("ada@example.com")
    for _ in range(2):
        _deliver(house, tenant, "customers/update", {"id": number})
    tenant.shop.spoiling.spoil = lambda body: b"<html>down for maintenance</html>"
    return tenant, number


def test_a_delivery_that_only_names_an_object_waits_until_the_store_is_up_again(
    house: House,
) -> None:
    """Each of Shopify's deliveries only says whom to ask for. They left the queue while the shop
    was down, and a customer of whom no later listing told was lost."""
    tenant, number = _told_while_down(house)
    assert _run_quietly(house, tenant).failed("extract", "customer")
    assert (_waiting(house, tenant), tenant.value("select count(*) from raw_records")) == (2, 0)

    tenant.shop.spoiling.spoil = lambda body: body
    assert _run_quietly(house, tenant).problems == []
    assert _waiting(house, tenant) == 0
    rows = tenant.rows("select source_id, observation from raw_records")
    assert [tuple(row) for row in rows] == [(str(number), 3)]
    assert tenant.value("select count(*) from customers") == 1


def test_a_shop_that_is_down_is_not_asked_by_a_run_a_minute(house: House) -> None:
    """What waits for the shop started a run at every tick, for as long as the outage lasted."""
    tenant, _ = _told_while_down(house)
    assert _asking(house, tenant) == 2
    _run_quietly(house, tenant)
    assert _asking(house, tenant) == 0
    with house.engines.ops.begin() as connection:
        passed = text("update webhook_queue set ready_at = ready_at - :t where tenant_id = :me")
        connection.execute(passed, {"t": ASK_AGAIN, "me": tenant.name})
    assert _asking(house, tenant) == 2


def test_what_a_broken_group_had_heard_is_noted_by_the_next(
    house: House, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The note was rolled back and believed: for half a minute a topic that spoke looked silent."""
    known, broke = drop_table.keep, list[int]()

    def breaks_once(*told: Any, **more: Any) -> Any:
        if not broke:
            broke.append(1)
            raise ZeroDivisionError
        return known(*told, **more)

    monkeypatch.setattr(drop_table, "keep", breaks_once)
    body = orjson.loads(account(7, at(0), "ada@example.com").payload)
    _deliver(house, tenant, "customer.updated", body)
    place = (house.tenancy, house.engines.ops, tenant.name, tenant.store)
    lately = Lately()
    drain(*place, run_id="r1", lately=lately)
    with house.engines.ops.begin() as connection:
        again = text("update webhook_queue set ready_at = now() where tenant_id = :t")
        connection.execute(again, {"t": tenant.name})
    assert drain(*place, run_id="r2", lately=lately).kept == 1
    assert broke
    assert tenant.rows("select heard_at from webhook_subscriptions where heard_at is not null")
