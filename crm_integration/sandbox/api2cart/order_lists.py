"""Which orders a call means, in which order, and which of them are on the page.

Prevents two failures of an emulator: a snapshot that hides rows lost to an edit in mid-scan, and
a page that reads the whole shop.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable
from dataclasses import dataclass

from crm_integration.sandbox.api2cart.addresses import iso3_of
from crm_integration.sandbox.api2cart.envelope import Stretch
from crm_integration.sandbox.api2cart.orders import (
    STATUSES,
    financial_status,
    fulfillment_status,
)
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.view import View
from crm_integration.sandbox.shop_rendering import billing_of
from crm_integration.sandbox.shop_state import OrderRecord, ShopState, SortedIds

#: Words of sort_by -> index of the shop. An order's number follows its id in these shops.
SORTS = {
    "order_id": "id", "id": "id", "create_at": "created", "created_at": "created",
    "modified_at": "modified", "modified": "modified",
}  # fmt: skip
DIRECTIONS = {"asc": "asc", "desc": "desc"}
_HIGHEST = 2**63
_PLAIN_TESTS: dict[str, Callable[[OrderRecord, str], bool]] = {
    "customer_id": lambda order, value: str(order.customer_id or "") == value,
    "order_status": lambda order, value: value in {order.status, STATUSES.get(order.status)},
    "financial_status": lambda order, value: financial_status(order) == value,
    "fulfillment_status": lambda order, value: fulfillment_status(order) == value,
    "shipping_country_iso3": lambda order, value: iso3_of(order.country) == value,
    "currency_id": lambda order, value: order.currency == value,
}
Check = Callable[[OrderRecord], bool]


@dataclass(frozen=True, slots=True)
class _Range:
    """A stretch of one index, and the tests it has not answered."""

    sort: str
    pairs: list[tuple[int, int]]
    low: int
    high: int
    checks: list[Check]


def count_orders(view: View, given: Given) -> int:
    """How many orders a call means."""
    found = _range(view, given, "id")
    if not found.checks:
        return found.high - found.low
    return len(_kept(view.shop, found))


def order_page(view: View, given: Given) -> tuple[list[OrderRecord], Stretch]:
    """The page of order.list, rows as they lie now.

    Raises:
        Failure: 109 for a sort that there is not.
    """
    sort = given.one_of("sort_by", SORTS, "order_id")
    descending = given.one_of("sort_direction", DIRECTIONS, "asc") == "desc"
    found = _range(view, given, sort)
    if found.checks or found.sort != sort:
        keys = _kept(view.shop, found)
        if found.sort != sort:
            keys.sort(key=lambda key: (_sorted_by(view.shop.orders[key], sort), key))
        page = _slice(len(keys), given, descending, lambda at: keys[at])
    else:
        low = found.low
        page = _slice(found.high - low, given, descending, lambda at: found.pairs[low + at][1])
    orders = [view.shop.orders[key] for key in page[0]]
    return orders, page[1]


def _slice(
    size: int, given: Given, descending: bool, at: Callable[[int], int]
) -> tuple[list[int], Stretch]:
    start, end = min(given.start, size), min(given.start + given.count, size)
    places = range(size - 1 - start, size - 1 - end, -1) if descending else range(start, end)
    return [at(place) for place in places], Stretch(given.start, given.count, end < size)


def _sorted_by(order: OrderRecord, sort: str) -> int:
    return {"id": order.id, "created": order.created, "modified": order.modified}[sort]


def _kept(shop: ShopState, found: _Range) -> list[int]:
    orders, checks = shop.orders, found.checks
    keys = [key for _, key in found.pairs[found.low : found.high]]
    return [key for key in keys if all(check(orders[key]) for check in checks)]


def _range(view: View, given: Given, sort: str) -> _Range:
    named = _named(view, given)
    if named is not None:
        return _Range("id", named, 0, len(named), _checks(view, given, "ids"))
    index_name = _narrowest(given, sort)
    index: SortedIds = {
        "modified": view.shop.by_modified, "created": view.shop.by_created,
    }.get(index_name, view.shop.by_id)  # fmt: skip
    first, last = _bounds(given, index_name)
    low = bisect_left(index.pairs, (first, -1)) if first is not None else 0
    high = bisect_right(index.pairs, (last, _HIGHEST)) if last is not None else len(index.pairs)
    return _Range(index_name, index.pairs, low, max(low, high), _checks(view, given, index_name))


def _narrowest(given: Given, sort: str) -> str:
    """The index whose bounds are given, the sort's own first."""
    bounded = [name for name in (sort, "modified", "created", "id") if any(_bounds(given, name))]
    return bounded[0] if bounded else sort


