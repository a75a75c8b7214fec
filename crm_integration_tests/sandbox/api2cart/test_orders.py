"""Orders, refunds and parcels as order.list, order.info and order.shipment.list show them."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import pytest

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.api2cart.app import Api2CartApp
from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.shop_state import OrderRecord, ShopState
from crm_integration_tests.sandbox.api2cart.stores import (
    CUSTOMER,
    Clock,
    StoreCaller,
    small_store,
)
from crm_integration_tests.sandbox.clients import shop_settings


def _one(caller: StoreCaller, number: str) -> dict[str, Any]:
    return caller.call("order.info", order_id=number, params="force_all")["result"]


def test_an_order_has_an_id_and_a_number_and_money_as_numbers(caller: StoreCaller) -> None:
    """`id` is the store's own, `order_id` what the buyer reads; the line keeps its half penny."""
    order = _one(caller, "500002")
    assert (order["id"], order["order_id"]) == ("500002", "500002")
    assert order["totals"]["total"] == 35.99
    (line,) = order["order_products"]
    assert (line["price"], line["quantity"], line["total_price"]) == (17.995, 2, 35.99)
    assert (order["currency"]["iso3"], order["status"]["id"]) == ("GBP", "completed")
    assert order["custom_fields"] == {"_invented_identity": "yes"}
    assert order["customer"]["id"] == str(CUSTOMER)
    assert caller.call("order.info", id="500002", params="id")["result"] == {"id": "500002"}


def test_a_guest_has_no_id_but_an_email(caller: StoreCaller) -> None:
    """An empty id taken for an id makes one customer of all guests."""
    order = _one(caller, "500001")
    assert order["customer"]["id"] == ""
    assert "@" in order["customer"]["email"]


def test_a_refund_lies_in_its_order_as_a_positive_amount(caller: StoreCaller) -> None:
    """Refunds have no list of their own, and the default fields hide them."""
    (order,) = caller.orders(financial_status="partially_refunded", params="force_all")
    (refund,) = order["refunds"]
    assert (refund["total"], refund["comment"]) == (18.0, "C500090")
    (item,) = refund["items"]
    assert (item["qty"], item["refund"]) == (1, 18.0)
    assert item["order_product_id"] == order["order_products"][0]["order_product_id"]
    assert order["status"]["refund_info"]["total_refunded"] == 18.0
    assert (order["status"]["id"], order["additional_fields"]["financial_status"]) == (
        "completed", "partially_refunded",
    )  # fmt: skip


def test_a_credit_note_without_an_order_says_so_in_tag_and_comment(caller: StoreCaller) -> None:
    """The import made an order to carry it; read as a sale it would count twice."""
    order = _one(caller, "C500091")
    assert order["additional_fields"]["tags"] == "credit-without-order"
    assert order["comment"] == "credit-without-order"
    assert order["id"] != order["order_id"]
    assert (order["status"]["id"], order["refunds"][0]["total"]) == ("refunded", 10.0)


def test_unreadable_invoices_are_served_as_they_are(caller: StoreCaller) -> None:
    """It is for the engine to keep them back, not for the store."""
    adjustment, lost = _one(caller, "A500092"), _one(caller, "500093")
    assert adjustment["totals"]["total"] == -50.0
    assert lost["order_products"][0]["quantity"] == -7


@pytest.mark.parametrize(
    ("form", "value"),
    [
        ("Y-m-d\\TH:i:sO", "2026-01-01T05:00:00-0500"),
        ("Y-m-d H:i:s", "2026-01-01 05:00:00"),
        ("U", "1767261600"),
        ("Y-m-d\\TH:i:sP", "2026-01-01T05:00:00-05:00"),
    ],
)
def test_a_date_tells_its_own_format(shop: ShopState, form: str, value: str) -> None:
    """The same moment; one of the formats leaves the zone out."""
    caller = StoreCaller(Api2CartApp(shop, date_format=form))
    assert _one(caller, "500002")["create_at"] == {"value": value, "format": form}


