"""Turns an order book's table into typed rows, or says which column is wrong and how to mend it.

Prevents the failure where a text in a number column becomes a half-filled shop: everything is
checked before the first row is given out. pyarrow is loaded only when a table is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

from crm_integration.errors import BadInvoiceFile

#: Columns of UCI Online Retail; `currency` may be added (GBP without it).
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
_BATCH_ROWS = 32_768


class Row(NamedTuple):
    """One line of the file; `at` is epoch seconds (UTC), texts carry no blanks at their ends."""

    number: str
    stock_code: str
    description: str
    quantity: int
    at: int
    unit_price: float
    customer_id: int | None
    country: str
    currency: str


def invoice_rows(source: Path | Any) -> Iterator[Row]:
    """Rows of a Parquet file or a pyarrow table, in file order.

    Raises:
        BadInvoiceFile: no Parquet, a missing column, another type, an empty needed cell.
    """
    table, name = _table(source)
    return _rows(_typed(table, name), name)


def _table(source: Path | Any) -> tuple[Any, str]:
    if not isinstance(source, Path):
        return source, "the generated order book"
    pa: Any = import_module("pyarrow")
    try:
        return import_module("pyarrow.parquet").read_table(source), str(source)
    except FileNotFoundError as error:
        raise BadInvoiceFile(f"{source}: no such file; give the path of a Parquet file") from error
    except (pa.ArrowException, OSError) as error:
        raise BadInvoiceFile(
            f"{source}: cannot be read as Parquet; write it again, for example with pyarrow"
        ) from error


def _typed(table: Any, name: str) -> Any:
    """The table with exactly our columns and types; refuses what cannot be cast without loss."""
    pa: Any = import_module("pyarrow")
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
    pa: Any = import_module("pyarrow")
    needed = column in {"invoice_no", "quantity", "invoice_date", "unit_price"}
    if needed and values.null_count:
        raise BadInvoiceFile(
            f"{name}: column {column} has {values.null_count} empty cells; fill or drop these rows"
        )
    try:
        if pa.types.is_timestamp(values.type) and column == "invoice_date":
            return values.cast(wanted, safe=False)
        return values.cast(wanted)
    except pa.ArrowException as error:
        raise BadInvoiceFile(
            f"{name}: column {column} holds {values.type}, not {wanted}; convert it"
        ) from error


def _rows(table: Any, name: str) -> Iterator[Row]:
    """Rows in file order, equal texts shared so that a million lines stay small."""
    pa: Any = import_module("pyarrow")
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
            if not no.strip() or not isfinite(price):
                raise BadInvoiceFile(
                    f"{name}: invoice {no.strip() or '(blank)'} has a line without a number"
                    " or price; correct columns invoice_no and unit_price"
                )
            yield Row(
                text(no),
                text(code),
                text(told),
                quantity,
                at,
                price,
                customer,
                text(country),
                text(currency, "GBP").upper(),
            )


def days_of(source: Path | Any) -> tuple[date, date]:
    """First and last UTC day of a file's (or table's) lines.

    Raises:
        BadInvoiceFile: as `invoice_rows`, or the file holds no line.
    """
    table, name = _table(source)
    compute: Any = import_module("pyarrow.compute")
    bounds = compute.min_max(_typed(table, name)["invoice_date"]).as_py()
    if bounds["min"] is None:
        raise BadInvoiceFile(f"{name}: there is no line in it; give a file with invoices")
    return bounds["min"].date(), bounds["max"].date()
