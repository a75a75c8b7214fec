"""The legacy REST face, and Shopify's own Python client against it over real HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import pytest

from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.app import ALL_SCOPES, ShopifyApp
from crm_integration_tests.sandbox.clients import SECRET
from crm_integration_tests.sandbox.shopify.shops import Caller, caller, generated_shop
from crm_integration_tests.served import street
from crm_integration_tests.shared_data import SHARED

_ROOT = "/admin/api/2026-10"


@pytest.fixture(scope="module")
def shop() -> ShopState:
    return generated_shop(150)


@pytest.fixture(scope="module")
def client(shop: ShopState) -> Iterator[Any]:
    """ShopifyAPI with a session on a served shop."""
    shopify = pytest.importorskip("shopify", reason="ShopifyAPI is not installed")
    with street() as served:
        served.apps["admin"] = _Unrooted(ShopifyApp(shop).app)
        port = urlsplit(served.url).port
        version = shopify.ApiVersion.define_version(shopify.api_version.Release("2026-10"))
        shopify.Session.setup(protocol="http", port=port, myshopify_domain="0.0.1")
        session = shopify.Session("127", version.name, SECRET)
        shopify.ShopifyResource.activate_session(session)
        yield shopify
        shopify.ShopifyResource.clear_session()


class _Unrooted:
    """The street serves by the first part of a path; this shop's API begins there."""

    def __init__(self, app: Any) -> None:
        self._app = app

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        await self._app({**scope, "root_path": ""}, receive, send)


def test_shopifys_client_reads_the_shop_and_pages_through_its_orders(
    client: Any, shop: ShopState
) -> None:
    """All orders by page_info links, without one twice."""
    assert client.Shop.current().currency == "GBP"
    page, ids = client.Order.find(status="any", limit=40), list[int]()
    while True:
        ids += [order.id for order in page]
        if not page.has_next_page():
            break
        page = page.next_page()
    assert sorted(ids) == sorted(shop.orders)


def test_shopifys_client_reads_lines_refunds_customers_and_products(
    client: Any, shop: ShopState
) -> None:
    """As objects of its own classes, with the amounts of the book."""
    held = next(one for one in shop.orders.values() if one.refunds and one.readable)
    order = client.Order.find(held.id)
    assert float(order.total_price) * 100 == pytest.approx(held.total_minor)
    assert len(order.line_items) == len(held.lines)
    refunds = client.Refund.find(order_id=held.id)
    amounts = [float(refund.transactions[0].amount) * 100 for refund in refunds]
    assert amounts == pytest.approx([refund.amount_minor for refund in held.refunds])
    customers = client.Customer.find(limit=250)
    assert {one.id for one in customers} <= set(shop.customers)
    assert client.Customer.count() == len(shop.customers)
    assert client.Product.find(since_id=1, limit=5)[0].variants[0].sku
    assert client.Order.count(status="any") == len(shop.orders)


def test_shopifys_client_runs_graphql(client: Any) -> None:
    """The same session, the same token."""
    answer = json.loads(client.GraphQL().execute("query($n: Int!) { orders(first: $n) { nodes "
                                                 "{ id } } }", {"n": 3}))  # fmt: skip
    assert len(answer["data"]["orders"]["nodes"]) == 3


def _get(called: Caller, path: str, **params: Any) -> Any:
    return called.http.get(f"{_ROOT}/{path}", params=params)


def test_since_id_goes_upwards_and_filters_stay_in_the_link(shop: ShopState) -> None:
    """The next page takes nothing but its page_info and a limit."""
    called = caller(shop)
    first = _get(called, "orders.json", status="any", since_id=0, limit=30)
    ids = [one["id"] for one in first.json()["orders"]]
    assert ids == sorted(shop.orders)[:30]
    link = first.headers["link"].split(">")[0].lstrip("<")
    second = called.http.get(link).json()["orders"]
    assert [one["id"] for one in second] == sorted(shop.orders)[30:60]
    wrong = called.http.get(f"{link}&status=any")
    assert (wrong.status_code, list(wrong.json()["errors"])) == (400, ["page_info"])


def test_the_list_of_orders_is_of_open_ones_unless_told(shop: ShopState) -> None:
    """The default that empties many a first import: a shop's past is closed."""
    called = caller(shop)
    assert _get(called, "orders.json").json()["orders"] == []
    assert len(_get(called, "orders.json", status="any").json()["orders"]) == 50


def test_times_carry_the_shops_offset_and_a_refunded_line_a_number(shop: ShopState) -> None:
    """Two things GraphQL does otherwise."""
    order = next(one for one in shop.orders.values() if one.refunds and one.readable)
    body = _get(caller(shop), f"orders/{order.id}.json").json()["order"]
    assert body["created_at"].endswith("+00:00")
    lines = body["refunds"][0]["refund_line_items"]
    assert isinstance(lines[0]["subtotal"], float)
    assert isinstance(body["total_price"], str)


def test_a_missing_scope_is_403_and_a_missing_order_404(shop: ShopState) -> None:
    """REST tells by status what GraphQL tells by code."""
    called = caller(shop, scopes=ALL_SCOPES - {"read_customers"})
    assert _get(called, "customers.json").status_code == 403
    assert _get(called, "orders/1.json").status_code == 404
    assert _get(called, "gift_cards.json").status_code == 404
    assert _get(called, "orders.json", limit=251).status_code == 400


@pytest.mark.skipif(SHARED is None, reason="the recordings do not lie beside this checkout")
@pytest.mark.parametrize(
    ("recording", "path", "key"),
    [("order.test_1", "orders.json?status=any", "orders"),
     ("customer.test_1", "customers.json", "customers"),
     ("product.test_1", "products.json", "products")],
)  # fmt: skip
def test_rest_shapes_have_no_field_that_the_recordings_have_not(
    shop: ShopState, recording: str, path: str, key: str
) -> None:
    """And where both have a value, it is of the same kind."""
    assert SHARED is not None
    file = SHARED / "payloads" / "shopify" / "rest-2026-07" / f"{recording}.json"
    theirs = json.loads(file.read_bytes())["response"][key][0]
    ours = caller(shop).http.get(f"{_ROOT}/{path}").json()[key][0]
    assert ours.keys() <= theirs.keys()
    for name in ours:
        if ours[name] is not None and theirs[name] is not None:
            assert type(ours[name]) is type(theirs[name]), name
