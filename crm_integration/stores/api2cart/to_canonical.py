"""API2Cart payloads to canonical objects; pure.

Prevents one cart's dialect from travelling on: whatever platform is behind the key, the same
canonical objects come out, and what cannot be understood is refused with its place and a fix.
"""

from __future__ import annotations

from collections.abc import Iterable

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.products import Product
from crm_integration.stores._amounts import known_currency
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import checked
from crm_integration.stores._php import amount
from crm_integration.stores.api2cart.cart_payload import cart_objects
from crm_integration.stores.api2cart.fields import Fields, required_id
from crm_integration.stores.api2cart.order_payload import order_objects
from crm_integration.stores.api2cart.people import customer_objects
from crm_integration.stores.api2cart.shipment_payload import shipment


def to_canonical(
    object_type: str, payload: JsonObject, parent: JsonObject | None, context: StoreContext
) -> Iterable[StoreObject]:
    """See `stores._contract.ToCanonicalModule`.

    Reasons of Unreadable: unknown_type, no_id, no_time, no_total, no_parent, wrong_type,
    not_money, not_a_number, not_a_date, unknown_date_format, fractional, out_of_range,
    unknown_currency, invalid.
    """
    if object_type == "order":
        return order_objects(payload, context)
    if object_type == "customer":
        return customer_objects(payload, context)
    if object_type == "product":
        return [_product(payload, context)]
    if object_type == "cart":
        return cart_objects(payload, context)
    if object_type == "shipment":
        return [shipment(payload, parent, context)]
    raise Unreadable("unknown_type", field="", fix="see manifest.yaml, object_types")


def _product(payload: JsonObject, context: StoreContext) -> StoreObject:
    """The product. Its variants are objects of another method and are not read."""
    fields = Fields(context)
    currency = known_currency(context.currency)
    unpriced = payload.get("price") in (None, "")
    return checked(Product, {
        "source_id": required_id(payload, "a product id"),
        "source_time": fields.moment(payload, "modified_at", "create_at"),
        "title": fields.text(payload, "name"),
        "sku": fields.text(payload, "u_sku") or fields.text(payload, "u_model"),
        "status": "draft" if payload.get("avail_view") is False else "active",
        "description": fields.text(payload, "description"),
        "currency": currency,
        "price_minor": None if unpriced else amount(payload, "price", currency),
        "flags": fields.flags,
    })  # fmt: skip
