"""Reads an order book (a table of invoice lines) into invoices, once and by written rules.

Prevents the failure where shop, demo and check each read the same file a little differently,
so that no total can be compared. Rules: a numeric invoice is an order, its accepted lines those
with quantity > 0 and price >= 0; a C invoice is a refund of minus the sum of its lines;
everything else is unreadable and kept as it is, for the engine to quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, NamedTuple

from crm_integration.errors import BadInvoiceFile
from crm_integration.sandbox.invoice_rows import Row, invoice_rows

InvoiceKind = Literal["order", "refund", "unreadable"]

#: Decimals by ISO 4217 where they are not two.
_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "TND": 3}
_DAY_SECONDS = 86_400


class Line(NamedTuple):
    """One invoice line; `unit_price` as the file has it, `amount_minor` rounded half up."""

    stock_code: str
    description: str
    quantity: int
    unit_price: float | int
    amount_minor: int

    @property
    def accepted(self) -> bool:
        return self.quantity > 0 and self.unit_price >= 0


@dataclass(slots=True, frozen=True)
class Invoice:
    """All lines of one invoice number; `at` is its earliest line (epoch seconds, UTC).

    `customer_id` is 0 where no line carries one (a guest checkout).
    """

    number: str
    kind: InvoiceKind
    at: int
    customer_id: int
    country: str
    currency: str
    lines: tuple[Line, ...]

    @property
    def total_minor(self) -> int:
        """What the invoice is worth: accepted lines only for an order, minus the sum for a refund.

        An unreadable numeric invoice has no accepted line and so is worth 0.
        """
        if self.kind == "refund":
            return -sum(line.amount_minor for line in self.lines)
        if not self.number.isdigit():
            return sum(line.amount_minor for line in self.lines)
        return sum(line.amount_minor for line in self.lines if line.accepted)


def exponent_of(currency: str) -> int:
    """Decimals of a currency's minor unit (2 where ISO 4217 says nothing else)."""
    return _EXPONENTS.get(currency, 2)


def read_invoices(
    source: Path | Any, *, first_day: date | None = None, days: int | None = None
) -> list[Invoice]:
    """Invoices whose earliest line lies in [first_day, first_day + days) UTC, oldest first.

    `source` is a Parquet file or a pyarrow table of the same columns.
    `days` without `first_day` counts from the file's first day; neither means all.

    Raises:
        BadInvoiceFile: the file is no Parquet, or a column is missing or of another type.
    """
    if days is not None and days < 1:
        raise BadInvoiceFile(f"a window of {days} days holds nothing: ask for 1 day or more")
    gathered: dict[str, _Gathered] = {}
    for row in invoice_rows(source):
        _gather(gathered, row)
    invoices = sorted((found.invoice(number) for number, found in gathered.items()), key=_age)
    return _in_window(invoices, first_day, days)


def _age(invoice: Invoice) -> int:
    return invoice.at


def _in_window(
    oldest_first: list[Invoice], first_day: date | None, days: int | None
) -> list[Invoice]:
    """The invoices within the window; their order is kept."""
    if not oldest_first or (first_day is None and days is None):
        return oldest_first
    start = first_day or datetime.fromtimestamp(oldest_first[0].at, UTC).date()
    first = int(datetime.combine(start, time(), UTC).timestamp())
    end = first + days * _DAY_SECONDS if days else None
    return [one for one in oldest_first if one.at >= first and (end is None or one.at < end)]


class _Gathered:
    __slots__ = ("at", "country", "currency", "customer_id", "lines")

    def __init__(self, row: Row) -> None:
        self.at, self.country, self.currency = row.at, row.country, row.currency
        self.customer_id = row.customer_id or 0
        self.lines: list[Line] = []

    def invoice(self, number: str) -> Invoice:
        return Invoice(
            number=number,
            kind=_kind(number, self.lines),
            at=self.at,
            customer_id=self.customer_id,
            country=self.country,
            currency=self.currency,
            lines=tuple(self.lines),
        )


def _kind(number: str, lines: Iterable[Line]) -> InvoiceKind:
    if number.isascii() and number.isdigit():
        return "order" if any(line.accepted for line in lines) else "unreadable"
    if number.startswith("C") and number.isascii() and number[1:].isdigit():
        return "refund"
    return "unreadable"


_prices: dict[float, tuple[float | int, int, int]] = {}


def _price(value: float) -> tuple[float | int, int, int]:
    """(price as JSON shows it, coefficient, scale) of a price, from its shortest decimal form."""
    known = _prices.get(value)
    if known is None:
        numerator, denominator = Decimal(repr(value)).as_integer_ratio()
        shown = int(value) if value.is_integer() else value
        known = _prices[value] = (shown, numerator, denominator)
    return known


def amount_minor(quantity: int, unit_price: float, currency: str) -> int:
    """quantity x price in minor units, rounded half up (away from zero), computed in decimals."""
    _, numerator, denominator = _price(float(unit_price))
    scaled = quantity * numerator * 10 ** exponent_of(currency)
    rounded = (2 * abs(scaled) + denominator) // (2 * denominator)
    return rounded if scaled >= 0 else -rounded


def _gather(gathered: dict[str, _Gathered], row: Row) -> None:
    found = gathered.get(row.number)
    if found is None:
        found = gathered[row.number] = _Gathered(row)
    found.at = min(found.at, row.at)
    found.customer_id = found.customer_id or row.customer_id or 0
    amount = amount_minor(row.quantity, row.unit_price, row.currency)
    shown = _price(row.unit_price)[0]
    found.lines.append(Line(row.stock_code, row.description, row.quantity, shown, amount))
