"""Fills shops from invoices: who belongs to which shop, which order a credit note belongs to.

Prevents the failure where a second file doubles the first: an invoice held already with the same
lines (as a multiset) stays the same order, in the new line order, with the same date_modified.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from crm_integration.sandbox.identities import stable_number
from crm_integration.sandbox.invoices import Invoice, Line
from crm_integration.sandbox.shop_state import (
    CustomerRecord,
    OrderRecord,
    RefundRecord,
    ShopState,
)

_REFUND_IDS, _IMPORT_IDS, _ADJUSTMENT_IDS, _OTHER_IDS = (
    10_000_000, 20_000_000, 30_000_000, 40_000_000,
)  # fmt: skip
_OTHER_SPACE = 10_000_000
#: What the shop's import wrote on orders that exist only to carry a credit note.
CREDIT_TAG = ("crm_integration_tag", "credit-without-order")


@dataclass(slots=True)
class FillCounts:
    """What one load brought to one shop; `new_customers` are account ids."""

    orders: int = 0
    guest_orders: int = 0
    refunds: int = 0
    credits_without_order: int = 0
    unreadable: int = 0
    repeated: int = 0
    changed: int = 0
    gross_minor: Counter[str] = field(default_factory=Counter[str])
    refunded_minor: Counter[str] = field(default_factory=Counter[str])
    new_customers: list[int] = field(default_factory=list[int])

    def json(self) -> dict[str, int | dict[str, int]]:
        """The counts alone, accounts as a number."""
        return {
            "orders": self.orders,
            "guest_orders": self.guest_orders,
            "refunds": self.refunds,
            "credits_without_order": self.credits_without_order,
            "unreadable": self.unreadable,
            "repeated": self.repeated,
            "changed": self.changed,
            "customers": len(self.new_customers),
            "gross_minor": dict(self.gross_minor),
            "refunded_minor": dict(self.refunded_minor),
        }


def person_of(invoice: Invoice) -> str:
    """The key of the invented person behind an invoice."""
    if invoice.customer_id:
        return f"customer:{invoice.customer_id}"
    return f"guest:{invoice.number}"


def split_by_tenant(invoices: Iterable[Invoice], tenants: list[str]) -> dict[str, list[Invoice]]:
    """Each customer number, and each guest's invoice, to exactly one tenant by a stable hash."""
    shares: dict[str, list[Invoice]] = {tenant: [] for tenant in tenants}
    for invoice in invoices:
        shares[tenants[stable_number(person_of(invoice), len(tenants))]].append(invoice)
    return shares


def fill(shop: ShopState, invoices: list[Invoice]) -> FillCounts:
    """Bring invoices (oldest first) into a shop; credit notes look at all orders it then holds."""
    counts = FillCounts()
    for invoice in invoices:
        _account(shop, invoice, counts)
        if invoice.kind != "refund":
            _order(shop, invoice, counts)
    held = _orders_by_customer(shop)
    for invoice in invoices:
        if invoice.kind == "refund":
            _credit(shop, invoice, held, counts)
    shop.reindex()
    return counts


def _digits(number: str) -> int:
    return int(number[1:]) if number[1:].isascii() and number[1:].isdigit() else -1


def order_id_of(number: str) -> int:
    """Deterministic order id of an invoice number that is no credit note."""
    if number.isascii() and number.isdigit():
        return int(number)
    digits = _digits(number)
    if number.startswith("A") and 0 <= digits < _OTHER_SPACE:
        return _ADJUSTMENT_IDS + digits
    return _OTHER_IDS + stable_number(f"invoice:{number}", _OTHER_SPACE)


def _account(shop: ShopState, invoice: Invoice, counts: FillCounts) -> None:
    key = invoice.customer_id
    if not key:
        return
    known = shop.customers.get(key)
    if known is None:
        shop.customers[key] = CustomerRecord(
            key, person_of(invoice), invoice.country, invoice.at, invoice.at
        )
        counts.new_customers.append(key)


def _products(shop: ShopState, invoice: Invoice) -> None:
    for line in invoice.lines:
        price = abs(line.amount_minor) // max(1, abs(line.quantity))
        shop.product_of(line.stock_code, line.description, price, invoice.at)


