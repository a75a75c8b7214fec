"""What a CRM must say of orders, refunds, parcels, carts and products of a shop."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from crm_integration_tests.oracle.street.expected import (
    Expected,
    Value,
    contains,
    moment,
    money,
    number,
    text,
)

Json = dict[str, Any]
Links = frozenset[tuple[str, str]]
_UNPAID = ("pending", "on-hold", "failed")
ABANDONED_AFTER = 3_600
"""Seconds without a touch (the default setting)."""


def counted(order: Json) -> bool:
    """Cancelled and failed orders are no orders of anybody."""
    return order["status"] not in ("cancelled", "failed", "trash")


def updated(platform: str, order: Json) -> float:
    """When the shop says that it changed: on Shopify a parcel is a change."""
    parcels = [one["modified"] for one in order["shipments"]] if platform == "shopify" else []
    return max([order["modified"], *parcels])


def refunded(order: Json) -> int:
    return sum(one["amount_minor"] for one in order["refunds"])


def _payment(order: Json) -> str:
    back = refunded(order)
    if order["status"] in ("cancelled", "failed"):
        return str(order["status"])
    if order["status"] == "refunded" or 0 < order["total_minor"] <= back:
        return "refunded"
    if order["status"] in _UNPAID:
        return "pending"
    return "partially_refunded" if back else "paid"


def _sent(order: Json) -> list[Json]:
    return [one for one in order["shipments"] if one["state"] in ("shipped", "delivered")]


def _fulfilment(platform: str, order: Json) -> str:
    if platform == "woocommerce":
        return "fulfilled" if order["status"] in ("completed", "refunded") else "unfulfilled"
    parcels = _sent(order)
    if not parcels:
        done = platform == "shopify" and order["status"] in ("completed", "refunded")
        return "fulfilled" if done else "unfulfilled"
    sent = Counter[int]()
    for parcel in parcels:
        for position, quantity in parcel["lines"]:
            sent[position] += quantity
    whole = all(sent[n] >= line["quantity"] for n, line in enumerate(order["lines"]))
    return "fulfilled" if whole else "partial"


_SHOPIFY_MONEY = {
    "paid": "PAID", "pending": "PENDING", "cancelled": "VOIDED", "refunded": "REFUNDED",
    "partially_refunded": "PARTIALLY_REFUNDED", "failed": "EXPIRED",
}  # fmt: skip
_SHOPIFY_GOODS = {
    "fulfilled": "FULFILLED", "partial": "PARTIALLY_FULFILLED", "unfulfilled": "UNFULFILLED",
}  # fmt: skip
_API2CART = {"pending": "Pending payment"}


def _status(platform: str, order: Json) -> str:
    """The store's own word."""
    if platform == "shopify":
        goods = _SHOPIFY_GOODS[_fulfilment(platform, order)]
        return f"{_SHOPIFY_MONEY[_payment(order)]}/{goods}"
    status = str(order["status"])
    return status if platform == "woocommerce" else _API2CART.get(status, status.capitalize())


def order(platform: str, one: Json, owner: Links) -> Expected:
    """An order with its sums."""
    parcels = _sent(one) if platform != "woocommerce" else []
    quantities = dict[int, int](enumerate(line["quantity"] for line in one["lines"]))
    return Expected(
        "orders",
        str(one["id"]),
        {
            "hs_order_name": text(one["number"]),
            "hs_external_order_id": text(one["id"]),
            "hs_external_order_status": text(_status(platform, one)),
            "hs_currency_code": text("GBP"),
            "hs_total_price": money(one["total_minor"]),
            "hs_tax": money(0),
            "hs_shipping_cost": money(0),
            "hs_order_discount": money(0),
            "hs_refund_amount": money(refunded(one)),
            "hs_payment_status": text(_payment(one)),
            "hs_fulfillment_status": text(_fulfilment(platform, one)),
            "hs_external_created_date": moment(one["created"]),
            "hs_source_store": text("main"),
            "ci_is_guest": text("false" if one["customer_id"] else "true"),
            "ci_refund_count": number(len(one["refunds"])),
            "ci_line_count": number(len(quantities)),
            "ci_item_count": number(sum(quantities.values())),
            "ci_shipment_count": number(len(parcels)),
            "ci_shipped_items": number(sum(q for p in parcels for _, q in p["lines"])),
        },
        owner,
    )


