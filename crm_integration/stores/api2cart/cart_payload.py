"""One abandoned cart's payload to the canonical cart, and to a lead where it has only an e-mail.

Prevents a cart of somebody known by an e-mail alone from being nobody's. API2Cart lists carts that
were left; one that became an order leaves the list without a word.
"""

from __future__ import annotations

from typing import Any

from crm_integration.canonical.carts import Cart
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.stores._amounts import known_currency
from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._payload import checked, required_id, rows
from crm_integration.stores._php import amount, count, number, section
from crm_integration.stores.api2cart.fields import Fields
from crm_integration.stores.api2cart.methods import CART
from crm_integration.stores.api2cart.objects import id_text, identity


def cart_objects(payload: JsonObject, context: StoreContext) -> list[StoreObject]:
    """The lead (an e-mail without an account) and the cart."""
    source_id = required_id(identity(CART, payload), "id", "a cart id")
    customer = section(payload, "customer")
    account = id_text(customer.get("id"))
    email = Fields(context).text(customer, "email", "customer.").strip()
    if account:
        return [_cart(payload, source_id, ("registered", account), context)]
    if not email:
        return [_cart(payload, source_id, (None, None), context)]
    lead = _lead(payload, f"cart/{source_id}", email, context)
    return [lead, _cart(payload, source_id, ("lead", f"cart/{source_id}"), context)]


def _lead(payload: JsonObject, source_id: str, email: str, context: StoreContext) -> StoreObject:
    fields, customer = Fields(context), section(payload, "customer")
    said = {
        name: fields.text(customer, name, "customer.")
        for name in ("first_name", "last_name", "phone")
    }
    return checked(Customer, {
        "source_id": source_id,
        "source_time": fields.moment(payload, "modified_at", "created_at"),
        "kind": CustomerKind.lead,
        "email": email,
        **said,
        "flags": fields.flags,
    })  # fmt: skip


def _cart(
    payload: JsonObject, source_id: str, whose: tuple[str | None, str | None],
    context: StoreContext,
) -> StoreObject:  # fmt: skip
    fields = Fields(context)
    code = section(payload, "currency").get("iso3") or context.currency
    currency = known_currency(code, "currency.iso3")
    changed = fields.moment(payload, "modified_at", "created_at")
    values: dict[str, Any] = {
        "source_id": source_id,
        "source_time": changed,
        "customer_kind": whose[0],
        "customer_source_id": whose[1],
        "started_at": fields.moment(payload, "created_at", "modified_at"),
        "changed_at": changed,
        # The list holds what was left, so the last touch is when it was.
        "abandoned_at": changed,
        "currency": currency,
        "total_minor": amount(section(payload, "totals"), "total", currency, "totals."),
        "recovery_url": fields.text(payload, "basket_url"),
        "lines": _lines(payload, fields),
    }
    return checked(Cart, {**values, "flags": fields.flags})


def _lines(payload: JsonObject, fields: Fields) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for position, row in enumerate(rows(payload, "order_products")):
        path = f"order_products[{position}]."
        price = row.get("price")
        found.append({
            "position": position,
            "sku": fields.text(row, "model", path),
            "title": fields.text(row, "name", path),
            "quantity": count(row, "quantity", path),
            "unit_price": None if price in (None, "") else number(row, "price", path),
        })  # fmt: skip
    return found
