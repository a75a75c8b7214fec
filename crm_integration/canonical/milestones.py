"""Milestones: what of an order and its parcels belongs on a person's timeline.

Prevents the timeline that repeats itself: each milestone is named by what it is about
(`order/17/paid`), so every later version of the order tells the same one again.
"""

from __future__ import annotations

from collections.abc import Iterator

from crm_integration.canonical.activities import Activity, ActivityKind
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import Order
from crm_integration.canonical.shipments import Shipment


def milestones(one: StoreObject) -> Iterator[Activity]:
    """The milestones that an accepted object has come to so far."""
    if isinstance(one, Order):
        yield from _of_order(one)
    elif isinstance(one, Shipment):
        yield from _of_shipment(one)


def _of_order(order: Order) -> Iterator[Activity]:
    reached = (
        (ActivityKind.order_placed, "placed", order.placed_at),
        (ActivityKind.order_paid, "paid", order.paid_at),
        (ActivityKind.order_cancelled, "cancelled", order.cancelled_at),
    )
    for kind, name, at in reached:
        if at is not None:
            yield Activity(
                source_id=f"order/{order.source_id}/{name}",
                source_time=order.source_time,
                kind=kind,
                occurred_at=at,
                order_source_id=order.source_id,
                number=order.number,
                currency=order.currency,
                amount_minor=order.total_minor,
            )
    if order.note:
        yield Activity(
            source_id=f"order/{order.source_id}/note",
            source_time=order.source_time,
            kind=ActivityKind.note,
            occurred_at=order.placed_at,
            order_source_id=order.source_id,
            number=order.number,
            body=order.note,
        )


def _of_shipment(parcel: Shipment) -> Iterator[Activity]:
    reached = (
        (ActivityKind.shipped, "shipped", parcel.shipped_at),
        (ActivityKind.delivered, "delivered", parcel.delivered_at),
    )
    for kind, name, at in reached:
        if at is not None:
            yield Activity(
                source_id=f"shipment/{parcel.source_id}/{name}",
                source_time=parcel.source_time,
                kind=kind,
                occurred_at=at,
                order_source_id=parcel.order_source_id,
                number=parcel.number,
            )
