"""Orders, lines, refunds, parcels and payments, read from the shop's records.

Prevents the failure where an emulated order is tidier than a real one: lines nobody could have
bought, refunds of things the order does not hold (they become adjustments), credit notes that
were imported as orders, all come out as the book has them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass

from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.order_book import CREDIT_TAG
from crm_integration.sandbox.shop_state import (
    OrderRecord,
    RefundRecord,
    ShipmentRecord,
    ShopState,
)
from crm_integration.sandbox.shopify.people import (
    INVENTED_KEY,
    INVENTED_VALUE,
    Address,
    billing_address,
)

_UNPAID = {"pending", "on-hold", "failed", "cancelled"}
_DONE = {"completed", "refunded"}
_LINES_AN_ORDER = 10_000


class OrderView:
    """An order and what must be worked out about it, at most once for each answer."""

    __slots__ = ("_address", "_refunded", "record", "shop")

    def __init__(self, shop: ShopState, record: OrderRecord) -> None:
        self.shop, self.record = shop, record
        self._address: Address | None = None
        self._refunded: Counter[int] | None = None

    @property
    def address(self) -> Address:
        if self._address is None:
            self._address = billing_address(self.shop, self.record)
        return self._address

    @property
    def name(self) -> str:
        return f"#{self.record.number}"

    @property
    def number(self) -> int:
        """The digits of the number; an order that was imported under letters has others too."""
        digits = "".join(sign for sign in self.record.number if sign.isdigit())
        return int(digits[-9:] or 0)

    @property
    def updated(self) -> int:
        """A parcel is an update here, though the shop's own date stays."""
        return updated_at(self.record)

    @property
    def paid(self) -> bool:
        return self.record.status not in _UNPAID

    @property
    def closed(self) -> bool:
        return self.record.status in _DONE

    @property
    def received_minor(self) -> int:
        return self.record.total_minor if self.paid else 0

    def lines(self) -> list[LineView]:
        return [LineView(self, n, line) for n, line in enumerate(self.record.lines)]

    def refunded_quantity(self, position: int) -> int:
        if self._refunded is None:
            self._refunded = Counter()
            for refund in self.record.refunds:
                for one in RefundView(self, refund).lines():
                    self._refunded[one.line.position] += one.quantity
        return self._refunded[position]

    def tags(self) -> list[str]:
        """The tags an import wrote on the order."""
        name, value = CREDIT_TAG
        return sorted({value for key, held in self.record.meta if key == name and held == value})

    def attributes(self) -> list[tuple[str, str]]:
        """Other notes on the order; an invented person is said to be one."""
        kept = [(key, str(held)) for key, held in self.record.meta if key != CREDIT_TAG[0]]
        if self.record.billing is None:
            kept.insert(0, (INVENTED_KEY, INVENTED_VALUE))
        return kept


@dataclass(frozen=True, slots=True)
class LineView:
    """A line of an order, at its place."""

    order: OrderView
    position: int
    line: Line

    @property
    def id(self) -> int:
        return self.order.record.id_of_line(self.position)

    @property
    def title(self) -> str:
        return self.line.description or self.line.stock_code

    @property
    def current_quantity(self) -> int:
        return self.line.quantity - self.order.refunded_quantity(self.position)


@dataclass(frozen=True, slots=True)
class RefundLineView:
    """What of a line went back; `amount_minor` is positive where money went back."""

    id: int
    line: LineView
    quantity: int
    price: float
    amount_minor: int


@dataclass(frozen=True, slots=True)
class AdjustmentView:
    """Money of a refund that belongs to no line of the order; negative where it went back."""

    id: int
    amount_minor: int
    currency: str


