"""A small filled shop and a caller of its GraphQL endpoint, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
from graphql import parse, validate

from crm_integration.sandbox.generator import generated_table
from crm_integration.sandbox.invoices import read_invoices
from crm_integration.sandbox.order_book import fill
from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.app import ShopifyApp
from crm_integration.sandbox.side_records import enrich
from crm_integration_tests.published import shopify_admin_schema
from crm_integration_tests.sandbox.books import Row, book
from crm_integration_tests.sandbox.clients import SECRET, app_client, shop_settings

BASE = "http://127.0.0.1"


def generated_shop(invoices: int = 300) -> ShopState:
    """A generated order book with consents, parcels and carts; the clock is a day after it."""
    shop = ShopState(shop_settings())
    fill(shop, read_invoices(generated_table(7, invoices=invoices, days=60)))
    enrich(shop)
    newest = max(order.created for order in shop.orders.values())
    shop._clock = lambda: newest + 86_400  # pyright: ignore[reportPrivateUsage]
    return shop


def shop_of(*rows: Row) -> ShopState:
    """A shop of exactly these lines."""
    shop = ShopState(shop_settings())
    fill(shop, read_invoices(book(*rows)))
    return shop


class Caller:
    """Calls one shop's GraphQL Admin API."""

    def __init__(self, app: ShopifyApp, token: str = SECRET) -> None:
        self.app = app
        self.http = app_client(app.app, BASE, headers={"X-Shopify-Access-Token": token})

    def post(self, query: str, /, version: str = "2026-10", **variables: Any) -> httpx.Response:
        body = {"query": query, "variables": variables}
        return self.http.post(f"/admin/api/{version}/graphql.json", json=body)

    def answer(self, query: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer, with errors and extensions."""
        return self.post(query, **variables).json()

    def data(self, query: str, /, **variables: Any) -> Any:
        """The data of an answer without errors, for a query that Shopify's schema takes."""
        assert validate(shopify_admin_schema(), parse(query)) == []
        answer = self.answer(query, **variables)
        assert "errors" not in answer, answer["errors"]
        return answer["data"]

    def pages(self, query: str, root: str) -> Iterator[dict[str, Any]]:
        """Every page of a query with `$after` and pageInfo."""
        after = None
        while True:
            page = self.data(query, after=after)[root]
            yield page
            if not page["pageInfo"]["hasNextPage"]:
                return
            after = page["pageInfo"]["endCursor"]


def caller(shop: ShopState, **more: Any) -> Caller:
    return Caller(ShopifyApp(shop, **more))
