"""A small store behind API2Cart, and a caller whose every call is held against the description."""

from __future__ import annotations

from typing import Any

import httpx

from crm_integration.sandbox.api2cart.app import Api2CartApp
from crm_integration.sandbox.invoices import Line, read_invoices
from crm_integration.sandbox.order_book import fill
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    OrderRecord,
    ShipmentRecord,
    ShopState,
)
from crm_integration_tests.sandbox.api2cart.described import HOST, check
from crm_integration_tests.sandbox.books import Row, book
from crm_integration_tests.sandbox.clients import KEY, SECRET, app_client, shop_settings

START = 1_800_000_000
CUSTOMER = 12345


class Clock:
    """A clock that tests move by hand."""

    now = START

    def __call__(self) -> float:
        return float(self.now)


def small_store(clock: Clock, *, utc_offset_minutes: int = -300) -> ShopState:
    """Twelve orders, the first ten in one second, by one customer and guests; a refund of an
    order, a credit note without an order and two unreadable invoices."""
    rows: list[Row] = [
        (str(500001 + n), "A", 1 + n, f"2026-01-01T10:{0 if n < 10 else n:02d}", 17.995,
         CUSTOMER if n % 3 else None)
        for n in range(12)
    ]  # fmt: skip
    rows += [
        ("C500090", "A", -1, "2026-01-02T09:00", 17.995, CUSTOMER),
        ("C500091", "B", -2, "2026-01-02T10:00", 5.0, 22222),
        ("A500092", "BAD", -1, "2026-01-03T10:00", 50.0, None),
        ("500093", "LOST", -7, "2026-01-03T11:00", 0.0, None),
    ]
    held = ShopState(shop_settings(utc_offset_minutes=utc_offset_minutes), clock)
    fill(held, read_invoices(book(*rows)))
    return held


def with_sides(shop: ShopState) -> ShopState:
    """Consents, two parcels of one order, and three carts of which one became an order."""
    shop.customers[CUSTOMER].consent = ConsentRecord("subscribed", START - 900, "confirmed")
    shop.customers[22222].consent = ConsentRecord("pending", None)
    order = shop.orders[500012]
    for key, state in ((71, "delivered"), (72, "shipped")):
        shop.add_shipment(order, _parcel(order, key, state))
    line = Line("A", "thing A ", 2, 17.995, 3599)
    for key, customer, person, completed in (
        (81, CUSTOMER, "", None), (82, 0, "guest:81", None), (83, 0, "guest:83", START),
        (84, 0, "", None),
    ):  # fmt: skip
        shop.carts[key] = CartRecord(
            key, customer, person, "United Kingdom", "GBP", START - 60, START - 30, (line,), 3599,
            completed=completed,
        )  # fmt: skip
    return shop


def _parcel(order: OrderRecord, key: int, state: str) -> ShipmentRecord:
    delivered = START if state == "delivered" else None
    return ShipmentRecord(
        key, order.id, START - 500, START - 100 + key, state, "DPD", f"T{key}", ((0, 3),), delivered
    )


class StoreCaller:
    """Calls with both keys. Each call and each answer must be as described."""

    def __init__(
        self, app: Api2CartApp, *, api_key: str | None = KEY, store_key: str | None = SECRET
    ) -> None:
        keys = {"x-api-key": api_key, "x-store-key": store_key}
        self.client = app_client(
            app.app, HOST, headers={name: key for name, key in keys.items() if key}
        )

    def call(self, method: str, *, verb: str = "GET", **params: Any) -> dict[str, Any]:
        """A successful answer's body."""
        response = self.raw(method, verb=verb, **params)
        check(response.request, response)
        body = response.json()
        assert (body["return_code"], body["return_message"]) == (0, ""), body
        return body

    def raw(self, method: str, *, verb: str = "GET", **params: Any) -> httpx.Response:
        """Any answer; every one of them is a 200."""
        response = self.client.request(verb, f"{HOST}/v1.1/{method}.json", params=params)
        assert response.status_code == 200
        return response

    def refused(self, method: str, *, verb: str = "GET", **params: Any) -> tuple[int, str]:
        """Return code and message of an answer that says no, with an empty result."""
        body = self.raw(method, verb=verb, **params).json()
        assert not body["result"]
        assert set(body) == {"return_code", "return_message", "result"}
        return body["return_code"], body["return_message"]

    def orders(self, **params: Any) -> list[dict[str, Any]]:
        return self.call("order.list", **params)["result"]["order"]

    def numbers(self, **params: Any) -> list[str]:
        return [row["order_id"] for row in self.orders(**params)]
