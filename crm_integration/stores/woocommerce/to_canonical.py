"""WooCommerce payloads to canonical objects; pure.

Prevents the vendor's habits from travelling on: money as text, refunds without a currency,
times without a zone, ids as numbers.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.products import Product
from crm_integration.canonical.refunds import Refund
from crm_integration.stores._amounts import known_currency
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import checked, wrong_type
from crm_integration.stores._php import amount, section
from crm_integration.stores.woocommerce.cutting import gmt, id_text
from crm_integration.stores.woocommerce.fields import Fields, moment, required_id
from crm_integration.stores.woocommerce.order_payload import (
    customer_identity,
    is_credit,
    made,
    order_number,
    order_objects,
)

_PRODUCT_STATUS = {"publish": "active", "trash": "archived"}


def to_canonical(
    object_type: str, payload: JsonObject, parent: JsonObject | None, context: StoreContext
) -> Iterable[StoreObject]:
    """See `stores._contract.ToCanonicalModule`.

    Reasons of Unreadable: unknown_type, no_id, no_time, no_customer, no_parent, wrong_type,
    not_money, not_a_number, fractional, out_of_range, unknown_currency, invalid.
    """
    if object_type == "order":
        return order_objects(payload, context)
    if object_type == "customer":
        return [_customer(payload)]
    if object_type == "refund":
        return [_refund(payload, parent, context)]
    if object_type == "product":
        return [_product(payload, context)]
    raise Unreadable("unknown_type", field="", fix="see manifest.yaml, object_types")


def _customer(payload: JsonObject) -> StoreObject:
    fields = Fields()
    billing = section(payload, "billing")
    names = {name: fields.text(payload, name) for name in ("first_name", "last_name")}
    if not any(names.values()):  # accounts made at the checkout often have only an address
        names = {name: fields.text(billing, name, "billing.") for name in names}
    return checked(Customer, {
        "source_id": required_id(payload, "id"),
        "source_time": made(payload),
        "kind": CustomerKind.registered,
        "email": fields.text(payload, "email").strip() or None,
        **names,
        "company": fields.text(billing, "company", "billing."),
        "phone": fields.text(billing, "phone", "billing."),
        "registered_at": gmt(payload.get("date_created_gmt")),
        "addresses": fields.addresses(payload),
        "flags": fields.flags,
    })  # fmt: skip


def _refund(payload: JsonObject, parent: JsonObject | None, context: StoreContext) -> StoreObject:
    if parent is None:
        raise Unreadable("no_parent", field="parent_id", fix="its order must be read first")
    fields = Fields()
    currency = known_currency(parent.get("currency"))
    given_back = amount(payload, "amount", currency)
    source_id = required_id(payload, "id")
    values: dict[str, Any] = {
        "source_id": source_id,
        "source_time": moment(payload, "date_created_gmt"),
        "refunded_at": moment(payload, "date_created_gmt"),
        "currency": currency,
        "amount_minor": given_back,
        "reason": fields.text(payload, "reason"),
    }
    if is_credit(parent, context):
        kind, customer = customer_identity(parent)
        values |= {"customer_kind": kind, "customer_source_id": customer}
        values["number"] = order_number(parent, fields)
    else:
        values |= {"order_source_id": required_id(parent, "id"), "number": source_id}
    if given_back <= 0:
        fields.flag("refund_not_positive")
    return checked(Refund, {**values, "flags": fields.flags})


def _product(payload: JsonObject, context: StoreContext) -> StoreObject:
    fields = Fields()
    currency = known_currency(context.currency)
    status = fields.text(payload, "status")
    return checked(Product, {
        "source_id": required_id(payload, "id"),
        "source_time": made(payload),
        "title": fields.text(payload, "name"),
        "sku": fields.text(payload, "sku"),
        "status": _PRODUCT_STATUS.get(status, "draft"),
        "description": fields.text(payload, "description"),
        "currency": currency,
        "price_minor": _price(payload, currency, ""),
        "variants": _variants(payload, currency, fields),
        "flags": fields.flags,
    })  # fmt: skip


def _variants(payload: JsonObject, currency: str, fields: Fields) -> list[dict[str, Any]]:
    """WooCommerce lists variants by id alone; a plugin may embed them, then they say more."""
    listed = payload.get("variations")
    if listed is None:
        return []
    if not isinstance(listed, list):
        raise wrong_type("variations", "a list")
    found: list[dict[str, Any]] = []
    for position, entry in enumerate(cast(list[Any], listed)):
        path = f"variations[{position}]"
        if isinstance(entry, dict):
            found.append(_variant(cast(JsonObject, entry), currency, fields, path + "."))
        elif (source_id := id_text(entry)) is not None:
            found.append({"source_id": source_id})
        else:
            raise wrong_type(path, "an id")
    return found


def _variant(entry: JsonObject, currency: str, fields: Fields, path: str) -> dict[str, Any]:
    return {
        "source_id": required_id(entry, "id"),
        "sku": fields.text(entry, "sku", path),
        "title": fields.text(entry, "name", path),
        "price_minor": _price(entry, currency, path),
    }


def _price(holder: JsonObject, currency: str, path: str) -> int | None:
    """None where the shop states no price (a variable product), which differs from 0."""
    if holder.get("price") in (None, ""):
        return None
    return amount(holder, "price", currency, path)