def test_a_date_parameter_without_a_zone_is_shop_time(caller: StoreCaller) -> None:
    """The shop lies five hours behind UTC; both ends of a range belong to it."""
    assert caller.call("order.count", created_to="2026-01-01 05:00:00")["result"] == {
        "orders_count": 10,
    }  # fmt: skip
    assert caller.call("order.count", created_to="2026-01-01T10:00:00Z")["result"] == {
        "orders_count": 10,
    }  # fmt: skip
    assert caller.call("order.count", created_to="2026-01-01T10:00:00")["result"] == {
        "orders_count": 12,
    }  # fmt: skip
    assert caller.call("order.count", created_to="2026-01-01T09:59:59Z")["result"] == {
        "orders_count": 0,
    }  # fmt: skip


def test_a_list_counts_its_own_rows_not_the_store_s(caller: StoreCaller) -> None:
    """`orders_count` of a page taken for the total ends the scan after one page."""
    page = caller.call("order.list", count=5)
    assert page["result"]["orders_count"] == 5
    assert caller.call("order.count")["result"]["orders_count"] == 15


_FILTERS: list[tuple[dict[str, str], set[str]]] = [
    ({"ids": "500001,500002,9"}, {"500001", "500002"}),
    ({"order_ids": "500001,C500091"}, {"500001", "C500091"}),
    ({"ids": "500001,500002", "order_ids": "500002"}, {"500002"}),
    ({"since_id": "500011", "created_to": "2026-01-01T23:00:00Z"}, {"500012"}),
    ({"customer_id": "22222"}, {"C500091"}),
    ({"order_status": "refunded"}, {"C500091"}),
    ({"order_status": "Refunded"}, {"C500091"}),
    ({"order_status_ids": "refunded,failed"}, {"C500091"}),
    ({"financial_status": "refunded"}, {"C500091"}),
    ({"fulfillment_status": "partially_shipped"}, {"500012"}),
    ({"modified_from": "2026-01-02T00:00:00Z", "modified_to": "2026-01-02T09:00:00Z"}, {"500012"}),
    ({"modified_from": "2026-01-03T00:00:00Z"}, {"A500092", "500093"}),
    ({"created_from": "2026-01-01T10:10:00Z", "modified_to": "2026-01-01T23:00:00Z"}, {"500011"}),
    ({"shipping_country_iso3": "FRA"}, set()),
    ({"currency_id": "EUR"}, set()),
    ({"ids": "500001,500002", "skip_order_ids": "500001"}, {"500002"}),
]


@pytest.mark.parametrize(("params", "numbers"), _FILTERS)
def test_a_filter_finds_its_orders(
    caller: StoreCaller, params: dict[str, str], numbers: set[str]
) -> None:
    """Alone and combined."""
    assert set(caller.numbers(count=250, **params)) == numbers


def test_contacts_find_orders_in_any_letter_case(caller: StoreCaller) -> None:
    """An e-mail is typed anew at each checkout."""
    customer = _one(caller, "500002")["customer"]
    mine = caller.numbers(count=250, customer_id=str(CUSTOMER))
    assert caller.numbers(count=250, customer_email=customer["email"].upper()) == mine
    assert caller.numbers(count=250, phone=customer["phone"]) == mine


def test_filters_and_sorts_agree_with_a_plain_scan(caller: StoreCaller, shop: ShopState) -> None:
    """Whatever index serves a page, the rows and their order are those of the whole list."""
    keys: dict[str, Callable[[OrderRecord], int]] = {
        "order_id": lambda one: one.id,
        "create_at": lambda one: one.created,
        "modified_at": lambda one: one.modified,
    }  # fmt: skip
    bound = "2026-01-01T10:10:00Z"
    for sort, key in keys.items():
        rows = sorted(shop.orders.values(), key=lambda one: (key(one), one.id))
        kept = [one for one in rows if one.modified >= shop.orders[500011].created]
        for direction in ("asc", "desc"):
            base = {"sort_by": sort, "sort_direction": direction, "count": 4}
            found = [n for start in range(0, 20, 4) for n in caller.numbers(**base, start=start)]
            bounded = caller.numbers(**{**base, "count": 250}, modified_from=bound)
            step = 1 if direction == "asc" else -1
            assert found == [one.number for one in rows][::step]
            assert bounded == [one.number for one in kept][::step]


