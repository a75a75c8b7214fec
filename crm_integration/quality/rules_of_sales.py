"""Rules of orders with their lines, of refunds and of shipments.

Prevents money and goods that do not add up from reaching the CRM unmarked, and parts of an order
that nobody knows.
"""

from __future__ import annotations

from crm_integration.canonical.orders import FinancialState, FulfilmentState
from crm_integration.canonical.shipments import ShipmentState
from crm_integration.quality.checks import (
    AtLeast,
    NotAfter,
    NotEmpty,
    Refers,
    Storable,
    SumsTo,
)
from crm_integration.quality.rule import (
    DAY,
    Rule,
    every_entity,
    flag,
    identity_exists,
    in_order,
    keep_back,
    keep_line_back,
    known_currency,
    of_set,
    one_of,
    order_accounted_for,
    plausible,
)

ORDER_RULES: tuple[Rule, ...] = (
    *every_entity("order", ("number", "customer_source_id", "store_status")),
    known_currency("order"),
    keep_back(
        "order.total",
        AtLeast("total_minor", 0),
        "total_negative",
        "Enter what was given back as a refund, not as a negative order.",
    ),
    plausible("order", "placed_at", "Correct the order's date in the store."),
    keep_back(
        "order.placed_before_change",
        NotAfter("placed_at", "source_time", DAY),
        "placed_after_its_last_change",
        "Correct the order's date in the store: it lies after the order's last change.",
    ),
    in_order("order", "placed_at", "paid_at", what="it was paid before it was placed"),
    in_order("order", "placed_at", "cancelled_at", what="it was cancelled before it was placed"),
    one_of("order", "financial_state", FinancialState),
    one_of("order", "fulfilment_state", FulfilmentState),
    flag(
        "order.total_adds_up",
        SumsTo("total_minor", ("lines_total_minor", "tax_minor", "shipping_minor"), "line_count"),
        "total_differs",
        "Look for fees or discounts that the order's lines do not show.",
    ),
    of_set(
        "order.customer",
        Refers("customer_exists"),
        "customer_missing",
        "Replay the day: the order's customer was not derived with it.",
    ),
)

ORDER_LINE_RULES: tuple[Rule, ...] = (
    keep_line_back(
        "order_line.quantity",
        AtLeast("quantity", 0, exclusive=True),
        "quantity_not_positive",
        "Enter returned items as a refund, not as a line with a quantity of 0 or less.",
    ),
    keep_line_back(
        "order_line.unit_price",
        AtLeast("unit_price", 0),
        "price_negative",
        "Enter price reductions as a discount, not as a line with a negative price.",
    ),
    keep_line_back(
        "order_line.total",
        AtLeast("total_minor", 0),
        "line_total_negative",
        "Enter price reductions as a discount, not as a line with a negative total.",
    ),
    keep_line_back(
        "order_line.storable",
        Storable(("product_source_id", "variant_source_id", "sku", "title")),
        "text_with_nul",
        "Remove the NUL character from the line's texts in the store.",
    ),
)

REFUND_RULES: tuple[Rule, ...] = (
    *every_entity("refund", ("number", "order_source_id", "customer_source_id")),
    known_currency("refund"),
    flag(
        "refund.amount",
        AtLeast("amount_minor", 0, exclusive=True),
        "refund_not_positive",
        "Look at the refund in the store: it gave nothing back.",
    ),
    plausible("refund", "refunded_at", "Correct the refund's date in the store."),
    order_accounted_for("refund"),
    identity_exists("refund"),
    Rule(
        "refund.within_order",
        "refund",
        "set",
        Refers("within_order"),
        "flag",
        "more_than_the_order",
        "Look at the order in the store: its refunds give back more than it cost.",
    ),
)

SHIPMENT_RULES: tuple[Rule, ...] = (
    *every_entity(
        "shipment", ("order_source_id", "number", "carrier", "tracking_number", "tracking_url")
    ),
    keep_back(
        "shipment.order_named",
        NotEmpty("order_source_id"),
        "order_id_missing",
        "The store did not say whose parcel it is: report it to the store's support.",
    ),
    one_of("shipment", "state", ShipmentState),
    plausible("shipment", "shipped_at", "Correct the parcel's date of shipping in the store."),
    plausible("shipment", "delivered_at", "Correct the parcel's date of delivery in the store."),
    in_order("shipment", "shipped_at", "delivered_at", what="it arrived before it left"),
    order_accounted_for("shipment"),
)
