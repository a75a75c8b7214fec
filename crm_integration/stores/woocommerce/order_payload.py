"""One order's payload to the canonical order and, for a guest, the guest.

Prevents `completed` from hiding a half refunded order, and an imported credit note from being
counted as a sale.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import FinancialState, FulfilmentState, Order
from crm_integration.stores._amounts import known_currency, paid_state
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import checked, rows
from crm_integration.stores._php import amount, count, number, section
from crm_integration.stores.woocommerce.cutting import gmt, id_text
from crm_integration.stores.woocommerce.fields import CREDIT_TAG_KEY, Fields, moment, required_id

_STATES = {
    "pending": FinancialState.pending,
    "on-hold": FinancialState.pending,
    "checkout-draft": FinancialState.pending,
    "auto-draft": FinancialState.pending,
    "processing": FinancialState.paid,
    "completed": FinancialState.paid,
    "refunded": FinancialState.refunded,
    "cancelled": FinancialState.cancelled,
    "trash": FinancialState.cancelled,
    "failed": FinancialState.failed,
}
_FULFILMENT = {
    "fulfilled": FulfilmentState.fulfilled,
    "partially_fulfilled": FulfilmentState.partial,
    "unfulfilled": FulfilmentState.unfulfilled,
}


def order_objects(payload: JsonObject, context: StoreContext) -> list[StoreObject]:
    """The guest (where customer_id is 0) and the order, unless it is tagged as a credit."""
    fields = Fields()
    found: list[StoreObject] = []
    if is_guest(payload):
        found.append(_guest(payload))
    if not is_credit(payload, context):
        found.append(_order(payload, fields))
    return found


def is_guest(payload: JsonObject) -> bool:
    """WooCommerce gives guests the customer_id 0. Raises Unreadable if it gives none at all."""
    value = payload.get("customer_id")
    if value is None or isinstance(value, bool) or not isinstance(value, int | str):
        raise Unreadable("no_customer", field="customer_id", fix="expected an id, 0 for a guest")
    return id_text(value) is None


def customer_identity(payload: JsonObject) -> tuple[str, str]:
    """(`registered`, account id) or (`guest`, the order's own id)."""
    if is_guest(payload):
        return "guest", required_id(payload, "id")
    return "registered", required_id(payload, "customer_id")


def is_credit(payload: JsonObject, context: StoreContext) -> bool:
    """True for an order that stands for refunds without an order, by the tenant's setting."""
    tag = context.settings.get("credit_without_order_tag")
    return bool(tag) and meta(payload, CREDIT_TAG_KEY) == tag


def meta(payload: JsonObject, key: str) -> Any:
    """The last meta_data value of that key, None without one."""
    value: Any = None
    for entry in rows(payload, "meta_data"):
        if entry.get("key") == key:
            value = entry.get("value")
    return value


def order_number(payload: JsonObject, fields: Fields) -> str:
    """What the merchant calls the order; its id where a plugin emptied it."""
    return fields.text(payload, "number") or required_id(payload, "id")


def made(payload: JsonObject) -> datetime:
    """When this version of the object was made, UTC."""
    return moment(payload, "date_modified_gmt", "date_created_gmt")


def _guest(payload: JsonObject) -> StoreObject:
    fields = Fields()
    billing = section(payload, "billing")
    return checked(Customer, {
        "source_id": required_id(payload, "id"),
        "source_time": made(payload),
        "kind": CustomerKind.guest,
        "email": fields.text(billing, "email", "billing.").strip() or None,
        "first_name": fields.text(billing, "first_name", "billing."),
        "last_name": fields.text(billing, "last_name", "billing."),
        "company": fields.text(billing, "company", "billing."),
        "phone": fields.text(billing, "phone", "billing."),
        "addresses": fields.addresses(payload),
        "flags": fields.flags,
    })  # fmt: skip


def _order(payload: JsonObject, fields: Fields) -> StoreObject:
    currency = known_currency(payload.get("currency"))
    kind, customer = customer_identity(payload)
    status = fields.text(payload, "status").removeprefix("wc-")
    changed = made(payload)
    state = _financial(payload, status, currency, fields)
    values: dict[str, Any] = {
        "source_id": required_id(payload, "id"),
        "source_time": changed,
        "number": order_number(payload, fields),
        "customer_kind": kind,
        "customer_source_id": customer,
        "email": fields.text(section(payload, "billing"), "email", "billing.").strip() or None,
        "placed_at": moment(payload, "date_created_gmt"),
        "paid_at": gmt(payload.get("date_paid_gmt")),
        # The shop keeps no time of cancelling: the change that brought the state is the nearest.
        "cancelled_at": changed if state is FinancialState.cancelled else None,
        "currency": currency,
        "total_minor": amount(payload, "total", currency),
        "tax_minor": amount(payload, "total_tax", currency),
        "shipping_minor": amount(payload, "shipping_total", currency),
        "discount_minor": amount(payload, "discount_total", currency),
        "financial_state": state,
        "fulfilment_state": _fulfilment(payload, status),
        "store_status": status,
        "note": fields.text(payload, "customer_note"),
        "billing": fields.block_address(payload, "billing"),
        "shipping": fields.block_address(payload, "shipping"),
        "lines": _lines(payload, currency, fields),
    }
    values["flags"] = fields.flags
    return checked(Order, values)


def _lines(payload: JsonObject, currency: str, fields: Fields) -> list[dict[str, Any]]:
    return [
        _line(position, row, currency, fields)
        for position, row in enumerate(rows(payload, "line_items"))
    ]


def _line(position: int, row: JsonObject, currency: str, fields: Fields) -> dict[str, Any]:
    path = f"line_items[{position}]."
    return {
        "position": position,
        "product_source_id": id_text(row.get("product_id")) or "",
        "variant_source_id": id_text(row.get("variation_id")) or "",
        "sku": fields.text(row, "sku", path),
        "title": fields.text(row, "name", path),
        "quantity": count(row, "quantity", path),
        "unit_price": number(row, "price", path),
        "total_minor": amount(row, "total", currency, path),
        "tax_minor": amount(row, "total_tax", currency, path),
    }


def _financial(payload: JsonObject, status: str, currency: str, fields: Fields) -> FinancialState:
    state = _STATES.get(status)
    if state is None:  # a plugin's own status: what was paid is all that can be told
        fields.flag("status_unknown")
        paid = gmt(payload.get("date_paid_gmt")) is not None
        state = FinancialState.paid if paid else FinancialState.pending
    if state is not FinancialState.paid:
        return state
    refunds = rows(payload, "refunds")
    refunded = -sum(
        amount(row, "total", currency, f"refunds[{n}].") for n, row in enumerate(refunds)
    )
    return paid_state(amount(payload, "total", currency), refunded)


def _fulfilment(payload: JsonObject, status: str) -> FulfilmentState:
    stated = meta(payload, "_fulfillment_status")
    if isinstance(stated, str) and stated in _FULFILMENT:
        return _FULFILMENT[stated]
    # A refunded order keeps the time at which it was completed.
    shipped = status == "completed" or (
        status == "refunded" and gmt(payload.get("date_completed_gmt")) is not None
    )
    return FulfilmentState.fulfilled if shipped else FulfilmentState.unfulfilled
