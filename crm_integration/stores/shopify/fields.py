"""Reads the blocks that Shopify's types share: money bags, addresses, ids.

Prevents each type from reading them a little differently.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from crm_integration.stores._amounts import decimal, money
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._payload import Reading, block, block_if_any, rows
from crm_integration.stores._payload import required_id as required
from crm_integration.stores.shopify.objects import tail

_ADDRESS = (
    ("firstName", "first_name"),
    ("lastName", "last_name"),
    ("company", "company"),
    ("address1", "line1"),
    ("address2", "line2"),
    ("city", "city"),
    ("zip", "postcode"),
    ("phone", "phone"),
)


def required_id(holder: JsonObject, path: str = "") -> str:
    """The number of the object's gid. Raises Unreadable `no_id`."""
    return required(tail(holder.get("id")), f"{path}id", "gid://shopify/<type>/<number>")


def optional_id(holder: JsonObject, name: str) -> str | None:
    """The number of a linked object's gid; None where nothing is linked (any more)."""
    return tail(block_if_any(holder, name).get("id"))


def shop_money(holder: JsonObject, name: str, currency: str, path: str = "") -> int:
    """A money bag in the shop's currency, in minor units; null is 0. Raises Unreadable."""
    if holder.get(name) is None:
        return 0
    amount = shop_amount(holder, name, path)
    return money(amount, currency, f"{path}{name}.shopMoney.amount")


def shop_amount(holder: JsonObject, name: str, path: str = "") -> Any:
    """The amount of a money bag as it came (a decimal text)."""
    bag = block(holder, name, path)
    return block(bag, "shopMoney", f"{path}{name}.").get("amount")


def shop_currency(holder: JsonObject, name: str, path: str = "") -> Any:
    """The currency of a money bag as it came."""
    bag = block(holder, name, path)
    return block(bag, "shopMoney", f"{path}{name}.").get("currencyCode")


def sum_of(holder: JsonObject, listed: str, bag: str, currency: str, path: str) -> int:
    """The sum of the same money bag over a list, in minor units."""
    return sum(
        shop_money(row, bag, currency, f"{path}{listed}[{number}].")
        for number, row in enumerate(rows(holder, listed, path))
    )


def nested_rows(holder: JsonObject, name: str, path: str = "") -> list[JsonObject]:
    """The nodes of a connection; a missing one counts as empty. Raises Unreadable."""
    return rows(block(holder, name, path), "nodes", f"{path}{name}.")


def unit_price(row: JsonObject, path: str) -> Decimal:
    """The price of one item in major units, as the store gave it."""
    amount = shop_amount(row, "originalUnitPriceSet", path)
    return decimal(amount, f"{path}originalUnitPriceSet.shopMoney.amount")


def items_in(lines: Iterable[JsonObject]) -> int:
    """How many items order lines hold; a line without a number counts as none."""
    counts = (line.get("quantity") for line in lines)
    return sum(count for count in counts if isinstance(count, int))


def address(reading: Reading, holder: JsonObject, name: str, kind: str) -> dict[str, Any] | None:
    """A mailing address as values of an Address; None if it holds nothing."""
    found = block(holder, name)
    path = f"{name}."
    values = {ours: reading.text(found, theirs, path) for theirs, ours in _ADDRESS}
    values["region"] = reading.text(found, "provinceCode", path) or reading.text(
        found, "province", path
    )
    return reading.address(kind, values, reading.text(found, "countryCodeV2", path))
