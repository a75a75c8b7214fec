"""One order's node to the canonical order and, for a guest, the guest.

Prevents a paid order that was sent back from looking like a sale, and a credit note that was
imported as an order from being counted as one.
"""

from __future__ import annotations

from typing import Any, cast

from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import FinancialState, FulfilmentState, Order
from crm_integration.stores._amounts import known_currency, whole_number
from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._payload import (
    Reading,
    checked,
    moment,
    optional_moment,
    rows,
    utc,
    wrong_type,
)
from crm_integration.stores.shopify.fields import (
    address,
    nested_rows,
    optional_id,
    required_id,
    shop_money,
    sum_of,
    unit_price,
)

_FINANCIAL = {
    "PENDING": FinancialState.pending,
    "AUTHORIZED": FinancialState.pending,
    "PARTIALLY_PAID": FinancialState.pending,
    "PAID": FinancialState.paid,
    "PARTIALLY_REFUNDED": FinancialState.partially_refunded,
    "REFUNDED": FinancialState.refunded,
    "VOIDED": FinancialState.cancelled,
    "EXPIRED": FinancialState.failed,
}
_MONEY_WENT_BACK = (FinancialState.partially_refunded, FinancialState.refunded)
_FULFILMENT = {
    "FULFILLED": FulfilmentState.fulfilled,
    "FULFILLMENT_NOT_REQUIRED": FulfilmentState.fulfilled,
    "PARTIALLY_FULFILLED": FulfilmentState.partial,
    "UNFULFILLED": FulfilmentState.unfulfilled,
    "OPEN": FulfilmentState.unfulfilled,
    "SCHEDULED": FulfilmentState.unfulfilled,
    "ON_HOLD": FulfilmentState.unfulfilled,
    "PENDING_FULFILLMENT": FulfilmentState.unfulfilled,
    "REQUEST_DECLINED": FulfilmentState.unfulfilled,
    "IN_PROGRESS": FulfilmentState.unfulfilled,
    "RESTOCKED": FulfilmentState.unfulfilled,
}


def customer_identity(payload: JsonObject) -> tuple[str, str]:
    """(`registered`, the customer's id) or (`guest`, the order's own id)."""
    customer = optional_id(payload, "customer")
    return ("guest", required_id(payload)) if customer is None else ("registered", customer)


def is_credit(payload: JsonObject, context: StoreContext) -> bool:
    """True for an order that stands for refunds without an order, by the tenant's setting."""
    tag = context.settings.get("credit_without_order_tag")
    return bool(tag) and tag in _tags(payload)


def order_number(payload: JsonObject, reading: Reading) -> str:
    """What the merchant calls the order, without a leading `#`; its id where it has no name."""
    return reading.text(payload, "name").strip().removeprefix("#") or required_id(payload)


def guest(payload: JsonObject) -> StoreObject:
    """The person of an order without a customer; there may be neither e-mail nor phone."""
    reading = Reading()
    billing = address(reading, payload, "billingAddress", "billing")
    shipping = address(reading, payload, "shippingAddress", "shipping")
    person: dict[str, Any] = billing or shipping or {}
    return checked(Customer, {
        "source_id": required_id(payload),
        "source_time": moment(payload, "updatedAt"),
        "kind": CustomerKind.guest,
        "email": reading.text(payload, "email").strip() or None,
        "first_name": person.get("first_name", ""),
        "last_name": person.get("last_name", ""),
        "company": person.get("company", ""),
        "phone": reading.text(payload, "phone") or person.get("phone", ""),
        "addresses": [found for found in (billing, shipping) if found],
        "flags": reading.flags,
    })  # fmt: skip


