"""A small invented order book, in the very shape of a real one.

Prevents the failure of a demo whose made-up data takes another way than real data: this is a
table of invoice lines that the same reader reads, with guests, credit notes and bad lines in it.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, datetime, time, timedelta
from importlib import import_module
from typing import Any

LAST_DAY = date(2026, 10, 31)
_COLOURS = ("OCHRE", "TEAL", "IVORY", "PLUM", "SAGE", "COPPER")
_THINGS = ("STONEWARE JUG", "WOOL THROW", "OAK SHELF", "LINEN APRON", "GLASS VASE", "TIN LANTERN",
           "PAPER GARLAND", "CORK COASTER", "BRASS HOOK", "FELT BASKET")  # fmt: skip
_COUNTRIES = ("United Kingdom",) * 8 + ("EIRE", "Germany", "Channel Islands", "RSA", "Unspecified")
_FIRST_INVOICE, _FIRST_CUSTOMER = 700_001, 21_001
_Row = tuple[str, str, str, int, datetime, float, int | None, str]


def generated_table(
    seed: int, *, invoices: int = 300, days: int = 14, last_day: date = LAST_DAY
) -> Any:
    """A pyarrow table of lines over `days` days up to and with `last_day`; equal if seeded so.

    About 10 % guests, 10 % credit notes (some without an order), 3 adjustments (A...) and 2 %
    numeric invoices without an acceptable line.
    """
    pa: Any = import_module("pyarrow")
    rows = list(_rows(random.Random(seed), invoices, days, last_day))  # noqa: S311 (no secret)
    columns: list[list[Any]] = [list(column) for column in zip(*rows, strict=True)]
    types = [pa.string(), pa.string(), pa.string(), pa.int32(), pa.timestamp("ms"), pa.float64(),
             pa.int32(), pa.string()]  # fmt: skip
    names = ("invoice_no", "stock_code", "description", "quantity", "invoice_date", "unit_price",
             "customer_id", "country")  # fmt: skip
    return pa.table({
        name: pa.array(column, kind)
        for name, column, kind in zip(names, columns, types, strict=True)
    })  # fmt: skip


def _rows(dice: random.Random, invoices: int, days: int, last_day: date) -> Iterator[_Row]:
    start = datetime.combine(last_day - timedelta(days=days - 1), time(8))
    minutes = sorted(dice.randrange(days * 600) for _ in range(invoices))
    placed: list[list[_Row]] = []
    for position, minute in enumerate(minutes):
        at = start + timedelta(days=minute // 600, minutes=minute % 600)
        number = str(_FIRST_INVOICE + position)
        draw = dice.random()
        if draw < 0.10 and placed:
            made = _credit(dice, number, at, placed)
        elif draw < 0.12:
            made = _bad(dice, number, at)
        else:
            made = _sale(dice, number, at)
            placed.append(made)
        yield from made
    for position, price in enumerate((110.62, -110.62, -40.5)):
        number = f"A{_FIRST_INVOICE + invoices + position}"
        at = start + timedelta(days=days - 1, minutes=600 + position)
        yield (number, "B", "Adjust bad debt", 1, at, price, None, "United Kingdom")


def _item(dice: random.Random) -> tuple[str, str, float]:
    colour, thing = dice.randrange(len(_COLOURS)), dice.randrange(len(_THINGS))
    code = f"{30 + thing}{100 + 7 * colour}" + ("b" if colour == 1 else "B" if colour == 2 else "")
    price = round(0.85 + thing * 1.73 + colour * 0.42, 2)
    return code, f"{_COLOURS[colour]} {_THINGS[thing]} ", price


def _sale(dice: random.Random, number: str, at: datetime) -> list[_Row]:
    guest = dice.random() < 0.11
    customer = None if guest else _FIRST_CUSTOMER + min(dice.randrange(130), dice.randrange(130))
    country = _COUNTRIES[(customer or dice.randrange(99)) % len(_COUNTRIES)]
    rows: list[_Row] = []
    for _ in range(1 + min(dice.randrange(12), dice.randrange(12))):
        code, name, price = _item(dice)
        quantity = dice.choice((1, 1, 2, 3, 6, 12, 24))
        rows.append((number, code, name, quantity, at, price, customer, country))
    return rows


def _credit(dice: random.Random, number: str, at: datetime, placed: list[list[_Row]]) -> list[_Row]:
    """A credit note for a part of an earlier order; one in four is for nothing ever bought."""
    order = dice.choice(placed)
    _, code, name, quantity, _, price, customer, country = dice.choice(order)
    if dice.random() < 0.25:
        code, name, quantity, price = "M", "Manual", 1, 950.0
    back = -dice.randint(1, quantity)
    return [(f"C{number}", code, name, back, at, price, customer, country)]


def _bad(dice: random.Random, number: str, at: datetime) -> list[_Row]:
    code, _, price = _item(dice)
    if dice.random() < 0.5:
        return [(number, code, "damaged", -dice.randint(1, 40), at, 0.0, None, "United Kingdom")]
    return [(number, code, "price typed wrongly", 2, at, -price, None, "United Kingdom")]
