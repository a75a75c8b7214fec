"""What a Shopify delivery is about, from its headers and body.

Prevents a body from being taken for the object: deliveries are REST-shaped, a day late at times
and out of order, so every one is thin and the object is read before anything is believed.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from crm_integration.stores._contract import Delivery, JsonObject, Unreadable
from crm_integration.stores._cutting import delivered
from crm_integration.stores._payload import block_if_any, utc
from crm_integration.stores.shopify.objects import is_number, tail
from crm_integration.stores.shopify.subscriptions import (
    revive,
    subscribe,
    subscriptions,
    unsubscribe,
)

__all__ = ["read_delivery", "revive", "subscribe", "subscriptions", "unsubscribe"]

_OWN = {"orders": "order", "customers": "customer", "products": "product", "checkouts": "cart"}
"""Topics whose body is the object itself, with its `id` and `updated_at`."""
_OF_ORDER = ("refunds", "fulfillments", "order_transactions", "returns", "fulfillment_events")
_OF_CUSTOMER = ("customers_email_marketing_consent", "customers_marketing_consent")
_PRIVACY = ("customers/redact", "customers/data_request", "shop/redact")
"""Mandatory topics: requests to us, not changes of an object."""


def read_delivery(headers: Mapping[str, str], body: bytes) -> Delivery:
    """Topic, object and version time. `deleted` is a suspicion that a read by id must confirm.

    Without `updated_at` the version time is when the event happened. Raises Unreadable
    `no_topic` or `not_json`.
    """
    topic = headers.get("x-shopify-topic", "").strip().lower()
    if not topic:
        raise Unreadable(
            "no_topic",
            field="x-shopify-topic",
            fix="a Shopify delivery names its topic in this header",
        )
    payload = delivered(body)
    object_type, source_id = _subject(topic, payload)
    triggered = utc(headers.get("x-shopify-triggered-at"))
    own_time = _own_time(topic, payload) if object_type else None
    return Delivery(
        topic=topic,
        object_type=object_type if source_id else None,
        source_id=source_id,
        source_time=own_time or triggered,
        delivery_id=headers.get("x-shopify-webhook-id") or headers.get("x-shopify-event-id"),
        deleted=object_type is not None and topic.endswith("/delete"),
        thin=True,
    )


def _subject(topic: str, payload: JsonObject) -> tuple[str | None, str | None]:
    """Which object of ours a topic is about; (None, None) for one that is about none."""
    resource, _, event = topic.partition("/")
    if topic in _PRIVACY:
        return None, None
    if topic == "orders/edited":
        return "order", _id(block_if_any(payload, "order_edit"), "order_id")
    if topic == "customers/merge":
        kept = payload.get("admin_graphql_api_customer_kept_id")
        return "customer", tail(kept)
    if resource in _OWN and event:
        return _OWN[resource], _id(payload, "id")
    if resource in _OF_ORDER:
        return "order", _id(payload, "order_id")
    if resource in _OF_CUSTOMER:
        return "customer", _id(payload, "customer_id")
    return None, None


def _own_time(topic: str, payload: JsonObject) -> datetime | None:
    return utc(payload.get("updated_at")) if topic.partition("/")[0] in _OWN else None


def _id(holder: JsonObject, name: str) -> str | None:
    value = holder.get(name)
    if isinstance(value, bool) or not isinstance(value, int | str):
        return None
    text = str(value)
    return text if is_number(text) and int(text) else None
