"""order.abandoned.list: carts that have not become orders.

Prevents the cart reminder sent after the purchase: a completed cart leaves the list at once, and
says nowhere that it was completed.
"""

from __future__ import annotations

from crm_integration.sandbox.api2cart.orders import line_item
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import INVENTED, View, amount
from crm_integration.sandbox.identities import invented
from crm_integration.sandbox.shop_rendering import customer_json
from crm_integration.sandbox.shop_state import CartRecord, Json

_NOBODY: Json = dict.fromkeys(("id", "email", "first_name", "last_name", "phone"), "")


def open_carts(view: View, given: Given) -> list[CartRecord]:
    """The carts a call means, by id."""
    email = (given.text("customer_email") or "").lower()
    customer = given.text("customer_id")
    return [
        cart for _, cart in sorted(view.shop.carts.items())
        if cart.completed is None
        and given.covers(cart.created, cart.modified)
        and (customer is None or str(cart.customer_id or "") == customer)
        and (not email or cart_customer(view, cart)["email"].lower() == email)
        and not (given.flag("skip_empty_email") and not cart_customer(view, cart)["email"])
    ]  # fmt: skip


def cart_customer(view: View, cart: CartRecord) -> Json:
    """The account, the person who typed an e-mail, or nobody."""
    account = view.shop.customers.get(cart.customer_id)
    if account is not None:
        held = customer_json(view.shop, account)
        names = {name: held[name] for name in ("email", "first_name", "last_name")}
        return {"id": str(account.id), **names, "phone": held["billing"].get("phone", "")}
    if not cart.person:
        return dict(_NOBODY)
    who = invented(view.shop.settings.seed, cart.person)
    return {**_NOBODY, "email": who.email, "first_name": who.first_name, "last_name": who.last_name}


def cart_entity(view: View) -> Entity[CartRecord]:
    """The description's OrderAbandoned; `params` calls its lines `items`."""
    return Entity(
        {
            "id": lambda one: str(one.id),
            "customer": lambda one: cart_customer(view, one),
            "basket_id": lambda one: str(one.id),
            "basket_url": lambda one: None,
            "created_at": lambda one: view.time(one.created),
            "modified_at": lambda one: view.time(one.modified),
            "currency": lambda one: view.currency(one.currency),
            "totals": _totals,
            "order_products": lambda one: [
                line_item(view, line, one.id * 1_000 + position + 1, one.currency)
                for position, line in enumerate(one.lines)
            ],
            "additional_fields": lambda one: {},
            "custom_fields": lambda one: dict(INVENTED),
        },
        {"items": ("order_products",)},
    )


def _totals(cart: CartRecord) -> Json:
    total = amount(cart.total_minor, cart.currency)
    return {"total": total, "subtotal": total, "shipping": 0, "tax": 0, "discount": 0}
