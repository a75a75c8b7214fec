"""The connector against the emulator, over real HTTP: the same shop by pages, by bulk, by id."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime
from typing import Any

import pytest
import stamina

from crm_integration.errors import MissingScope, NeedsReconnect, Transient
from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    OrderRecord,
    RefundRecord,
    ShipmentRecord,
    ShopSettings,
    ShopState,
)
from crm_integration.sandbox.shopify.app import ALL_SCOPES, ShopifyApp
from crm_integration.stores._contract import Gone, SourceObject, StoreAccess, Window
from crm_integration.stores.shopify import extract
from crm_integration.stores.shopify.client import Client
from crm_integration_tests.stores.shopify.answers import as_node, canonical
from crm_integration_tests.stores.woocommerce.shops import served

TOKEN = "shpat_invented"
NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
DAY = Window(date(2026, 3, 1), date(2026, 3, 2))
TYPES = ("customer", "product", "order", "cart")


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


class Emulated:
    """An emulated shop, filled by hand."""

    def __init__(self) -> None:
        settings = ShopSettings("Test shop", "key", TOKEN, "https://elsewhere.invalid")
        self.now = NOON + 3600
        self.state = ShopState(settings, clock=lambda: self.now)
        self.face = ShopifyApp(self.state)
        for number in (1, 2):
            consent = ConsentRecord("subscribed", NOON - 60) if number == 1 else None
            self.state.customers[number] = CustomerRecord(
                number, f"customer-{number}", "EIRE", NOON, NOON, consent=consent
            )

    def order(self, number: int, lines: int = 2, **changes: Any) -> OrderRecord:
        rows = tuple(
            Line(f"S{n % 7}", f"Mug {n % 7}", n % 3 + 1, 2.5, 250 * (n % 3 + 1))
            for n in range(lines)
        )
        for row in rows:
            self.state.product_of(row.stock_code, row.description, 250, NOON)
        total = sum(row.amount_minor for row in rows)
        values: dict[str, Any] = {
            "id": number, "number": str(number), "status": "completed", "currency": "GBP",
            "created": NOON, "modified": NOON, "customer_id": number % 3,
            "person": f"guest-{number}", "country": "EIRE", "lines": rows, "total_minor": total,
        }  # fmt: skip
        return self.state.insert_order(OrderRecord(**{**values, **changes}))

    def filled(self) -> Emulated:
        for number in range(1, 24):
            self.order(number)
        long = self.order(50, lines=260)
        self.state.add_refund(long, RefundRecord(900, 50, NOON, 500, "broken"))
        part = ShipmentRecord(700, 50, NOON, NOON, "shipped", "Royal Mail", "AB1", ((0, 1), (1, 2)))
        self.state.add_shipment(long, part)
        two = self.state.orders[2]
        everything = tuple((n, row.quantity) for n, row in enumerate(two.lines))
        full = ShipmentRecord(701, 2, NOON, NOON, "delivered", "DHL", "X", everything, NOON + 60)
        self.state.add_shipment(two, full)
        for number, customer in ((80, 1), (81, 0)):
            self.state.carts[number] = CartRecord(
                number, customer, f"customer-{number}", "EIRE", "GBP", NOON, NOON,
                self.state.orders[1].lines, 300,
            )  # fmt: skip
        return self


@contextmanager
def opened(shop: Emulated, token: str = TOKEN) -> Generator[Client]:
    with (
        served(shop.face.app) as url,
        Client(StoreAccess(url, {"access_token": token})) as client,
    ):
        client.throttle.sleep = lambda _: None
        yield client


def objects(client: Client, name: str, window: Window | None) -> list[SourceObject]:
    return [found for page in extract.pages(client, name, window, None) for found in page.objects]


def derived(found: list[SourceObject]) -> dict[str, Any]:
    return {
        one.source_id: canonical(one.object_type, as_node(one.object_type, one.payload, one.shape))
        for one in found
    }


def test_pages_bulk_and_direct_reads_derive_to_equal_records() -> None:
    """Three ways to the same order, and one record."""
    with opened(Emulated().filled()) as client:
        for name in TYPES:
            by_page, by_bulk = objects(client, name, DAY), objects(client, name, None)
            assert derived(by_page) == derived(by_bulk) != {}
            ids = [found.source_id for found in by_page]
            direct = list(extract.fetch(client, name, [*ids, "123456789"]))
            assert isinstance(direct[-1], Gone)
            read = [found for found in direct if isinstance(found, SourceObject)]
            assert derived(read) == derived(by_page)


def test_a_long_order_with_a_partial_parcel_is_whole() -> None:
    """260 lines over several pages, a refund, and two of its items on their way."""
    with opened(Emulated().filled()) as client:
        found = {one.source_id: one for one in objects(client, "order", DAY)}
    made = derived([found["50"]])["50"]
    order = next(one for one in made if type(one).__name__ == "Order")
    parcel = next(one for one in made if type(one).__name__ == "Shipment")
    assert len(found) == 24
    assert len(order.lines) == 260
    assert [row.quantity for row in parcel.lines] == [1, 2]
    assert (order.total_minor, order.currency) == (
        sum(row.total_minor + row.tax_minor for row in order.lines), "GBP",
    )  # fmt: skip


def test_orders_edited_in_mid_scan_are_not_lost() -> None:
    """100 orders, two edited after the first page: on another platform two others were lost."""
    shop = Emulated()
    for number in range(1, 101):
        shop.order(number, created=NOON + number, modified=NOON + number)
    seen: set[str] = set()
    with opened(shop) as client:
        for page in extract.pages(client, "order", DAY, None):
            seen |= {found.source_id for found in page.objects}
            if len(seen) < 20:
                for number in (1, 2):
                    shop.state.touch(shop.state.orders[number])
    assert seen == {str(number) for number in range(1, 101)}


def test_a_small_bucket_is_lived_with() -> None:
    """A basic shop's points, and every query fits or waits."""
    shop = Emulated().filled()
    shop.face = ShopifyApp(shop.state, maximum=1000, restore_rate=2000)
    with opened(shop) as client:
        client.throttle = type(client.throttle)()
        assert len(objects(client, "order", DAY)) == 24


def test_a_file_that_lacks_lines_is_not_used() -> None:
    """The operation's counts say so."""
    shop = Emulated().filled()
    shop.face.bulk.habits.drop_lines = 1
    with opened(shop) as client, pytest.raises(Transient, match="counted"):
        objects(client, "order", None)


@pytest.mark.parametrize(
    ("code", "error"), [("ACCESS_DENIED", MissingScope), ("TIMEOUT", Transient)]
)
def test_a_failed_operation_says_what_to_do(code: Any, error: type[Exception]) -> None:
    """Its partial file is there, and left alone."""
    shop = Emulated().filled()
    shop.face.bulk.habits.fail_with = code
    with opened(shop) as client, pytest.raises(error):
        objects(client, "order", None)


def test_a_missing_scope_is_named_and_a_wrong_token_reconnects() -> None:
    """Both by pages and by the check."""
    shop = Emulated().filled()
    shop.face.scopes = ALL_SCOPES - {"read_customers"}
    with opened(shop) as client, pytest.raises(MissingScope) as caught:
        objects(client, "customer", DAY)
    assert "read_customers" in caught.value.scope
    with opened(shop, token="shpat_other") as client, pytest.raises(NeedsReconnect):
        extract.check(client)


def test_the_version_that_answers_is_noted() -> None:
    """And the check passes all the same."""
    shop = Emulated()
    shop.face.serves = "2026-07"
    with opened(shop) as client:
        account = extract.check(client)
        assert client.version_drifted
    assert account.currency == "GBP"
