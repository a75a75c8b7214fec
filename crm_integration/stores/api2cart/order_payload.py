"""One order's payload to the canonical order, the guest behind it, and its refunds.

Prevents a guest from becoming an account (the customer block's id is "" or 0 then), a half
refunded order from hiding behind "completed", and an imported credit note from being a sale.
"""

from __future__ import annotations

from typing import Any

from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import FinancialState, Order
from crm_integration.stores._amounts import paid_state
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import checked, rows
from crm_integration.stores._php import amount, count, number, section
from crm_integration.stores.api2cart.fields import Fields
from crm_integration.stores.api2cart.objects import id_text
from crm_integration.stores.api2cart.order_reading import (
    customer_identity,
    is_credit,
    order_currency,
    order_id,
    order_number,
)
from crm_integration.stores.api2cart.refund_payload import refund_objects
from crm_integration.stores.api2cart.states import (
    financial_state,
    fulfilment_state,
    store_status,
)


def order_objects(payload: JsonObject, context: StoreContext) -> list[StoreObject]:
    """The guest (where there is no account), the order unless it is tagged as a credit, and the
    refunds: those of a credit are refunds without an order."""
    found: list[StoreObject] = []
    if customer_identity(payload)[0] == "guest":
        found.append(_guest(payload, Fields(context)))
    if not is_credit(payload, context):
        found.append(_order(payload, Fields(context)))
    return found + refund_objects(payload, context)


def lines_of(payload: JsonObject, currency: str, fields: Fields) -> list[dict[str, Any]]:
    """`order_products` of an order as values of OrderLine."""
    return [
        _line(position, row, currency, fields)
        for position, row in enumerate(rows(payload, "order_products"))
    ]


def _guest(payload: JsonObject, fields: Fields) -> StoreObject:
    customer, billing = section(payload, "customer"), section(payload, "billing_address")
    said = {
        name: fields.text(customer, name, "customer.")
        or fields.text(billing, name, "billing_address.")
        for name in ("first_name", "last_name", "phone")
    }
    addresses = [
        found for kind in ("billing", "shipping") if (found := _address(payload, kind, fields))
    ]
    return checked(Customer, {
        "source_id": order_id(payload),
        "source_time": fields.moment(payload, "modified_at", "create_at"),
        "kind": CustomerKind.guest,
        "email": fields.text(customer, "email", "customer.").strip() or None,
        **said,
        "company": fields.text(billing, "company", "billing_address."),
        "addresses": addresses,
        "flags": fields.flags,
    })  # fmt: skip


def _address(payload: JsonObject, kind: str, fields: Fields) -> dict[str, Any] | None:
    name = f"{kind}_address"
    return fields.address_in(section(payload, name), kind, f"{name}.")


def _order(payload: JsonObject, fields: Fields) -> StoreObject:
    currency = order_currency(payload)
    kind, customer = customer_identity(payload)
    changed = fields.moment(payload, "modified_at", "create_at")
    money = _totals(payload, currency)
    state = _state(payload, currency, money["total_minor"], fields)
    email = fields.text(section(payload, "customer"), "email", "customer.").strip()
    values: dict[str, Any] = {
        "source_id": order_id(payload),
        "source_time": changed,
        "number": order_number(payload, fields),
        "customer_kind": kind,
        "customer_source_id": customer,
        "email": email or None,
        "placed_at": fields.moment(payload, "create_at"),
        # No cart states a time of cancelling: the change that brought the state is the nearest.
        "cancelled_at": changed if state is FinancialState.cancelled else None,
        "currency": currency,
        **money,
        "financial_state": state,
        "fulfilment_state": fulfilment_state(payload, fields),
        "store_status": store_status(payload, fields),
        "note": fields.text(payload, "comment"),
        "billing": _address(payload, "billing", fields),
        "shipping": _address(payload, "shipping", fields),
        "lines": lines_of(payload, currency, fields),
    }
    values["flags"] = fields.flags
    return checked(Order, values)


def _totals(payload: JsonObject, currency: str) -> dict[str, int]:
    """`total` is what API2Cart fills today, `totals` what it filled first; one may be null."""
    total, totals = section(payload, "total"), section(payload, "totals")
    if total.get("total") is not None:
        names = ("total", "total_tax", "shipping_ex_tax", "total_discount")
        holder, path = total, "total."
    elif totals.get("total") is not None:
        names = ("total", "tax", "shipping", "discount")
        holder, path = totals, "totals."
    else:
        raise Unreadable("no_total", field="total.total", fix="expected the order's total")
    ours = ("total_minor", "tax_minor", "shipping_minor", "discount_minor")
    return {
        our: amount(holder, name, currency, path) for our, name in zip(ours, names, strict=True)
    }


def _state(payload: JsonObject, currency: str, total: int, fields: Fields) -> FinancialState:
    """A cart that only says paid is judged by its refunds."""
    state = financial_state(payload, fields)
    if state is not FinancialState.paid:
        return state
    refunded = sum(
        amount(row, "total", currency, f"refunds[{n}].")
        for n, row in enumerate(rows(payload, "refunds"))
    )
    return paid_state(total, refunded)


def _line(position: int, row: JsonObject, currency: str, fields: Fields) -> dict[str, Any]:
    path = f"order_products[{position}]."
    quantity, price = count(row, "quantity", path), number(row, "price", path)
    if row.get("total_price") in (None, ""):
        net = price * quantity - number(row, "discount_amount", path)
        total = amount({"total_price": str(net)}, "total_price", currency, path)
    else:
        total = amount(row, "total_price", currency, path)
    return {
        "position": position,
        "product_source_id": id_text(row.get("product_id")) or "",
        "variant_source_id": id_text(row.get("variant_id")) or "",
        "sku": fields.text(row, "model", path),
        "title": fields.text(row, "name", path),
        "quantity": quantity,
        "unit_price": price,
        "total_minor": total,
        "tax_minor": amount(row, "tax_value", currency, path),
    }
