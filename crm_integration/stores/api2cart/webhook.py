"""What a delivery of API2Cart is about, from its headers and body.

Prevents a forged order from being believed: API2Cart documents no signature that could be checked,
so every delivery is thin: it names an object, which is then read from the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from crm_integration.stores._contract import Delivery, JsonObject, Unreadable
from crm_integration.stores._cutting import delivered
from crm_integration.stores.api2cart.methods import LISTED
from crm_integration.stores.api2cart.objects import id_text, identity
from crm_integration.stores.api2cart.subscriptions import (
    revive,
    subscribe,
    subscriptions,
    unsubscribe,
)

__all__ = ["read_delivery", "revive", "subscribe", "subscriptions", "unsubscribe"]

_TYPES = {
    "order": "order",
    "customer": "customer",
    "product": "product",
    "basket": "cart",
    "order.abandoned": "cart",
}
"""Webhook entity -> object type; others are told and not read."""


def read_delivery(headers: Mapping[str, str], body: bytes) -> Delivery:
    """Topic and object; always thin.

    Entity and action come in headers (`x-webhook-entity`, `x-webhook-action`), by some senders in
    the body under the same names. The object is the body itself or lies below its entity's name;
    a body without an id names none. Raises Unreadable `no_topic`, `not_json`.
    """
    payload = delivered(body) if body.strip() else {}
    entity, action = (_named(headers, payload, name) for name in ("entity", "action"))
    if not entity or not action:
        raise Unreadable(
            "no_topic",
            field="x-webhook-entity",
            fix="a delivery of API2Cart names its entity and action in these headers",
        )
    object_type = _TYPES.get(entity)
    return Delivery(
        topic=f"{entity}.{action}",
        object_type=object_type,
        source_id=_object_id(payload, entity, object_type),
        source_time=None,  # x-webhook-timestamp is when it was sent, not a version's time
        delivery_id=None,
        deleted=action == "delete",
        thin=True,
    )


def _named(headers: Mapping[str, str], payload: JsonObject, name: str) -> str:
    value: Any = headers.get(f"x-webhook-{name}") or payload.get(f"x-webhook-{name}")
    return value.strip().lower()[:80] if isinstance(value, str) else ""


def _object_id(payload: JsonObject, entity: str, object_type: str | None) -> str | None:
    """Of the object below its entity's name, `result` or `data`, else of the body itself."""
    below = (payload.get(name) for name in (entity, "result", "data"))
    held = next((cast(JsonObject, one) for one in below if isinstance(one, dict)), payload)
    if object_type is None:
        return id_text(held.get("id"))
    return identity(LISTED[object_type], held) or id_text(held.get("entity_id"))
