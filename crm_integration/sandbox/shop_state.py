"""What one shop holds: orders, refunds, customers, products, and the indexes its lists need.

Prevents the failure of an emulator that forgets: an edit here moves dates, lists and totals as
on the recorded WooCommerce, so that a connector which loses rows in mid-scan is seen losing them.
"""

from __future__ import annotations

import time
from bisect import bisect_left, insort
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from crm_integration.sandbox.identities import stable_number
from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.token_desk import TokenDesk

Json = dict[str, Any]
#: Ids given to what is made over REST, beyond every id an order book can give.
_FIRST_REST_ORDER = 60_000_000
_FIRST_REST_CUSTOMER = 90_000_000
_FIRST_PRODUCT, _PRODUCT_SPACE = 100_000_000, 1_900_000_000
_FIRST_SHIPMENT, _FIRST_CART = 50_000_000, 80_000_000


@dataclass(slots=True)
class RefundRecord:
    """A refund; `amount_minor` is positive where money went back."""

    id: int
    order_id: int
    at: int
    amount_minor: int
    reason: str
    lines: tuple[Line, ...] = ()

    @property
    def created(self) -> int:
        """A refund is made once and never edited."""
        return self.at

    modified = created


@dataclass(slots=True)
class ShipmentRecord:
    """A parcel of an order. `lines` are (position in the order, quantity); times epoch seconds.

    `state`: pending, shipped, delivered or cancelled.
    """

    id: int
    order_id: int
    created: int
    modified: int
    state: str
    carrier: str
    tracking_number: str
    lines: tuple[tuple[int, int], ...]
    delivered: int | None = None


@dataclass(slots=True)
class OrderRecord:
    """An order as the shop keeps it; times are epoch seconds. `billing` None: the invented one."""

    id: int
    number: str
    status: str
    currency: str
    created: int
    modified: int
    customer_id: int
    person: str
    country: str
    lines: tuple[Line, ...]
    total_minor: int
    created_via: str = "checkout"
    readable: bool = True
    meta: tuple[tuple[str, Any], ...] = ()
    line_ids: tuple[int, ...] | None = None
    refunds: list[RefundRecord] = field(default_factory=list[RefundRecord])
    shipments: list[ShipmentRecord] = field(default_factory=list[ShipmentRecord])
    billing: Json | None = None
    customer_note: str = ""

    @property
    def refunded_minor(self) -> int:
        return sum(refund.amount_minor for refund in self.refunds)

    def id_of_line(self, position: int) -> int:
        """A line's id stays with the line; without an edit it follows from the position."""
        return self.line_ids[position] if self.line_ids else self.id * 10_000 + position + 1


@dataclass(frozen=True, slots=True)
class ConsentRecord:
    """What an account said about marketing mail, and when (epoch seconds).

    `state`: subscribed, unsubscribed, pending or never_asked; `level`: single, confirmed or
    unknown.
    """

    state: str
    at: int | None
    level: str = "single"


@dataclass(slots=True)
class CustomerRecord:
    """An account; `fields` holds what was written over REST on top of the invented identity."""

    id: int
    person: str
    country: str
    created: int
    modified: int
    fields: Json = field(default_factory=dict[str, Any])
    consent: ConsentRecord | None = None


@dataclass(slots=True)
class CartRecord:
    """A cart with an account (`customer_id`) or an e-mail typed by `person`; 0 and "" are nobody.

    `completed` and `order_id` are set when it became an order.
    """

    id: int
    customer_id: int
    person: str
    country: str
    currency: str
    created: int
    modified: int
    lines: tuple[Line, ...]
    total_minor: int
    completed: int | None = None
    order_id: int | None = None


@dataclass(slots=True)
class ProductRecord:
    """One product for one exact stock code."""

    id: int
    sku: str
    name: str
    price_minor: int
    created: int
    modified: int


@dataclass(frozen=True, slots=True)
class ShopSettings:
    """How this shop is set up; `public_url` is what it writes in links (never its real host).

    `consumer_key` and `consumer_secret` are the two secrets of whatever kind of shop it is
    (`shop_kinds.py` says which is what).
    """

    name: str
    consumer_key: str
    consumer_secret: str
    public_url: str
    seed: int = 7
    utc_offset_minutes: int = 0
    currency: str = "GBP"


