"""One parcel's payload to the canonical shipment.

Prevents a printed label from counting as goods on their way: carts say `is_shipped`, few say
more, and most state neither a time of their own nor which order's internal id they belong to.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.shipments import Shipment, ShipmentState
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import checked, rows
from crm_integration.stores._php import count, section
from crm_integration.stores.api2cart.fields import Fields, required_id
from crm_integration.stores.api2cart.order_reading import TIME_OF_ORDER, order_id

_STATES = {
    "pending": ShipmentState.pending,
    "shipped": ShipmentState.shipped,
    "in_transit": ShipmentState.shipped,
    "delivered": ShipmentState.delivered,
    "failed": ShipmentState.failed,
    "cancelled": ShipmentState.cancelled,
    "canceled": ShipmentState.cancelled,
}
_GONE_OUT = (ShipmentState.shipped, ShipmentState.delivered)


def shipment(payload: JsonObject, parent: JsonObject | None, context: StoreContext) -> StoreObject:
    """The parcel; its order gives the order's id, and the time where the parcel states none."""
    if parent is None:
        raise Unreadable("no_parent", field="order_id", fix="its order must be read first")
    own = required_id(payload, "a shipment id")
    fields = Fields(context)
    created = fields.date(payload, "created_at")
    changed = fields.date(payload, "modified_time") or created
    if changed is None:
        fields.flag(TIME_OF_ORDER)
        changed = fields.moment(parent, "modified_at", "create_at")
    delivered = fields.date(payload, "delivered_at")
    state = _state(payload, delivered, fields)
    order = order_id(parent)
    return checked(Shipment, {
        "source_id": f"{order}/{own}",
        "source_time": changed,
        "order_source_id": order,
        "number": own,
        "state": state,
        "shipped_at": (created or changed) if state in _GONE_OUT else None,
        "delivered_at": delivered if state is ShipmentState.delivered else None,
        **_tracking(payload, fields),
        "lines": _lines(payload, fields),
        "flags": fields.flags,
    })  # fmt: skip


def _state(payload: JsonObject, delivered: datetime | None, fields: Fields) -> ShipmentState:
    """The platform's own word where it has one; else whether it was shipped."""
    extra = section(payload, "additional_fields")
    word = fields.text(extra, "status", "additional_fields.").casefold().replace(" ", "_")
    if word in _STATES:
        return _STATES[word]
    if delivered is not None:
        return ShipmentState.delivered
    shipped = payload.get("is_shipped")
    if shipped is None:  # carts without labels only keep what has left
        return ShipmentState.shipped
    return ShipmentState.shipped if shipped is True else ShipmentState.pending


def _tracking(payload: JsonObject, fields: Fields) -> dict[str, Any]:
    """The first tracking number; further ones are kept in the raw record."""
    numbers = rows(payload, "tracking_numbers")
    first = numbers[0] if numbers else {}
    carrier = fields.text(payload, "shipment_provider")
    return {
        "carrier": carrier or fields.text(first, "carrier_id", "tracking_numbers[0]."),
        "tracking_number": fields.text(first, "tracking_number", "tracking_numbers[0]."),
        "tracking_url": fields.text(first, "tracking_link", "tracking_numbers[0]."),
    }


def _lines(payload: JsonObject, fields: Fields) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for position, row in enumerate(rows(payload, "items")):
        path = f"items[{position}]."
        found.append({
            "sku": fields.text(row, "model", path),
            "line_source_id": fields.text(row, "order_product_id", path),
            "quantity": count(row, "quantity", path),
        })  # fmt: skip
    return found
