"""An abandoned checkout's node to the canonical cart and, for somebody without account, the lead.

Prevents the cart of nobody: Shopify names a customer for everybody who typed an e-mail, but who
has neither an account nor an order may be in no list of customers.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm_integration.canonical.carts import Cart
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.stores._amounts import known_currency, whole_number
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._payload import Reading, block, checked, moment, optional_moment
from crm_integration.stores.shopify.fields import (
    address,
    nested_rows,
    optional_id,
    required_id,
    shop_currency,
    shop_money,
    unit_price,
)


def cart_objects(payload: JsonObject) -> Iterator[StoreObject]:
    """The cart; and the lead, where no account is known but an e-mail or a phone number is."""
    registered = _registered(payload)
    lead = None if registered else _lead(payload)
    kind = "registered" if registered else "lead" if lead else None
    yield _cart(payload, kind, registered or (lead.source_id if lead else None))
    if lead is not None:
        yield lead


def _registered(payload: JsonObject) -> str | None:
    """The customer's id, if it has an account or ever bought something."""
    customer = block(payload, "customer")
    unknown = customer.get("state") == "DISABLED" and customer.get("numberOfOrders") == "0"
    return None if unknown else optional_id(payload, "customer")


def _lead(payload: JsonObject) -> StoreObject | None:
    reading = Reading()
    addresses = (
        address(reading, payload, "billingAddress", "billing"),
        address(reading, payload, "shippingAddress", "shipping"),
    )
    found = [one for one in addresses if one]
    customer = block(payload, "customer")
    email = reading.text(block(customer, "defaultEmailAddress", "customer."), "emailAddress")
    phones = [reading.text(block(customer, "defaultPhoneNumber", "customer."), "phoneNumber")]
    phone = next((one for one in [*phones, *(one["phone"] for one in found)] if one), "")
    if not email.strip() and not phone:
        return None
    person: dict[str, Any] = found[0] if found else {}
    return checked(Customer, {
        "source_id": f"cart/{required_id(payload)}",
        "source_time": moment(payload, "updatedAt"),
        "kind": CustomerKind.lead,
        "email": email.strip() or None,
        "first_name": reading.text(customer, "firstName") or person.get("first_name", ""),
        "last_name": reading.text(customer, "lastName") or person.get("last_name", ""),
        "company": person.get("company", ""),
        "phone": phone,
        "addresses": found,
        "flags": reading.flags,
    })  # fmt: skip


def _cart(payload: JsonObject, kind: str | None, customer: str | None) -> StoreObject:
    reading = Reading()
    stated = shop_currency(payload, "totalPriceSet")
    currency = known_currency(stated, "totalPriceSet.shopMoney.currencyCode")
    changed = moment(payload, "updatedAt")
    return checked(Cart, {
        "source_id": required_id(payload),
        "source_time": changed,
        "customer_kind": kind,
        "customer_source_id": customer,
        "started_at": moment(payload, "createdAt"),
        "changed_at": changed,
        "completed_at": optional_moment(payload, "completedAt"),
        "currency": currency,
        "total_minor": shop_money(payload, "totalPriceSet", currency),
        "recovery_url": reading.text(payload, "abandonedCheckoutUrl"),
        "lines": _cart_lines(reading, payload),
        "flags": reading.flags,
    })  # fmt: skip


def _cart_lines(reading: Reading, payload: JsonObject) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = []
    for position, row in enumerate(nested_rows(payload, "lineItems")):
        path = f"lineItems.nodes[{position}]."
        titles = (reading.text(row, name, path) for name in ("title", "variantTitle"))
        lines.append({
            "position": position,
            "sku": reading.text(row, "sku", path),
            "title": " - ".join(title for title in titles if title),
            "quantity": whole_number(row, "quantity", path),
            "unit_price": unit_price(row, path),
        })  # fmt: skip
    return lines
