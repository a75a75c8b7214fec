"""Shopify nodes to canonical objects; pure.

Prevents the vendor's habits from travelling on: gids, money in bags of two currencies, refunds
and parcels that only live within an order.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.products import Product
from crm_integration.stores._amounts import known_currency, money
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import Reading, checked, moment, rows
from crm_integration.stores.shopify.cart_payload import cart_objects
from crm_integration.stores.shopify.customer_payload import customer_objects
from crm_integration.stores.shopify.fields import nested_rows, required_id
from crm_integration.stores.shopify.order_parts import order_objects
from crm_integration.stores.shopify.shapes import UPCASTERS

__all__ = ["UPCASTERS", "to_canonical"]

_PRODUCT_STATUS = {
    "ACTIVE": "active",
    "UNLISTED": "active",
    "DRAFT": "draft",
    "ARCHIVED": "archived",
}


def to_canonical(
    object_type: str, payload: JsonObject, parent: JsonObject | None, context: StoreContext
) -> Iterable[StoreObject]:
    """See `stores._contract.ToCanonicalModule`.

    Reasons of Unreadable: unknown_type, no_id, no_time, bad_time, wrong_type, not_money,
    not_a_number, out_of_range, unknown_currency, invalid, and no_root of an older shape.
    """
    if object_type == "order":
        return list(order_objects(payload, context))
    if object_type == "customer":
        return list(customer_objects(payload))
    if object_type == "product":
        return [_product(payload, context)]
    if object_type == "cart":
        return list(cart_objects(payload))
    raise Unreadable("unknown_type", field="", fix="see manifest.yaml, object_types")


def _product(payload: JsonObject, context: StoreContext) -> StoreObject:
    """Prices belong to variants; a product that has only the unnamed one shows its price."""
    reading = Reading()
    currency = known_currency(context.currency)
    variants = [
        _variant(reading, row, currency, f"variants.nodes[{position}].")
        for position, row in enumerate(nested_rows(payload, "variants"))
    ]
    only = variants[0] if payload.get("hasOnlyDefaultVariant") is True and variants else {}
    status = reading.text(payload, "status")
    if status not in _PRODUCT_STATUS:
        reading.flag("status_unknown")
    return checked(Product, {
        "source_id": required_id(payload),
        "source_time": moment(payload, "updatedAt"),
        "title": reading.text(payload, "title"),
        "sku": only.get("sku", ""),
        "status": _PRODUCT_STATUS.get(status, "draft"),
        "description": reading.text(payload, "description"),
        "currency": currency,
        "price_minor": only.get("price_minor"),
        "variants": variants,
        "flags": reading.flags,
    })  # fmt: skip


def _variant(reading: Reading, row: JsonObject, currency: str, path: str) -> dict[str, Any]:
    options = rows(row, "selectedOptions", path)
    return {
        "source_id": required_id(row, path),
        "sku": reading.text(row, "sku", path),
        "title": reading.text(row, "title", path),
        "price_minor": money(row.get("price"), currency, f"{path}price"),
        "options": [
            (reading.text(option, "name", path), reading.text(option, "value", path))
            for option in options
        ],
    }
