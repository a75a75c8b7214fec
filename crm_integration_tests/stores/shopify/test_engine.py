"""A Shopify tenant through the whole engine: extracted, kept, derived, written."""

from __future__ import annotations

from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    OrderRecord,
    RefundRecord,
    ShipmentRecord,
)
from crm_integration_tests.house import House
from crm_integration_tests.served import NOON


def test_everything_of_a_shopify_shop_becomes_canonical_once(house: House) -> None:
    """Orders with refunds and parcels within them, accounts with consent, carts of leads; and a
    second look at the same shop keeps nothing new."""
    tenant = house.tenant("shopify")
    state = tenant.shop.state
    lines = (Line("S1", "Mug", 2, 2.5, 500), Line("S2", "Plate", 1, 3.0, 300))
    for line in lines:
        state.product_of(line.stock_code, line.description, 250, NOON)
    consent = ConsentRecord("subscribed", NOON - 60)
    state.customers[1] = CustomerRecord(1, "ada", "EIRE", NOON, NOON, consent=consent)
    for number, customer in ((10, 1), (11, 0)):
        order = OrderRecord(
            number, str(number), "completed", "GBP", NOON, NOON, customer, f"p{number}", "EIRE",
            lines, 800,
        )  # fmt: skip
        state.insert_order(order)
    state.add_refund(state.orders[10], RefundRecord(900, 10, NOON, 300, "broken"))
    parcel = ShipmentRecord(700, 10, NOON, NOON, "shipped", "DHL", "X", ((0, 1),))
    state.add_shipment(state.orders[10], parcel)
    state.carts[80] = CartRecord(80, 0, "cy", "EIRE", "GBP", NOON, NOON, lines, 800)

    first = tenant.extract()
    assert {name: done.kept.kept for name, done in first.items()} == {
        "customer": 1, "product": 2, "order": 2, "cart": 1,
    }  # fmt: skip
    tenant.derive()
    tables = ("products", "orders", "refunds", "shipments", "carts", "consent_events")
    counts = [tenant.value(f"select count(*) from {table}") for table in tables]
    assert counts == [2, 2, 1, 1, 1, 2]  # consent by e-mail and by phone
    assert tenant.rows("select distinct outcome from raw_records") == [("applied",)]
    again = tenant.extract()
    assert all(done.kept.kept == 0 for done in again.values())