def _bounds(given: Given, name: str) -> tuple[int | None, int | None]:
    """First and last time (both inclusive), or id; since_id starts behind the id."""
    if name == "id":
        since = given.number("since_id")
        return (None if since is None else since + 1), None
    return given.time(f"{name}_from"), given.time(f"{name}_to")


def _named(view: View, given: Given) -> list[tuple[int, int]] | None:
    """The orders named by `ids`, `order_ids` or `is_deleted`, by id; None where none is named."""
    shop = view.shop
    ids, numbers = given.several("ids"), given.several("order_ids")
    if given.flag("is_deleted"):
        keys = {key for key, order in shop.orders.items() if order.status == "trash"}
    elif ids is not None:
        keys = {int(text) for text in ids if text.isascii() and text.isdigit()}
    elif numbers is not None:
        held = (view.numbers.find(number) for number in numbers)
        keys = {order.id for order in held if order is not None}
    else:
        return None
    trashed = bool(given.flag("is_deleted"))
    return [
        (key, key)
        for key in sorted(keys)
        if key in shop.orders and (shop.orders[key].status == "trash") == trashed
    ]


def _checks(view: View, given: Given, answered: str) -> list[Check]:
    """The tests that are left when index `answered` has done its part."""
    checks: list[Check] = []
    for name in ("modified", "created", "id"):
        first, last = _bounds(given, name)
        if name != answered and (first is not None or last is not None):
            checks.append(_within(name, first, last))
    for name, test in _PLAIN_TESTS.items():
        value = given.text(name)
        if value is not None:
            checks.append(_plain(test, value))
    if answered == "ids":
        checks.extend(_also_named(given))
    return checks + _set_checks(given) + _contact_checks(view, given)


def _within(sort: str, first: int | None, last: int | None) -> Check:
    low, high = first if first is not None else -_HIGHEST, last if last is not None else _HIGHEST
    return lambda order: low <= _sorted_by(order, sort) <= high


def _plain(test: Callable[[OrderRecord, str], bool], value: str) -> Check:
    return lambda order: test(order, value)


def _also_named(given: Given) -> list[Check]:
    """Where several of them name orders, an order must be named by each."""
    ids, numbers = given.several("ids"), given.several("order_ids")
    checks: list[Check] = []
    if ids is not None:
        checks.append(lambda order: str(order.id) in ids)
    if numbers is not None:
        checks.append(lambda order: order.number in numbers)
    return checks


def _set_checks(given: Given) -> list[Check]:
    statuses, skipped = given.several("order_status_ids"), given.several("skip_order_ids")
    checks: list[Check] = []
    if statuses is not None:
        checks.append(lambda order: order.status in statuses)
    if skipped is not None:
        checks.append(lambda order: order.number not in skipped)
    return checks


def _contact_checks(view: View, given: Given) -> list[Check]:
    checks: list[Check] = []
    email, phone = given.text("customer_email"), given.text("phone")
    if email is not None:
        wanted = email.lower()
        checks.append(lambda order: billing_of(view.shop, order)["email"].lower() == wanted)
    if phone is not None:
        checks.append(lambda order: billing_of(view.shop, order)["phone"] == phone)
    return checks