def _order(shop: ShopState, invoice: Invoice, counts: FillCounts) -> None:
    key = order_id_of(invoice.number)
    if key in shop.orders:
        _again(shop, shop.orders[key], invoice, counts)
        return
    _products(shop, invoice)
    shop.orders[key] = OrderRecord(
        id=key,
        number=invoice.number,
        status="completed",
        currency=invoice.currency,
        created=invoice.at,
        modified=invoice.at,
        customer_id=invoice.customer_id,
        person=person_of(invoice),
        country=invoice.country,
        lines=invoice.lines,
        total_minor=invoice.total_minor,
        readable=invoice.kind == "order",
    )
    if invoice.kind == "unreadable":
        counts.unreadable += 1
        return
    counts.orders += 1
    counts.guest_orders += not invoice.customer_id
    counts.gross_minor[invoice.currency] += invoice.total_minor


def _again(shop: ShopState, order: OrderRecord, invoice: Invoice, counts: FillCounts) -> None:
    if Counter(order.lines) == Counter(invoice.lines):
        counts.repeated += 1
        if order.lines != invoice.lines:
            order.line_ids = _ids_follow(order, invoice.lines)
            order.lines = invoice.lines
        return
    _products(shop, invoice)
    counts.changed += 1
    order.lines, order.line_ids = invoice.lines, None
    order.total_minor, order.modified = invoice.total_minor, shop.now()


def _ids_follow(order: OrderRecord, lines: tuple[Line, ...]) -> tuple[int, ...]:
    """The line ids in the new order: an id belongs to the line, not to its place."""
    free: dict[Line, list[int]] = defaultdict(list)
    for position in reversed(range(len(order.lines))):
        free[order.lines[position]].append(order.id_of_line(position))
    return tuple(free[line].pop() for line in lines)


def _orders_by_customer(shop: ShopState) -> dict[int, list[OrderRecord]]:
    """Each account's orders, newest first."""
    held: dict[int, list[OrderRecord]] = defaultdict(list)
    for order in sorted(shop.orders.values(), key=lambda order: (-order.created, -order.id)):
        if order.customer_id and order.readable and order.status != "trash":
            held[order.customer_id].append(order)
    return held


def _credit(
    shop: ShopState, invoice: Invoice, held: dict[int, list[OrderRecord]], counts: FillCounts
) -> None:
    refund_id = _REFUND_IDS + _digits(invoice.number)
    if refund_id in shop.refunds:
        counts.repeated += 1
        return
    _products(shop, invoice)
    order = _refunded_order(invoice, held.get(invoice.customer_id, []))
    if order is None:
        order = _import_order(shop, invoice)
        counts.credits_without_order += 1
    refund = RefundRecord(
        refund_id, order.id, invoice.at, invoice.total_minor, invoice.number, invoice.lines
    )
    shop.add_refund(order, refund)
    order.modified = max(order.modified, invoice.at)
    counts.refunds += 1
    counts.refunded_minor[invoice.currency] += invoice.total_minor


def _refunded_order(invoice: Invoice, newest_first: list[OrderRecord]) -> OrderRecord | None:
    """The customer's latest earlier order that holds one of the items and has as much left."""
    items = {line.stock_code for line in invoice.lines}
    for order in newest_first:
        if order.created >= invoice.at or order.currency != invoice.currency:
            continue
        if order.total_minor - order.refunded_minor < invoice.total_minor:
            continue
        if any(line.stock_code in items for line in order.lines):
            return order
    return None


def _import_order(shop: ShopState, invoice: Invoice) -> OrderRecord:
    order = OrderRecord(
        id=_IMPORT_IDS + _digits(invoice.number),
        number=invoice.number,
        status="refunded",
        currency=invoice.currency,
        created=invoice.at,
        modified=invoice.at,
        customer_id=invoice.customer_id,
        person=person_of(invoice),
        country=invoice.country,
        lines=tuple(_turned(line) for line in invoice.lines),
        total_minor=invoice.total_minor,
        created_via="import",
        readable=False,
        meta=(CREDIT_TAG,),
    )
    shop.orders[order.id] = order
    return order


def _turned(line: Line) -> Line:
    return line._replace(quantity=-line.quantity, amount_minor=-line.amount_minor)
