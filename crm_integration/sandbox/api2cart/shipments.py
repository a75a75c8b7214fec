"""order.shipment.list and .info: parcels, one order at a time.

Prevents the belief that parcels come with orders: they do not, and a parcel does not move its
order's date either.
"""

from __future__ import annotations

from crm_integration.sandbox.api2cart.envelope import NOT_FOUND, Failure
from crm_integration.sandbox.api2cart.orders import product_id
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import View
from crm_integration.sandbox.shop_state import Json, OrderRecord, ShipmentRecord


def order_of(view: View, given: Given) -> OrderRecord:
    """The order named by its number (`order_id`).

    Raises:
        Failure: 112.
    """
    number = given.text("order_id") or ""
    order = view.numbers.find(number)
    if order is None:
        raise Failure(NOT_FOUND, f"Order with id {number} not found")
    return order


def parcels(order: OrderRecord, given: Given) -> list[ShipmentRecord]:
    """The order's parcels within the call's times, oldest first."""
    return [
        one for one in sorted(order.shipments, key=lambda one: (one.created, one.id))
        if given.covers(one.created, one.modified)
    ]  # fmt: skip


def parcel(order: OrderRecord, given: Given) -> ShipmentRecord:
    """Raises: Failure (112) where the order has no such parcel."""
    wanted = given.text("id")
    for one in order.shipments:
        if str(one.id) == wanted:
            return one
    raise Failure(NOT_FOUND, f"Shipment with id {wanted} not found")


def shipment_entity(view: View, order: OrderRecord) -> Entity[ShipmentRecord]:
    """The description's Shipment, with `name` and `delivered_at` as recorded today."""
    return Entity({
        "id": lambda one: str(one.id),
        "order_id": lambda one: order.number,
        "name": lambda one: None,
        "warehouse_id": lambda one: None,
        "shipment_provider": lambda one: one.carrier,
        "tracking_numbers": _tracking,
        "created_at": lambda one: view.time(one.created),
        "modified_time": lambda one: view.time(one.modified),
        "items": lambda one: _items(view, order, one),
        "is_shipped": lambda one: one.state in {"shipped", "delivered"},
        "delivered_at": lambda one: view.time(one.delivered),
        "additional_fields": lambda one: {"status": one.state},
        "custom_fields": lambda one: {},
    })  # fmt: skip


def _tracking(one: ShipmentRecord) -> list[Json]:
    if not one.tracking_number:
        return []
    return [{"carrier_id": one.carrier, "tracking_number": one.tracking_number}]


def _items(view: View, order: OrderRecord, one: ShipmentRecord) -> list[Json]:
    return [
        {
            "order_product_id": str(order.id_of_line(position)),
            "product_id": product_id(view, order.lines[position]),
            "model": order.lines[position].stock_code,
            "name": order.lines[position].description or order.lines[position].stock_code,
            "price": order.lines[position].unit_price,
            "quantity": quantity,
            "variant_id": None,
        }
        for position, quantity in one.lines
        if position < len(order.lines)
    ]