def test_edits_made_on_the_shop_are_seen_at_once(
    caller: StoreCaller, shop: ShopState, clock: Clock
) -> None:
    """New, changed, trashed and deleted orders; no cache stands between."""
    made = shop_edits.create_order(shop, {"line_items": [{"sku": "A", "quantity": 1}]})
    assert _one(caller, made.number)["status"]["id"] == "pending"
    clock.now += 60
    shop_edits.edit_order(shop, made, {"status": "cancelled"})
    assert caller.numbers(order_status="cancelled") == [made.number]
    assert caller.numbers(sort_by="modified_at", sort_direction="desc", count=1) == [made.number]
    shop.trash(made)
    assert made.number not in caller.numbers(count=250)
    assert caller.numbers(is_deleted="true") == [made.number]
    shop.delete_order(made)
    assert caller.refused("order.info", order_id=made.number)[0] == 112
    assert caller.refused("order.info", id=str(made.id))[0] == 112


def test_parcels_come_order_by_order_and_do_not_move_the_order(caller: StoreCaller) -> None:
    """Orders show no parcels; their dates do not tell of them either."""
    order = _one(caller, "500012")
    assert not {"shipments", "shipment"} & set(order)
    assert order["additional_fields"]["fulfillment_status"] == "partially_shipped"
    result = caller.call("order.shipment.list", order_id="500012", params="force_all")["result"]
    assert result["shipment_count"] == 2
    first, second = result["shipment"]
    assert first["tracking_numbers"] == [{"carrier_id": "DPD", "tracking_number": "T71"}]
    assert (first["delivered_at"] is None, second["delivered_at"] is None) == (False, True)
    assert first["items"][0]["quantity"] == 3
    line = order["order_products"][0]["order_product_id"]
    assert first["items"][0]["order_product_id"] == line
    one = caller.call("order.shipment.info", order_id="500012", id="72")["result"]
    assert set(one) == {"id", "order_id", "items", "tracking_numbers"}
    assert caller.call("order.shipment.list", order_id="500001")["result"]["shipment"] == []


def test_a_store_ahead_of_utc_writes_its_own_day(clock: Clock) -> None:
    """An order of the evening is of the next day there."""
    caller = StoreCaller(Api2CartApp(small_store(clock, utc_offset_minutes=840)))
    assert _one(caller, "500002")["create_at"]["value"] == "2026-01-02T00:00:00+1400"


def test_a_full_page_of_a_large_store_takes_less_than_150_ms(clock: Clock) -> None:
    """5,000 orders of 20 lines; a page deep in the list costs what the first costs."""
    shop = ShopState(shop_settings(), clock)
    line = Line("A", "thing", 1, 1.5, 150)
    shop.product_of("A", "thing", 150, 0)
    for key in range(1, 5_001):
        shop.orders[key] = OrderRecord(
            key, str(key), "completed", "GBP", key, key, 7, "customer:7", "France", (line,) * 20,
            3000,
        )  # fmt: skip
    shop.reindex()
    caller = StoreCaller(Api2CartApp(shop))
    best = min(_seconds(caller, start) for start in (0, 4_000, 4_700))
    assert best < 0.15


def _seconds(caller: StoreCaller, start: int) -> float:
    began = time.perf_counter()
    answer = caller.raw(
        "order.list", count=250, start=start, params="force_all", sort_by="modified_at"
    )
    assert len(answer.content) > 250 * 20 * 100
    return time.perf_counter() - began
