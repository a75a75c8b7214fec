"""Listings on carts of different habits: what moves, what is refused, what comes without an id."""

from __future__ import annotations

import random
from datetime import date
from typing import Any

import pytest

from crm_integration.errors import BadInput, Permanent
from crm_integration.stores._contract import Gone, Page, Window
from crm_integration.stores.api2cart import extract
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.methods import CART, CUSTOMER, ORDER, PRODUCT
from crm_integration_tests.served import Street
from crm_integration_tests.stores.api2cart.carts import (
    Cart,
    Json,
    Refusal,
    Shelf,
    at,
    customer,
    opened,
    order,
)

DAY = Window(date(2026, 3, 1), date(2026, 3, 2))


def ids(pages: list[Page]) -> set[str]:
    return {item.source_id for page in pages for item in page.objects}


def listed(client: Client, window: Window | None = DAY, resume: str | None = None) -> list[Page]:
    return list(extract.pages(client, "order", window, resume))


def many(count: int) -> list[Json]:
    return [order(key, key) for key in range(1, count + 1)]


def test_all_fields_that_are_read_are_asked_for(street: Street) -> None:
    """By default currency, dates, refunds and modified_at are left out."""
    cart = Cart(Shelf([order(1)]).answer)
    with opened(street, cart.app) as client:
        listed(client)
        list(extract.fetch(client, "order", ["1"]))
    for _, query in cart.calls:
        asked = set(query["params"].split(","))
        assert asked >= {"currency", "create_at", "modified_at", "refunds", "total", "customer"}
    assert cart.of("order.list")[0]["count"] == "250"


def test_guests_are_asked_for_by_name_and_never_become_accounts(street: Street) -> None:
    """Left out by default; listed, they come without an id, and their orders name them."""
    rows = [customer(1), customer(""), customer("0"), customer("", id=None)]
    cart = Cart(Shelf(rows, key="customer", changed="modified_time").answer)
    with opened(street, cart.app) as client:
        (page,) = extract.pages(client, "customer", DAY, None)
    assert cart.of("customer.list")[0]["include_guests"] == "true"
    assert [item.source_id for item in page.objects] == ["1"]
    assert page.unreadable == ()


def test_an_order_without_any_id_is_kept_with_a_reason(street: Street) -> None:
    rows = [order(1), order(2, id=None, order_id=""), order(3, id="", order_id="R-3")]
    with opened(street, Cart(Shelf(rows).answer).app) as client:
        (page,) = listed(client)
    assert [item.source_id for item in page.objects] == ["1", "R-3"]
    assert [odd.reason for odd in page.unreadable] == ["no_id"]