@dataclass(frozen=True, slots=True)
class RefundView:
    """A refund of an order."""

    order: OrderView
    record: RefundRecord

    def lines(self) -> list[RefundLineView]:
        """The refund's lines that the order has, each by its stock code."""
        return [
            RefundLineView(self._line_id(n), held, -line.quantity, line.unit_price,
                           -line.amount_minor)
            for n, (line, held) in enumerate(self._matched())
            if held is not None
        ]  # fmt: skip

    def adjustments(self) -> list[AdjustmentView]:
        """What is left of the amount when the lines are taken off, if anything."""
        rest = self.record.amount_minor - sum(one.amount_minor for one in self.lines())
        if not rest:
            return []
        currency = self.order.record.currency
        return [AdjustmentView(self._line_id(_LINES_AN_ORDER - 2), -rest, currency)]

    def _line_id(self, position: int) -> int:
        return self.record.id * _LINES_AN_ORDER + position + 1

    def _matched(self) -> Iterator[tuple[Line, LineView | None]]:
        by_code: dict[str, LineView] = {}
        for held in self.order.lines():
            by_code.setdefault(held.line.stock_code, held)
        for line in self.record.lines:
            yield line, by_code.get(line.stock_code)


@dataclass(frozen=True, slots=True)
class ParcelView:
    """A shipment of an order; `number` counts from 1 within the order."""

    order: OrderView
    record: ShipmentRecord
    number: int

    def lines(self) -> list[ParcelLineView]:
        lines = self.order.record.lines
        return [
            ParcelLineView(self.record.id * _LINES_AN_ORDER + n + 1,
                           LineView(self.order, position, lines[position]), quantity)
            for n, (position, quantity) in enumerate(self.record.lines)
            if position < len(lines)
        ]  # fmt: skip


@dataclass(frozen=True, slots=True)
class ParcelLineView:
    """How many of a line are in a parcel."""

    id: int
    line: LineView
    quantity: int


@dataclass(frozen=True, slots=True)
class PaymentView:
    """Money that came (SALE) or went back (REFUND)."""

    id: int
    order: OrderView
    kind: str
    amount_minor: int
    at: int


def updated_at(order: OrderRecord) -> int:
    """When the order changed last, parcels too."""
    if not order.shipments:
        return order.modified
    return max(order.modified, *(parcel.modified for parcel in order.shipments))


def refunds_of(order: OrderView) -> list[RefundView]:
    return [RefundView(order, refund) for refund in order.record.refunds]


def parcels_of(order: OrderView) -> list[ParcelView]:
    return [ParcelView(order, one, n) for n, one in enumerate(order.record.shipments, 1)]


def payments_of(order: OrderView) -> list[PaymentView]:
    """One sale for a paid order, one refund for each refund; ids are even and odd."""
    record = order.record
    sale = [PaymentView(2 * record.id, order, "SALE", record.total_minor, record.created)]
    return (sale if order.paid else []) + [payment_of(one) for one in refunds_of(order)]


def payment_of(refund: RefundView) -> PaymentView:
    held = refund.record
    return PaymentView(2 * held.id + 1, refund.order, "REFUND", held.amount_minor, held.at)


def financial_status(order: OrderView) -> str:
    """Shopify's displayFinancialStatus."""
    record = order.record
    if record.status == "refunded":
        return "REFUNDED"
    if record.status in _UNPAID:
        return {"cancelled": "VOIDED", "failed": "EXPIRED"}.get(record.status, "PENDING")
    if record.refunded_minor <= 0:
        return "PAID"
    return "REFUNDED" if record.refunded_minor >= record.total_minor else "PARTIALLY_REFUNDED"


def fulfillment_status(order: OrderView) -> str:
    """Shopify's displayFulfillmentStatus; without a parcel a completed order counts as done."""
    parcels = [one for one in order.record.shipments if one.state != "cancelled"]
    if not parcels:
        return "FULFILLED" if order.closed else "UNFULFILLED"
    sent: Counter[int] = Counter()
    for parcel in parcels:
        for position, quantity in parcel.lines:
            sent[position] += quantity
    whole = all(sent[n] >= line.quantity for n, line in enumerate(order.record.lines))
    return "FULFILLED" if whole else "PARTIALLY_FULFILLED"
