"""What an order's payload says of itself in more than one place: id, customer, currency, mark.

Prevents order, guest and refund of one payload from disagreeing about whose they are.
"""

from __future__ import annotations

from typing import Any, cast

from crm_integration.stores._amounts import known_currency
from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._payload import required_id
from crm_integration.stores._php import section
from crm_integration.stores.api2cart.fields import Fields
from crm_integration.stores.api2cart.methods import ORDER
from crm_integration.stores.api2cart.objects import id_text, identity

TIME_OF_ORDER = "time_of_order"
"""Flag of what states no time of its own."""


def order_id(payload: JsonObject) -> str:
    """The order's identity. Raises Unreadable `no_id`."""
    return required_id(identity(ORDER, payload), "id", "an order id")


def customer_identity(payload: JsonObject) -> tuple[str, str]:
    """(`registered`, account id) or (`guest`, the order's own id)."""
    account = id_text(section(payload, "customer").get("id"))
    return ("registered", account) if account else ("guest", order_id(payload))


def is_credit(payload: JsonObject, context: StoreContext) -> bool:
    """True for an order that stands for refunds without an order, by the tenant's setting.

    The mark is looked for in `tags` of additional_fields and custom_fields, as one tag or among
    several; never in the comment, which shoppers write.
    """
    tag = context.settings.get("credit_without_order_tag")
    return bool(tag) and any(
        tag in _tags(section(payload, holder).get("tags"))
        for holder in ("additional_fields", "custom_fields")
    )


def order_number(payload: JsonObject, fields: Fields) -> str:
    """What people call the order: `order_id`, on many carts another one than `id`."""
    return fields.text(payload, "order_id") or order_id(payload)


def order_currency(payload: JsonObject) -> str:
    """An order's amounts are in its own currency, never in a guessed one."""
    return known_currency(section(payload, "currency").get("iso3"), "currency.iso3")


def _tags(value: Any) -> list[str]:
    if isinstance(value, str):
        return [part.strip() for part in value.split(",")]
    listed = cast(list[Any], value) if isinstance(value, list) else []
    return [part for part in listed if isinstance(part, str)]