def test_a_payload_is_the_stores_own_bytes(street: Street) -> None:
    """Written again, 12.50 would be 12.5 and every digest another one."""
    body = (
        b'{"return_code":0, "result":{"orders_count":1,"order":[ '
        b'{"total":{"total":12.50},"id":"1","note":"\\u00e9 \\/"} ,{"id":2}]}, "pagination":null}'
    )

    async def app(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    with opened(street, app) as client:
        (page,) = listed(client, None)
    assert [item.payload for item in page.objects] == [
        b'{"total":{"total":12.50},"id":"1","note":"\\u00e9 \\/"}', b'{"id":2}',
    ]  # fmt: skip


def test_a_cursor_is_decoded_once_and_stands_alone(street: Street) -> None:
    """It comes as `250%3D`; sent as `250%253D`, or with a filter, it is refused."""
    cart = Cart(Shelf(many(600)).answer)
    with opened(street, cart.app) as client:
        assert ids(listed(client, None)) == {str(key) for key in range(1, 601)}
    cursors = [query for query in cart.of("order.list") if "page_cursor" in query]
    assert {query["page_cursor"] for query in cursors} == {"250=", "500="}
    assert all(set(query) == {"page_cursor", "params"} for query in cursors)


def test_a_window_is_asked_for_by_filters_and_never_by_cursors(street: Street) -> None:
    cart = Cart(Shelf(many(600)).answer)
    with opened(street, cart.app) as client:
        assert len(ids(listed(client))) == 600
    for query in cart.of("order.list"):
        assert "page_cursor" not in query
        if "ids" not in query:
            assert query["modified_from"] == "2026-02-28T23:59:59+0000"
            assert query["modified_to"] == "2026-03-02T00:00:01+0000"


def test_a_short_listing_costs_one_call(street: Street) -> None:
    """One answer is one moment: nothing can have moved, so no closing pass is due."""
    cart = Cart(Shelf(many(40)).answer)
    with opened(street, cart.app) as client:
        assert len(ids(listed(client))) == 40
    assert len(cart.calls) == 1


@pytest.mark.parametrize("window", [None, DAY], ids=["all", "window"])
@pytest.mark.parametrize("shape", ["by id", "newest first", "shuffled each time"])
@pytest.mark.parametrize("when", [2, 3, 4])
def test_edits_in_mid_listing_hide_nothing_on_any_order_of_rows(
    street: Street, window: Window | None, shape: str, when: int
) -> None:
    """Carts ignore sort_by: deletions pull rows up, edits push them over the page's edge."""
    rows = many(600)
    shuffle = random.Random(7)
    deleted = {str(key) for key in range(1, 31)}
    shelf = Shelf(rows, cursors=window is None)

    def edit(number: int) -> None:
        if number == when:
            shelf.rows[:] = [row for row in shelf.rows if row["id"] not in deleted]
            for row in shelf.rows[100:130]:
                row["modified_at"] = at(5_000 + int(row["id"]))
        if shape == "newest first":
            shelf.rows.sort(key=lambda row: row["modified_at"]["value"], reverse=True)
        elif shape == "shuffled each time" and number in (when, when + 1):
            shuffle.shuffle(shelf.rows)

    shelf.before = edit
    with opened(street, Cart(shelf.answer).app) as client:
        found = ids(listed(client, window))
    assert found >= {str(key) for key in range(31, 601)}


def test_a_lost_overlap_steps_back_before_anything_is_missed(street: Street) -> None:
    """What a deletion pulled over the page's edge is read at once; no closing pass has to find it,
    where a second deletion could hide it again."""
    shelf = Shelf(many(600))

    def delete_two(number: int) -> None:
        if number in (2, 4):
            del shelf.rows[:2]

    shelf.before = delete_two
    cart = Cart(shelf.answer)
    with opened(street, cart.app) as client:
        assert ids(listed(client)) >= {str(key) for key in range(5, 601)}
    assert not any("ids" in query for query in cart.of("order.list"))
    assert cart.of("order.info") == []


def test_a_listing_goes_on_behind_any_checkpoint_in_another_process(street: Street) -> None:
    cart = Cart(Shelf(many(700)).answer)
    for window in (None, DAY):
        with opened(street, cart.app) as client:
            whole = listed(client, window)
        assert len(ids(whole)) == 700
        for kept in range(1, len(whole) + 1):
            with opened(street, cart.app) as client:
                rest = listed(client, window, whole[kept - 1].checkpoint)
            assert ids(whole[:kept]) | ids(rest) == ids(whole)


def test_a_cursor_that_went_stale_begins_the_pass_anew(street: Street) -> None:
    """A listing resumed after a week: the cart forgot its cursors, the checkpoint has one."""
    cart = Cart(Shelf(many(700)).answer)
    with opened(street, cart.app) as client:
        first = next(iter(extract.pages(client, "order", None, None)))
        stale = first.checkpoint.replace("250%3D", "forgotten")
        assert stale != first.checkpoint
        assert ids([first]) | ids(listed(client, None, stale)) == {str(k) for k in range(1, 701)}


def test_a_checkpoint_of_another_type_is_refused(street: Street) -> None:
    with opened(street, Cart(Shelf(many(1)).answer).app) as client:
        (page,) = listed(client)
        with pytest.raises(BadInput, match="anew"):
            list(extract.pages(client, "product", DAY, page.checkpoint))


@pytest.mark.parametrize("named", [True, False], ids=["named", "unnamed"])
@pytest.mark.parametrize(
    "refuses",
    [("sort_by",), ("modified_from",), ("modified_to", "sort_by"), ("modified_from", "start")],
    ids="+".join,
)
def test_a_cart_without_a_filter_is_listed_whole_and_filtered_here(
    street: Street, refuses: tuple[str, ...], named: bool
) -> None:
    """109 says which parameter a platform does not know, or only that one is wrong."""
    outside = [order(key, 86_400 * 2) for key in range(900, 905)]
    cart = Cart(Shelf(many(300) + outside, refuses=refuses, named=named).answer)
    with opened(street, cart.app) as client:
        assert ids(listed(client)) == {str(key) for key in range(1, 301)}


def test_a_refusal_that_no_omission_helps_is_an_error(street: Street) -> None:
    cart = Cart(Shelf(many(3), refuses=("count",)).answer)
    with opened(street, cart.app) as client, pytest.raises(Permanent, match="109"):
        listed(client)
    assert len(cart.calls) <= 4


def test_a_repeated_cursor_ends_the_listing_with_an_error(street: Street) -> None:
    same = {"pagination": {"next": "x"}, "result": {"order": many(2)}}
    cart = Cart(lambda method, query: same)
    with opened(street, cart.app) as client, pytest.raises(Permanent, match="repeats"):
        listed(client, None)


def test_zoneless_times_are_read_in_the_stores_zone_that_is_asked_for_once(
    street: Street,
) -> None:
    rows = [order(key, modified_at=at(key, "Y-m-d H:i:s")) for key in (1, 2)]
    stores = [{"timezone": "America/New_York", "currency": {"iso3": "USD"}}]

    def answer(method: str, query: dict[str, str]) -> Json:
        if method == "cart.info":
            return {"result": {"url": "https://a.example", "stores_info": stores}}
        return {"result": {"order": rows}}

    cart = Cart(answer)
    with opened(street, cart.app) as client:
        (page,) = listed(client, None)
    hours = [item.source_time.hour for item in page.objects if item.source_time]
    assert hours == [17, 17]
    assert len(cart.of("cart.info")) == 1
    with opened(street, cart.app, settings={"timezone": "UTC"}) as client:
        (page,) = listed(client, None)
    assert [item.source_time.hour for item in page.objects if item.source_time] == [12, 12]
    assert len(cart.of("cart.info")) == 1


def test_only_112_makes_an_object_gone(street: Street) -> None:
    """A list of ids that leaves one out proves nothing; each is then read alone."""
    shelf = Shelf(many(3))
    cart = Cart(shelf.answer)
    with opened(street, cart.app) as client:
        found = list(extract.fetch(client, "order", ["1", "2", "9", "1"]))
    assert found[-1] == Gone("order", "9")
    assert sorted(item.source_id for item in found) == ["1", "2", "9"]
    # `id` first, then the number: some carts give a list no `id`
    assert [set(query) - {"params"} for query in cart.of("order.info")] == [{"id"}, {"order_id"}]


def test_a_cart_that_cannot_read_several_ids_reads_each(street: Street) -> None:
    cart = Cart(
        Shelf(
            [customer(key) for key in (1, 2)],
            key="customer", changed="modified_time", refuses=("ids",),
        ).answer
    )  # fmt: skip
    with opened(street, cart.app) as client:
        found = list(extract.fetch(client, "customer", ["1", "2", "3"]))
    assert [item.source_id for item in found] == ["1", "2", "3"]
    assert len(cart.of("customer.info")) == 3


def test_an_answer_that_is_another_object_is_refused(street: Street) -> None:
    cart = Cart(lambda method, query: {"result": customer(8)})
    with opened(street, cart.app) as client, pytest.raises(Permanent, match="something else"):
        list(extract.fetch(client, "customer", ["1"]))


def _parcels(method: str, query: dict[str, str]) -> Json:
    """Four orders; the second one's parcel left four days after it, the third is deleted, and of
    the fourth the cart itself says that nothing was sent."""
    if method == "order.list":
        sent = {"additional_fields": {"fulfillment_status": "shipped"}}
        rows = [
            {**order(1, 0), **sent},
            {**order(2, 0), **sent},
            {**order(3, 0), **sent},
            order(4, 0),
        ]
        return {"result": {"order": rows}}
    if method == "order.info":
        return {"result": {"id": query["id"], "order_id": f"R-{query['id']}"}}
    number = query["order_id"].removeprefix("R-")
    if number == "3":
        raise Refusal(112, "Order not found")
    sent = {"id": f"8{number}", "order_id": f"R-{number}", "modified_time": at(345_600)}
    return {"result": sent if method.endswith("info") else {"shipment": [sent]}}


def test_parcels_come_order_by_order_and_late_ones_within_the_lookback(street: Street) -> None:
    """A parcel does not move its order's date: the window of the day it left must find it."""
    cart = Cart(_parcels)
    left = Window(date(2026, 3, 5), date(2026, 3, 6))
    with opened(street, cart.app, settings={"ask_parcels_of": "sent"}) as client:
        pages = list(extract.pages(client, "shipment", left, None))
        found = [item for page in pages for item in page.objects]
        empty = list(extract.pages(client, "shipment", DAY, None))
    assert [(item.source_id, item.parent_id) for item in found] == [("1/81", "1"), ("2/82", "2")]
    assert ids(empty) == set()
    asked = cart.of("order.list")[0]
    assert asked["modified_from"] == "2026-02-18T23:59:59+0000"
    assert asked["created_to"] == "2026-03-06T00:00:01+0000"
    assert "modified_to" not in asked
    # No call is spent on the fourth.
    assert {query["order_id"] for query in cart.of("order.shipment.list")} == {"R-1", "R-2", "R-3"}


def test_a_parcel_is_read_by_its_orders_number(street: Street) -> None:
    cart = Cart(_parcels)
    with opened(street, cart.app) as client:
        found = list(extract.fetch(client, "shipment", ["1/81", "3/83"]))
    assert (found[0].source_id, found[1]) == ("1/81", Gone("shipment", "3/83"))
    assert cart.of("order.shipment.info")[0]["order_id"] == "R-1"


@pytest.mark.parametrize("days", [-1, 400, "7", True])
def test_a_lookback_that_is_no_number_of_days_is_refused(street: Street, days: object) -> None:
    settings, wrong = {"shipment_lookback_days": days}, "shipment_lookback_days"
    app = Cart(_parcels).app
    with opened(street, app, settings=settings) as client, pytest.raises(BadInput, match=wrong):
        list(extract.pages(client, "shipment", DAY, None))


def test_a_cart_is_gone_only_when_the_whole_list_lacks_it(street: Street) -> None:
    """There is no read of one abandoned cart."""
    rows = [order(key) for key in range(1, 400)]
    cart = Cart(Shelf(rows).answer)
    with opened(street, cart.app) as client:
        found = list(extract.fetch(client, "cart", ["399", "7", "400"]))
    assert found[-1] == Gone("cart", "400")
    assert {item.source_id for item in found} == {"399", "7", "400"}


@pytest.mark.parametrize(
    "kind", [ORDER, CUSTOMER, PRODUCT, CART], ids=lambda kind: kind.object_type
)
def test_the_fields_asked_for_hold_id_and_times(kind: Any) -> None:
    assert set(kind.bare_fields.split(",")) <= set(kind.fields.split(","))
