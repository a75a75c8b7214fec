"""What a WooCommerce delivery is about, from its headers and body.

Prevents three misreadings of real deliveries: the first one is an unsigned ping, a deleted
object's body is a (signed) error without an id, and the delivery id is not unique.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_integration.stores._contract import Delivery, JsonObject, Unreadable
from crm_integration.stores._cutting import delivered
from crm_integration.stores.woocommerce.cutting import id_text, source_time
from crm_integration.stores.woocommerce.subscriptions import (
    revive,
    subscribe,
    subscriptions,
    unsubscribe,
)

__all__ = ["read_delivery", "revive", "subscribe", "subscriptions", "unsubscribe"]

PING = "ping"
_TYPES = frozenset({"order", "customer", "product"})
_ORDER_ACTIONS = frozenset(
    {"action.woocommerce_payment_complete", "action.woocommerce_order_refunded"}
)
"""Actions whose `arg` is an order's id."""


def read_delivery(headers: Mapping[str, str], body: bytes) -> Delivery:
    """Topic, object and version time.

    `deleted` is a suspicion (an order in the trash is still readable by id). The body of an
    object that was gone before the delivery names no id: `source_id` is None then. Raises
    Unreadable `no_topic` or `not_json`.
    """
    delivery_id = headers.get("x-wc-webhook-delivery-id")
    topic = headers.get("x-wc-webhook-topic", "")
    if not topic:
        return _ping(body, delivery_id)
    payload = delivered(body)
    if topic in _ORDER_ACTIONS:
        return Delivery(topic, "order", id_text(payload.get("arg")), None, delivery_id)
    resource, _, event = topic.partition(".")
    gone = event == "deleted" or _says_gone(payload)
    return Delivery(
        topic=topic,
        object_type=resource if resource in _TYPES else None,
        source_id=id_text(payload.get("id")),
        source_time=None if gone else source_time(payload),
        delivery_id=delivery_id,
        deleted=gone,
    )


def _ping(body: bytes, delivery_id: str | None) -> Delivery:
    name, _, number = body.strip().partition(b"=")
    if name == b"webhook_id" and number.isdigit():
        return Delivery(PING, None, None, None, delivery_id)
    raise Unreadable(
        "no_topic",
        field="x-wc-webhook-topic",
        fix="a WooCommerce delivery names its topic in this header",
    )


def _says_gone(payload: JsonObject) -> bool:
    code = payload.get("code")
    return isinstance(code, str) and code.endswith("invalid_id")
