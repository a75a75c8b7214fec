"""An order's refunds and parcels, which Shopify keeps within the order.

Prevents money and goods that moved from being seen only as a state of the order.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.shipments import Shipment, ShipmentState
from crm_integration.stores._amounts import known_currency, whole_number
from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._payload import Reading, block, checked, moment, optional_moment, rows
from crm_integration.stores.shopify.fields import (
    items_in,
    nested_rows,
    required_id,
    shop_currency,
    shop_money,
)
from crm_integration.stores.shopify.order_payload import (
    customer_identity,
    guest,
    is_credit,
    order,
    order_number,
)

_DISPLAYED = {
    "CANCELED": ShipmentState.cancelled,
    "LABEL_VOIDED": ShipmentState.cancelled,
    "FAILURE": ShipmentState.failed,
    "NOT_DELIVERED": ShipmentState.failed,
    "DELIVERED": ShipmentState.delivered,
    "PICKED_UP": ShipmentState.delivered,
    "LABEL_PRINTED": ShipmentState.pending,
    "LABEL_PURCHASED": ShipmentState.pending,
    "SUBMITTED": ShipmentState.pending,
    "CONFIRMED": ShipmentState.pending,
    "READY_FOR_PICKUP": ShipmentState.pending,
    "FULFILLED": ShipmentState.shipped,
    "MARKED_AS_FULFILLED": ShipmentState.shipped,
    "CARRIER_PICKED_UP": ShipmentState.shipped,
    "IN_TRANSIT": ShipmentState.shipped,
    "OUT_FOR_DELIVERY": ShipmentState.shipped,
    "ATTEMPTED_DELIVERY": ShipmentState.shipped,
    "DELAYED": ShipmentState.shipped,
}
_STATUSES = {
    "CANCELLED": ShipmentState.cancelled,
    "ERROR": ShipmentState.failed,
    "FAILURE": ShipmentState.failed,
    "OPEN": ShipmentState.pending,
    "PENDING": ShipmentState.pending,
    "SUCCESS": ShipmentState.shipped,
}
_LEFT = (ShipmentState.shipped, ShipmentState.delivered, ShipmentState.failed)


def order_objects(payload: JsonObject, context: StoreContext) -> Iterator[StoreObject]:
    """The guest, the order (unless it stands for a credit), its refunds, its parcels."""
    if customer_identity(payload)[0] == "guest":
        yield guest(payload)
    credit = is_credit(payload, context)
    if not credit:
        yield order(payload)
    for position, row in enumerate(rows(payload, "refunds")):
        yield _refund(payload, row, f"refunds[{position}].", credit=credit)
    if not credit:
        for position, row in enumerate(rows(payload, "fulfillments")):
            yield _shipment(payload, row, f"fulfillments[{position}].")


def _refund(payload: JsonObject, row: JsonObject, path: str, *, credit: bool) -> StoreObject:
    """`createdAt` is null while a refund is pending: then it counts from when it was processed."""
    reading = Reading()
    stated = shop_currency(row, "totalRefundedSet", path)
    currency = known_currency(stated, f"{path}totalRefundedSet.shopMoney.currencyCode")
    amount = shop_money(row, "totalRefundedSet", currency, path)
    if amount <= 0:
        reading.flag("refund_not_positive")
    source_id = required_id(row, path)
    refunded_at = moment(row, "createdAt", "processedAt", path=path)
    return checked(Refund, {
        "source_id": source_id,
        "source_time": optional_moment(row, "updatedAt", path) or refunded_at,
        "refunded_at": refunded_at,
        "currency": currency,
        "amount_minor": amount,
        "reason": reading.text(row, "note", path),
        **_belongs_to(payload, source_id, reading, credit=credit),
        "flags": reading.flags,
    })  # fmt: skip


def _belongs_to(
    payload: JsonObject, source_id: str, reading: Reading, *, credit: bool
) -> dict[str, Any]:
    if not credit:
        return {"order_source_id": required_id(payload), "number": source_id}
    kind, customer = customer_identity(payload)
    return {
        "customer_kind": kind,
        "customer_source_id": customer,
        "number": order_number(payload, reading),
    }


def _shipment(payload: JsonObject, row: JsonObject, path: str) -> StoreObject:
    reading = Reading()
    delivered_at = optional_moment(row, "deliveredAt", path)
    state = _state(reading, row, path, delivered_at)
    created = moment(row, "createdAt", path=path)
    tracked = (rows(row, "trackingInfo", path) or [dict[str, Any]()])[0]
    return checked(Shipment, {
        "source_id": required_id(row, path),
        "source_time": optional_moment(row, "updatedAt", path) or created,
        "order_source_id": required_id(payload),
        "number": reading.text(row, "name", path).removeprefix("#"),
        "state": state,
        "shipped_at": created if state in _LEFT else None,
        "delivered_at": delivered_at,
        "carrier": reading.text(tracked, "company", path),
        "tracking_number": reading.text(tracked, "number", path),
        "tracking_url": reading.text(tracked, "url", path),
        "lines": _parcel_lines(reading, payload, row, path),
        "flags": reading.flags,
    })  # fmt: skip


def _state(
    reading: Reading, row: JsonObject, path: str, delivered_at: datetime | None
) -> ShipmentState:
    """What is displayed says more than the status, unless the status says that it failed."""
    status, shown = (reading.text(row, name, path) for name in ("status", "displayStatus"))
    state = _STATUSES.get(status)
    if state is ShipmentState.cancelled or state is ShipmentState.failed:
        return state
    if delivered_at is not None:
        return ShipmentState.delivered
    if state is None or (shown and shown not in _DISPLAYED):
        reading.flag("shipment_status_unknown")
    return _DISPLAYED.get(shown) or state or ShipmentState.pending


def _parcel_lines(
    reading: Reading, payload: JsonObject, row: JsonObject, path: str
) -> list[dict[str, Any]]:
    """The lines as they were read; those of the order for a parcel that holds all of it."""
    listed = nested_rows(row, "fulfillmentLineItems", path)
    if listed:
        place = f"{path}fulfillmentLineItems.nodes."
        return [_parcel_line(reading, block(line, "lineItem", place), line) for line in listed]
    ordered = nested_rows(payload, "lineItems")
    if row.get("totalQuantity") != items_in(ordered):
        return []
    return [_parcel_line(reading, line, line) for line in ordered]


def _parcel_line(reading: Reading, line: JsonObject, counted: JsonObject) -> dict[str, Any]:
    return {
        "sku": reading.text(line, "sku"),
        "line_source_id": required_id(line, "lineItem."),
        "quantity": max(0, whole_number(counted, "quantity")),
    }