class SortedIds:
    """(time, id) pairs in order; adding and removing one is a bisect."""

    def __init__(self) -> None:
        self.pairs: list[tuple[int, int]] = []

    def rebuild(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.pairs = sorted(pairs)

    def add(self, at: int, key: int) -> None:
        insort(self.pairs, (at, key))

    def remove(self, at: int, key: int) -> None:
        position = bisect_left(self.pairs, (at, key))
        if position < len(self.pairs) and self.pairs[position] == (at, key):
            del self.pairs[position]


class ShopState:
    """All of one shop. Bulk filling calls `reindex` at its end; single edits keep the indexes."""

    def __init__(self, settings: ShopSettings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self._clock = clock
        self.orders: dict[int, OrderRecord] = {}
        self.refunds: dict[int, RefundRecord] = {}
        self.customers: dict[int, CustomerRecord] = {}
        self.products: dict[int, ProductRecord] = {}
        self.product_ids: dict[str, int] = {}
        self.shipments: dict[int, ShipmentRecord] = {}
        self.carts: dict[int, CartRecord] = {}
        self.webhooks: dict[int, Json] = {}
        self.desk: TokenDesk | None = None
        """Where an app's tokens come from, in a shop that has such an app."""
        self.by_modified, self.by_created, self.by_id = SortedIds(), SortedIds(), SortedIds()
        self._next = {
            "order": _FIRST_REST_ORDER,
            "customer": _FIRST_REST_CUSTOMER,
            "webhook": 1,
            "shipment": _FIRST_SHIPMENT,
            "cart": _FIRST_CART,
        }

    def now(self) -> int:
        return int(self._clock())

    def next_id(self, kind: str) -> int:
        self._next[kind] += 1
        return self._next[kind] - 1

    def reindex(self) -> None:
        """Rebuild the lists' indexes; trash is not listed."""
        listed = [order for order in self.orders.values() if order.status != "trash"]
        self.by_modified.rebuild((order.modified, order.id) for order in listed)
        self.by_created.rebuild((order.created, order.id) for order in listed)
        self.by_id.rebuild((order.id, order.id) for order in listed)

    def insert_order(self, order: OrderRecord) -> OrderRecord:
        self.orders[order.id] = order
        self.by_modified.add(order.modified, order.id)
        self.by_created.add(order.created, order.id)
        self.by_id.add(order.id, order.id)
        return order

    def touch(self, order: OrderRecord) -> None:
        """Move date_modified to now, as any saved edit, refund or meta change does."""
        self.by_modified.remove(order.modified, order.id)
        order.modified = self.now()
        self.by_modified.add(order.modified, order.id)

    def trash(self, order: OrderRecord) -> None:
        self._unlist(order)
        order.status, order.modified = "trash", self.now()

    def delete_order(self, order: OrderRecord) -> None:
        """Gone for good: a read by id answers 404 and nothing tells of it."""
        self._unlist(order)
        del self.orders[order.id]
        for refund in order.refunds:
            self.refunds.pop(refund.id, None)

    def _unlist(self, order: OrderRecord) -> None:
        self.by_modified.remove(order.modified, order.id)
        self.by_created.remove(order.created, order.id)
        self.by_id.remove(order.id, order.id)

    def add_refund(self, order: OrderRecord, refund: RefundRecord) -> None:
        """Put a refund on its order; all money back makes the order refunded."""
        order.refunds.append(refund)
        self.refunds[refund.id] = refund
        if refund.amount_minor > 0 and order.refunded_minor >= order.total_minor:
            order.status = "refunded"

    def product_of(self, stock_code: str, name: str, price_minor: int, at: int) -> int:
        """The product's id for an exact stock code, made when it is seen first."""
        known = self.product_ids.get(stock_code)
        if known is not None:
            return self._told(known, name, price_minor)
        key = _FIRST_PRODUCT + stable_number(f"product:{stock_code}", _PRODUCT_SPACE)
        while key in self.products:
            key += 1
        self.product_ids[stock_code] = key
        self.products[key] = ProductRecord(key, stock_code, name, price_minor, at, at)
        return key

    def add_shipment(self, order: OrderRecord, shipment: ShipmentRecord) -> None:
        """Put a parcel on its order; the order's own date stays (a parcel is no edit)."""
        order.shipments.append(shipment)
        self.shipments[shipment.id] = shipment

    def _told(self, key: int, name: str, price_minor: int) -> int:
        product = self.products[key]
        product.name = product.name or name
        product.price_minor = product.price_minor or price_minor
        return key
