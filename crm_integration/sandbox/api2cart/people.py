"""Customers: accounts by default, the guests of orders only when asked for.

Prevents the contact list that misses every guest: `include_guests` is false by default, and a
guest has no id.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import cast

from crm_integration.sandbox.api2cart.addresses import address
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import INVENTED, View
from crm_integration.sandbox.shop_rendering import billing_of, customer_json
from crm_integration.sandbox.shop_state import (
    ConsentRecord,
    CustomerRecord,
    Json,
    OrderRecord,
    ShopState,
)

SORTS = {
    "created_time": "created", "modified_time": "modified", "id": "id",
}  # fmt: skip
_LEVELS = {"single": "single_opt_in", "confirmed": "confirmed_opt_in", "unknown": "unknown"}
_STATES = {"never_asked": "not_subscribed"}


@dataclass(frozen=True, slots=True)
class Person:
    """An account, or what a guest's orders tell of them (then `id` is 0); epoch seconds."""

    id: int
    created: int
    modified: int
    account: CustomerRecord | None = None
    order: OrderRecord | None = None


def people(view: View, given: Given) -> list[Person]:
    """Everyone a call means, unsorted."""
    found: Iterable[Person] = [
        Person(one.id, one.created, one.modified, account=one)
        for one in view.shop.customers.values()
    ]
    if given.flag("include_guests"):
        found = [*found, *guests(view.shop)]
    if given.flag("avail") is False:
        return []
    ids, since = given.several("ids"), given.number("since_id")
    return [
        one for one in found
        if given.covers(one.created, one.modified)
        and (ids is None or str(one.id) in ids)
        and (since is None or one.id > since)
    ]  # fmt: skip


def guests(shop: ShopState) -> list[Person]:
    """Who ordered without an account, one for each e-mail; who gave none cannot be told apart."""
    found: dict[str, Person] = {}
    for order in shop.orders.values():
        if order.customer_id or order.status == "trash":
            continue
        email = str(billing_of(shop, order)["email"]).lower()
        if not email:
            continue
        known = found.get(email) or Person(0, order.created, order.modified, order=order)
        found[email] = replace(
            known,
            created=min(known.created, order.created),
            modified=max(known.modified, order.modified),
        )
    return list(found.values())


def ordered(found: list[Person], sort: str, *, descending: bool) -> list[Person]:
    """By the sort, then by id; guests by the id of their first order."""
    found.sort(
        key=lambda one: (
            {"created": one.created, "modified": one.modified, "id": 0}[sort],
            one.id or (one.order.id if one.order else 0),
        ),
        reverse=descending,
    )
    return found


def customer_entity(view: View) -> Entity[Person]:
    """The description's Customer, and what is documented today beside it."""

    known: dict[tuple[int, int], Json] = {}

    def said(one: Person) -> Json:
        """What the shop itself says of them, put together once for all fields."""
        key = (one.id, one.order.id if one.order else 0)
        if key not in known:
            known[key] = _said(view.shop, one)
        return known[key]

    return Entity({
        "id": lambda one: str(one.id) if one.id else "",
        "email": lambda one: said(one)["email"],
        "first_name": lambda one: said(one)["first_name"],
        "last_name": lambda one: said(one)["last_name"],
        "phone": lambda one: said(one)["billing"].get("phone", ""),
        "created_time": lambda one: view.time(one.created),
        "modified_time": lambda one: view.time(one.modified),
        "group": lambda one: [],
        "login": lambda one: said(one)["username"],
        "last_login": lambda one: None,
        "birth_day": lambda one: None,
        "status": lambda one: "enabled",
        "is_guest": lambda one: one.account is None,
        "news_letter_subscription": _subscribed,
        "consents": lambda one: _consents(view, one),
        "gender": lambda one: None,
        "stores_ids": lambda one: ["1"],
        "website": lambda one: None,
        "fax": lambda one: None,
        "company": lambda one: said(one)["billing"].get("company", ""),
        "ip_address": lambda one: None,
        "address_book": lambda one: [_address(one, said(one))],
        "lang_id": lambda one: None,
        "orders_count": lambda one: None,
        "last_order_id": lambda one: None,
        "additional_fields": lambda one: {},
        "custom_fields": lambda one: dict(INVENTED),
    })  # fmt: skip


def _said(shop: ShopState, one: Person) -> Json:
    if one.account is not None:
        return customer_json(shop, one.account)
    billing = billing_of(shop, cast(OrderRecord, one.order))
    return {**billing, "billing": billing, "username": ""}


def _address(one: Person, said: Json) -> Json:
    held = cast(Json, {**said["billing"], "address_2": said["billing"].get("address_2", "")})
    country = (one.account or cast(OrderRecord, one.order)).country
    return address(held, "billing", f"{one.id}-billing" if one.id else "", country)


def _consent(one: Person) -> ConsentRecord | None:
    return one.account.consent if one.account is not None else None


def _subscribed(one: Person) -> bool | None:
    """null where the shop holds nothing; pending and never asked are no subscription."""
    consent = _consent(one)
    return None if consent is None else consent.state == "subscribed"


def _consents(view: View, one: Person) -> list[Json]:
    """One entry for e-mail; its time is a bare string, not a {value, format}."""
    consent = _consent(one)
    if consent is None:
        return []
    at = view.time(consent.at)
    return [{
        "id": None,
        "type": "email",
        "status": _STATES.get(consent.state, consent.state),
        "source": None,
        "opt_in_level": _LEVELS.get(consent.level, consent.level),
        "modified_time": at["value"] if at else None,
    }]  # fmt: skip
