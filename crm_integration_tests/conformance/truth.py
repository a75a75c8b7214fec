"""What a shop holds, by object type, told without any platform.

Prevents a listing from being compared with another listing: these tables read the emulator's
state itself. An object type that no table knows fails with the advice to enter it here.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from crm_integration.sandbox.shop_state import CartRecord, ShopState
from crm_integration.stores._contract import SourceObject, Window

_NUMBER = re.compile(r"(\d+)\D*$")


@dataclass(frozen=True)
class Truth:
    """`listed`: id -> time (epoch seconds) of what every listing must bring; `held`: ids that it
    may bring besides (a cart that has become an order, say)."""

    listed: Callable[[ShopState], Mapping[int, int]]
    held: Callable[[ShopState], Iterable[int]]
    parts: Callable[[ShopState, int], Iterable[int]] = lambda state, key: ()
    """Times of an object's parts: some stores move its own date with them, some do not."""

    def times(self, state: ShopState, key: int) -> set[int]:
        """The times that a store may give this object."""
        own = self.listed(state).get(key)
        return {*self.parts(state, key)} | ({own} if own is not None else set())


def _open_and_known(cart: CartRecord) -> bool:
    return cart.completed is None and bool(cart.customer_id or cart.person)


TRUTH: Mapping[str, Truth] = {
    "order": Truth(
        lambda s: {key: at for at, key in s.by_modified.pairs},
        lambda s: s.orders,
        lambda s, key: [one.modified for one in s.orders[key].shipments],
    ),
    "customer": Truth(
        lambda s: {one.id: one.modified for one in s.customers.values()}, lambda s: s.customers
    ),
    "product": Truth(
        lambda s: {one.id: one.modified for one in s.products.values()}, lambda s: s.products
    ),
    "refund": Truth(lambda s: {one.id: one.at for one in s.refunds.values()}, lambda s: s.refunds),
    "shipment": Truth(
        lambda s: {one.id: one.modified for one in s.shipments.values()}, lambda s: s.shipments
    ),
    "cart": Truth(
        lambda s: {one.id: one.modified for one in s.carts.values() if _open_and_known(one)},
        lambda s: s.carts,
        lambda s, key: [s.carts[key].modified],
    ),
}


def truth_of(object_type: str) -> Truth:
    assert object_type in TRUTH, f"enter object type {object_type!r} in conformance/truth.py"
    return TRUTH[object_type]


def number(source_id: str) -> int:
    """The shop's own number in a source id: `gid://shop/Order/7` and `7` are both 7."""
    found = _NUMBER.search(source_id)
    assert found is not None, f"{source_id!r} holds no number of the shop"
    return int(found[1])


def numbers(objects: Iterable[SourceObject]) -> set[int]:
    return {number(item.source_id) for item in objects}


def day_of(epoch: int) -> date:
    return datetime.fromtimestamp(epoch, UTC).date()


def epoch(day: date) -> int:
    """The first second of a UTC day."""
    return int(datetime.combine(day, time(), UTC).timestamp())


def within(times: Mapping[int, int], window: Window) -> set[int]:
    """The ids whose time lies in [start, end)."""
    return {key for key, at in times.items() if epoch(window.start) <= at < epoch(window.end)}


def one_day(day: date) -> Window:
    return Window(day, day + timedelta(days=1))
