"""Reads an order book (a table of invoice lines) into invoices, once and by written rules.

Prevents the failure where shop, demo and check each read the same file a little differently,
so that no total can be compared. Rules: a numeric invoice is an order, its accepted lines those
with quantity > 0 and price >= 0; a C invoice is a refund of minus the sum of its lines;
everything else is unreadable and kept as it is, for the engine to quarantine.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from crm_integration.errors import BadInvoiceFile

if TYPE_CHECKING:
    import pyarrow as pa

InvoiceKind = Literal["order", "refund", "unreadable"]

#: Columns of UCI Online Retail; `currency` may be added.
COLUMNS = (
    "invoice_no",
    "stock_code",
    "description",
    "quantity",
    "invoice_date",
    "unit_price",
    "customer_id",
    "country",
)
#: Decimals by ISO 4217 where they are not two.
_EXPONENTS = {"JPY": 0, "KRW": 0, "VND": 0, "CLP": 0, "ISK": 0, "KWD": 3, "BHD": 3, "TND": 3}
_BATCH_ROWS = 32_768


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
    source: Path | pa.Table, *, first_day: date | None = None, days: int | None = None
) -> list[Invoice]:
    """Invoices whose earliest line lies in [first_day, first_day + days) UTC, oldest first.

    `days` without `first_day` counts from the file's first day; neither means all.

    Raises:
        BadInvoiceFile: the file is no Parquet, or a column is missing or of another type.
    """
    if days is not None and days < 1:
        raise BadInvoiceFile(f"a window of {days} days holds nothing: ask for 1 day or more")
    table, name = _table(source)
    gathered: dict[str, _Gathered] = {}
    for row in _rows(_typed(table, name), name):
        _gather(gathered, row)
    invoices = sorted((found.invoice(number) for number, found in gathered.items()), key=_age)
    return [invoice for invoice in invoices if _window(invoices, first_day, days, invoice)]


def _age(invoice: Invoice) -> int:
    return invoice.at


def _window(
    invoices: list[Invoice], first_day: date | None, days: int | None, invoice: Invoice
) -> bool:
    oldest = datetime.fromtimestamp(invoices[0].at, UTC).date()
    start = first_day or oldest
    day = datetime.fromtimestamp(invoice.at, UTC).date()
    return day >= start and (days is None or day < start + timedelta(days=days))


class _Row(NamedTuple):
    number: str
    stock_code: str
    description: str
    quantity: int
    at: int
    unit_price: float
    customer_id: int | None
    country: str
    currency: str


class _Gathered:
    __slots__ = ("at", "country", "currency", "customer_id", "lines")

    def __init__(self, row: _Row) -> None:
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


def _gather(gathered: dict[str, _Gathered], row: _Row) -> None:
    found = gathered.get(row.number)
    if found is None:
        found = gathered[row.number] = _Gathered(row)
    found.at = min(found.at, row.at)
    found.customer_id = found.customer_id or row.customer_id or 0
    amount = amount_minor(row.quantity, row.unit_price, row.currency)
    shown = _price(row.unit_price)[0]
    found.lines.append(Line(row.stock_code, row.description, row.quantity, shown, amount))


def _table(source: Path | pa.Table) -> tuple[Any, str]:
    if not isinstance(source, Path):
        return source, "the generated order book"
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return pq.read_table(source), str(source)
    except FileNotFoundError as error:
        raise BadInvoiceFile(f"{source}: no such file; give the path of a Parquet file") from error
    except (pa.ArrowException, OSError) as error:
        raise BadInvoiceFile(
            f"{source}: cannot be read as Parquet; write it again, for example with pyarrow"
        ) from error


def _typed(table: Any, name: str) -> Any:
    """The table with exactly our columns and types; refuses what cannot be cast without loss."""
    import pyarrow as pa

    wanted = {
        "quantity": pa.int64(),
        "invoice_date": pa.timestamp("s"),
        "unit_price": pa.float64(),
        "customer_id": pa.int64(),
    }
    columns: dict[str, Any] = {}
    for column in (*COLUMNS, "currency"):
        if column not in table.column_names:
            if column == "currency":
                continue
            raise BadInvoiceFile(
                f"{name}: column {column} is missing; add it (needed: {', '.join(COLUMNS)})"
            )
        columns[column] = _cast(table[column], wanted.get(column, pa.string()), name, column)
    return pa.table(columns)


def _cast(values: Any, wanted: Any, name: str, column: str) -> Any:
    import pyarrow as pa

    needed = column in {"invoice_no", "quantity", "invoice_date", "unit_price"}
    if needed and values.null_count:
        raise BadInvoiceFile(f"{name}: column {column} has {values.null_count} empty cells; fill it")
    try:
        if pa.types.is_timestamp(values.type) and not pa.types.is_string(wanted):
            return values.cast(wanted, safe=False)
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise BadInvoiceFile(
            f"{name}: column {column} holds {values.type}, not {wanted}; convert it"
        ) from error


def _rows(table: Any, name: str) -> Iterator[_Row]:
    """Rows in file order, equal texts shared so that a million lines stay small."""
    import pyarrow as pa

    shared: dict[str, str] = {}

    def text(value: str | None, fallback: str = "") -> str:
        stripped = (value or fallback).strip()
        return shared.setdefault(stripped, stripped)

    for batch in table.to_batches(_BATCH_ROWS):
        columns = {field: batch.column(field) for field in batch.schema.names}
        seconds = columns["invoice_date"].cast(pa.int64()).to_pylist()
        columns["invoice_date"] = pa.array(seconds, pa.int64())
        lists = [columns[field].to_pylist() for field in COLUMNS]
        count = batch.num_rows
        money = columns["currency"].to_pylist() if "currency" in columns else ["GBP"] * count
        for no, code, told, quantity, at, price, customer, country, currency in zip(
            *lists, money, strict=True
        ):
            if not no.strip() or price != price or price in (float("inf"), float("-inf")):
                raise BadInvoiceFile(
                    f"{name}: invoice {no.strip() or '(blank)'} has a line without a number"
                    " or price; correct columns invoice_no and unit_price"
                )
            yield _Row(
                text(no), text(code), text(told), quantity, at, price, customer, text(country),
                text(currency, "GBP").upper(),
            )
