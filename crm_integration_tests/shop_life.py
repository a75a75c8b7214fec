"""What happens around the orders of a shop, on any platform: parcels, carts, consent."""

from __future__ import annotations

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    ShipmentRecord,
)
from crm_integration_tests.served import Shop

MINUTE, HOUR = 60, 3_600


def says(shop: Shop, customer: int, state: str, level: str = "single") -> None:
    """The account holder decides about newsletters, now."""
    shop.now += MINUTE
    held = shop_edits.held_customer(shop.state, customer)
    held.consent = ConsentRecord(state, shop.now, level)
    held.modified = shop.now


def sends(shop: Shop, order: int, state: str = "shipped", number: int = 0) -> int:
    """The shop sends a parcel with all that was ordered (again: its state moves on)."""
    shop.now += HOUR
    held = shop_edits.held_order(shop.state, order)
    if number:
        parcel = shop.state.shipments[number]
        parcel.state, parcel.modified = state, shop.now
        parcel.delivered = shop.now if state == "delivered" else None
        shop.state.touch(held)
        return number
    parcel = ShipmentRecord(
        id=shop.state.next_id("shipment"),
        order_id=order,
        created=shop.now,
        modified=shop.now,
        state=state,
        carrier="DPD",
        tracking_number="ZZ123456789GB",
        lines=tuple((n, line.quantity) for n, line in enumerate(held.lines)),
    )
    shop.state.add_shipment(held, parcel)
    shop.state.touch(held)
    return parcel.id


def cancels(shop: Shop, order: int) -> None:
    """The order is called off."""
    shop.now += MINUTE
    shop_edits.edit_order(
        shop.state, shop_edits.held_order(shop.state, order), {"status": "cancelled"}
    )


def leaves_cart(shop: Shop, order: int) -> int:
    """The buyer of an earlier order fills a cart with the same things, and goes away."""
    shop.now += MINUTE
    held = shop_edits.held_order(shop.state, order)
    cart = CartRecord(
        id=shop.state.next_id("cart"),
        customer_id=held.customer_id,
        person=held.person,
        country=held.country,
        currency=held.currency,
        created=shop.now,
        modified=shop.now,
        lines=held.lines,
        total_minor=held.total_minor,
    )
    shop.state.carts[cart.id] = cart
    return cart.id


def buys_cart(shop: Shop, cart: int) -> int:
    """The cart becomes an order of its owner; returns the order's id."""
    held = shop.state.carts[cart]
    order = shop.order(held.customer_id)
    held.completed = held.modified = shop.now
    held.order_id = order
    return order