def order(payload: JsonObject) -> StoreObject:
    """The order with its lines, in the shop's currency, before anything was sent back.

    `placed_at` is Shopify's processedAt: an order that was imported keeps its own date there.
    """
    reading = Reading()
    currency = known_currency(payload.get("currencyCode"), "currencyCode")
    kind, customer = customer_identity(payload)
    cancelled_at = optional_moment(payload, "cancelledAt")
    if payload.get("test") is True:
        reading.flag("test_order")
    values: dict[str, Any] = {
        "source_id": required_id(payload),
        "source_time": moment(payload, "updatedAt"),
        "number": order_number(payload, reading),
        "customer_kind": kind,
        "customer_source_id": customer,
        "email": reading.text(payload, "email").strip() or None,
        "placed_at": moment(payload, "processedAt", "createdAt"),
        "paid_at": _paid_at(payload),
        "cancelled_at": cancelled_at,
        "currency": currency,
        "total_minor": shop_money(payload, "totalPriceSet", currency),
        "tax_minor": shop_money(payload, "totalTaxSet", currency),
        "shipping_minor": shop_money(payload, "totalShippingPriceSet", currency),
        "discount_minor": shop_money(payload, "totalDiscountsSet", currency),
        "financial_state": _financial(reading, payload, cancelled=cancelled_at is not None),
        "fulfilment_state": _fulfilment(reading, payload),
        "store_status": _status(reading, payload),
        "note": reading.text(payload, "note"),
        "billing": address(reading, payload, "billingAddress", "billing"),
        "shipping": address(reading, payload, "shippingAddress", "shipping"),
        "lines": _lines(reading, payload, currency),
    }
    return checked(Order, {**values, "flags": reading.flags})


def _lines(reading: Reading, payload: JsonObject, currency: str) -> list[dict[str, Any]]:
    included = payload.get("taxesIncluded") is True
    return [
        _line(reading, position, row, currency, taxes_included=included)
        for position, row in enumerate(nested_rows(payload, "lineItems"))
    ]


def _line(
    reading: Reading, position: int, row: JsonObject, currency: str, *, taxes_included: bool
) -> dict[str, Any]:
    """What was charged without tax: the original total less all discounts, and less the tax
    where prices include it. (`discountedTotalSet` leaves out discounts on the whole order.)"""
    path = f"lineItems.nodes[{position}]."
    discount = sum_of(row, "discountAllocations", "allocatedAmountSet", currency, path)
    tax = sum_of(row, "taxLines", "priceSet", currency, path)
    charged = shop_money(row, "originalTotalSet", currency, path) - discount
    return {
        "position": position,
        "product_source_id": optional_id(row, "product") or "",
        "variant_source_id": optional_id(row, "variant") or "",
        "sku": reading.text(row, "sku", path),
        "title": reading.text(row, "name", path),
        "quantity": whole_number(row, "quantity", path),
        "unit_price": unit_price(row, path),
        "total_minor": charged - tax if taxes_included else charged,
        "tax_minor": tax,
    }


def _paid_at(payload: JsonObject) -> Any:
    """When the first money was taken; a time that cannot be read tells nothing here."""
    times = (
        utc(row.get("processedAt"))
        for row in rows(payload, "transactions")
        if row.get("kind") in ("SALE", "CAPTURE") and row.get("status") == "SUCCESS"
    )
    return min((time for time in times if time is not None), default=None)


def _financial(reading: Reading, payload: JsonObject, *, cancelled: bool) -> FinancialState:
    stated = reading.text(payload, "displayFinancialStatus")
    state = _FINANCIAL.get(stated)
    if state is None:  # whether money was taken is all that can be told
        reading.flag("status_unknown")
        state = FinancialState.pending if _paid_at(payload) is None else FinancialState.paid
    return FinancialState.cancelled if cancelled and state not in _MONEY_WENT_BACK else state


def _fulfilment(reading: Reading, payload: JsonObject) -> FulfilmentState:
    state = _FULFILMENT.get(reading.text(payload, "displayFulfillmentStatus"))
    if state is None:
        reading.flag("fulfilment_unknown")
    return state or FulfilmentState.unfulfilled


def _status(reading: Reading, payload: JsonObject) -> str:
    """Both of Shopify's states as it names them: `PAID/UNFULFILLED`."""
    names = ("displayFinancialStatus", "displayFulfillmentStatus")
    return "/".join(reading.text(payload, name) for name in names)


def _tags(payload: JsonObject) -> list[Any]:
    value: Any = payload.get("tags")
    if value is None:
        return []
    if not isinstance(value, list):
        raise wrong_type("tags", "a list")
    return cast(list[Any], value)
