"""All that the CRM of one tenant must hold, from the state of its shop.

Prevents an oracle that follows the engine's own steps: it goes from people to what they did, never
through payloads, versions or ledgers.
"""

from __future__ import annotations

from typing import Any

from crm_integration_tests.oracle.street import trade
from crm_integration_tests.oracle.street.expected import Books
from crm_integration_tests.oracle.street.people import companies, contact, everybody

Json = dict[str, Any]


def books_of(tenant: Json, opted_out: frozenset[str], twice: frozenset[str]) -> Books:
    """`opted_out` and `twice`: e-mails in small letters. Who stands twice in the CRM has no
    contact of ours: a person must say which is the right one."""
    books, platform, shop = Books(), tenant["platform"], tenant["shop"]
    people = everybody(tenant)
    owners = {one.email: frozenset([("contacts", one.email)]) for one in people}
    owners |= {email: frozenset() for email in twice}
    books.add(companies(people))
    books.add(contact(tenant, one, one.email in opted_out) for one in people)
    for email in twice:
        books.records.pop(("contacts", email), None)
    accounts = {one["id"]: one["fields"]["email"].strip().lower() for one in shop["accounts"]}
    orders = {one.email: list(one.orders) for one in people}
    for order in shop["orders"]:
        owner = owners[accounts.get(order["customer_id"]) or _typed(order)]
        if not order["credit"]:
            books.add([trade.order(platform, order, owner)])
            books.add(trade.activities(platform, order, owner))
        books.add(trade.refunds(platform, order, owner))
    for cart in shop["carts"]:
        email = accounts.get(cart["customer_id"])
        email = email or (cart["lead"] or {"email": ""})["email"].strip().lower()
        books.add([trade.cart(platform, cart, owners[email], orders[email])])
    books.add(trade.product(one) for one in shop["products"])
    return books


def _typed(order: Json) -> str:
    return str(order["billing"]["email"]).strip().lower()