def refunds(platform: str, one: Json, owner: Links) -> Iterator[Expected]:
    """Each refund of an order, or of what only carries one."""
    for back in one["refunds"]:
        key = f"{one['id']}/{back['id']}" if platform == "api2cart" else str(back["id"])
        ordered = frozenset() if one["credit"] else frozenset([("orders", str(one["id"]))])
        yield Expected(
            "refunds",
            key,
            {
                "hs_timestamp": moment(back["at"]),
                "ci_refund_amount": money(back["amount_minor"]),
                "ci_refund_currency": text("GBP"),
                "ci_order_number": text(None if one["credit"] else one["number"]),
                "ci_store": text("main"),
                "hs_note_body": contains(f"{back['amount_minor'] / 100:.2f} GBP"),
            },
            owner | ordered,
        )


def activities(platform: str, one: Json, owner: Links) -> Iterator[Expected]:
    """One for each milestone that an order and its parcels have come to."""
    links = owner | {("orders", str(one["id"]))}
    name, total = f"order/{one['id']}", money(one["total_minor"])
    yield _told(one, f"{name}/placed", "order_placed", moment(one["created"]), links, total)
    if _was_paid(platform, one):
        yield _told(one, f"{name}/paid", "order_paid", moment(one["created"]), links, total)
    if one["status"] == "cancelled":
        # Neither shop keeps a time of cancelling: that of the change that brought it.
        at = Value((updated(platform, one),), "time")
        yield _told(one, f"{name}/cancelled", "order_cancelled", at, links, total)
    if one["customer_note"]:
        at = moment(one["created"])
        yield _told(one, f"{name}/note", "note", at, links, None, contains(one["customer_note"]))
    if platform != "woocommerce":
        yield from _parcels(platform, one, links)


def _was_paid(platform: str, one: Json) -> bool:
    """Whether the shop states when money came; API2Cart states it nowhere."""
    if platform == "woocommerce":
        return one["status"] not in _UNPAID
    return platform == "shopify" and one["status"] not in (*_UNPAID, "cancelled")


def _parcels(platform: str, one: Json, links: Links) -> Iterator[Expected]:
    for parcel in _sent(one):
        own = f"{one['id']}/{parcel['id']}" if platform == "api2cart" else str(parcel["id"])
        times = {"shipped": parcel["created"], "delivered": parcel["delivered"]}
        for kind, at in times.items():
            if at is not None:
                key = f"shipment/{own}/{kind}"
                yield _told(one, key, kind, moment(at), links, None)


def _told(
    one: Json, key: str, kind: str, at: Value, links: Links, amount: Value | None,
    body: Value | None = None,
) -> Expected:  # fmt: skip
    fields: dict[str, Value] = {
        "hs_timestamp": at,
        "ci_kind": text(kind),
        "ci_order_number": text(one["number"]),
        "ci_store": text("main"),
        "hs_note_body": body or contains(f"rder {one['number']}"),
    }
    if amount is not None:
        fields |= {"ci_amount": amount, "ci_currency": text("GBP")}
    return Expected("activities", key, fields, links)


def cart(platform: str, one: Json, owner: Links, orders: list[Json]) -> Expected:
    """A cart in the state it is in. API2Cart never says that one was bought: it leaves the list,
    and whoever looks for it then finds that the shop has it no more."""
    left_at = one["modified"] + (ABANDONED_AFTER if platform == "shopify" else 0)
    bought = one["completed"] is not None
    fresh = time.time() - one["modified"] < ABANDONED_AFTER
    since = any(counted(o) and o["created"] >= one["modified"] for o in orders)
    links = owner
    abandoned: tuple[float | None, ...] = (left_at,)
    states: tuple[str, ...] = ("abandoned",)
    if bought and platform == "shopify":
        # It may have been found abandoned before: then that time stays.
        states, abandoned = ("converted",), ()
    elif bought:
        states, abandoned = ("open", "abandoned", "deleted"), ()
    elif since:
        states, abandoned = ("open", "abandoned"), ()
    elif fresh:
        states, abandoned = ("open",), (None,)
    fields: Mapping[str, Value] = {
        "hs_external_status": text(*states),
        "hs_total_price": money(one["total_minor"]),
        "hs_currency_code": text("GBP"),
        "hs_source_store": text("main"),
        "ci_line_count": number(len(one["lines"])),
        "ci_item_count": number(sum(line["quantity"] for line in one["lines"])),
        "ci_started_at": moment(one["created"]),
        **({"ci_abandoned_at": moment(*abandoned)} if abandoned else {}),
        **({"ci_changed_at": moment(one["modified"])} if not bought else {}),
    }
    seen = not bought or platform == "shopify"
    return Expected("carts", str(one["id"]), fields, links, may_lack=not seen)


def product(one: Json) -> Expected:
    return Expected(
        "products",
        str(one["id"]),
        {
            "name": text(one["name"] or one["sku"]),
            "hs_sku": text(one["sku"]),
            "price": money(one["price_minor"]),
            "ci_currency": text("GBP"),
            "ci_status": text("active"),
            "ci_store": text("main"),
        },
    )
