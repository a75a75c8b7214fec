"""A second reader of invoice files, so that the first one cannot be wrong unnoticed.

Prevents the failure where the connector and the emulator share one mistake about an invoice and
agree with each other: this one is written from the rules alone and imports nothing of the
package. A numeric invoice is an order, C a refund; see each method.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

CURRENCY = "GBP"  # the shop of Online Retail sells in pounds; its files carry no currency
_COLUMNS = ("invoice_no", "stock_code", "description", "quantity", "invoice_date", "unit_price",
            "customer_id", "country")  # fmt: skip
_NUMERIC = re.compile(r"[0-9]+", re.ASCII)
_CREDIT = re.compile(r"C[0-9]+", re.ASCII)
_PENNY = Decimal("0.01")


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the file, every value as it stands there."""

    invoice_no: str
    stock_code: str
    description: str | None
    quantity: int
    invoice_date: datetime
    unit_price: float
    customer_id: int | None
    country: str | None

    @property
    def minor(self) -> int:
        """Quantity times price in pence."""
        return _minor(self.quantity, self.unit_price)

    @property
    def accepted(self) -> bool:
        """Whether a line counts on an order."""
        return self.quantity > 0 and self.unit_price >= 0


@dataclass(slots=True)
class Totals:
    """The sums so far; `as_dict` has the keys of `demo --json`'s `totals`."""

    orders: int = 0
    refunds: int = 0
    guest_orders: int = 0
    quarantined_invoices: int = 0
    gross_minor: Counter[str] = field(default_factory=Counter[str])
    refunded_minor: Counter[str] = field(default_factory=Counter[str])

    def add(self, number: str, lines: Sequence[Line]) -> None:
        """Count one invoice as an order, a refund or nothing that can be used."""
        accepted = [line for line in lines if line.accepted]
        if _CREDIT.fullmatch(number):
            self.refunds += 1
            self.refunded_minor[CURRENCY] -= sum(line.minor for line in lines)
        elif _NUMERIC.fullmatch(number) and accepted:
            self.orders += 1
            self.guest_orders += all(line.customer_id is None for line in lines)
            self.gross_minor[CURRENCY] += sum(line.minor for line in accepted)
        else:
            self.quarantined_invoices += 1

    def as_dict(self) -> dict[str, Any]:
        """Counts, and money in minor units by currency."""
        return {
            "orders": self.orders,
            "refunds": self.refunds,
            "guest_orders": self.guest_orders,
            "quarantined_invoices": self.quarantined_invoices,
            "gross_minor": dict(self.gross_minor),
            "refunded_minor": dict(self.refunded_minor),
        }


def expected_totals(
    files: Sequence[Path], *, first_day: date | None = None, days: int | None = None
) -> dict[str, Any]:
    """What the CRMs must hold after these files were synced one after the other.

    `days` without `first_day` counts from the first file's first day. An invoice that comes again
    with other lines is a new state of the same one: the later file counts.
    """
    window = _window(files, first_day, days)
    kept: dict[str, list[Line]] = {}
    for path in files:
        kept |= {number: lines for number, lines in invoices(path) if _inside(lines, window)}
    totals = Totals()
    for number, lines in kept.items():
        totals.add(number, lines)
    return totals.as_dict()


def repeated_invoices(files: Sequence[Path]) -> tuple[int, int]:
    """Invoices of a later file that an earlier one held: with the same lines, with other lines."""
    seen: dict[str, list[Line]] = {}
    same = other = 0
    for path in files:
        for number, lines in invoices(path):
            if number in seen:
                equal = Counter(seen[number]) == Counter(lines)
                same, other = same + equal, other + (not equal)
            seen[number] = lines
    return same, other


def invoices(path: Path) -> Iterator[tuple[str, list[Line]]]:
    """The invoices of one file with their lines, in the file's order."""
    found: dict[str, list[Line]] = {}
    for line in _lines(path):
        found.setdefault(line.invoice_no, []).append(line)
    yield from found.items()


def _lines(path: Path) -> Iterable[Line]:
    parquet: Any = import_module("pyarrow.parquet")  # Any: it comes without types
    columns: dict[str, list[Any]] = parquet.read_table(path, columns=list(_COLUMNS)).to_pydict()
    return map(Line, *(columns[name] for name in _COLUMNS))


def _window(
    files: Sequence[Path], first_day: date | None, days: int | None
) -> tuple[datetime, datetime]:
    if first_day is None and days is not None:
        first_day = min(line.invoice_date for line in _lines(files[0])).date()
    start = _midnight(first_day) if first_day else datetime.min.replace(tzinfo=UTC)
    if days is None:
        return start, datetime.max.replace(tzinfo=UTC)
    return start, start + timedelta(days=days)


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _inside(lines: Iterable[Line], window: tuple[datetime, datetime]) -> bool:
    earliest = min(line.invoice_date for line in lines).replace(tzinfo=UTC)
    return window[0] <= earliest < window[1]


@lru_cache(maxsize=200_000)
def _minor(quantity: int, price: float) -> int:
    """Pence, half up; Decimal of the shortest text, since 0.285 * 100 is 28.499… as a float."""
    amount = (quantity * Decimal(repr(price))).quantize(_PENNY, ROUND_HALF_UP)
    return int(amount.scaleb(2))
