"""Small order books of the tests, as tables of the very columns a file has."""

from __future__ import annotations

from datetime import datetime
from typing import Any

import pyarrow as pa

Row = tuple[str, str, int, str, float, int | None]
_NAMES = ("invoice_no", "stock_code", "description", "quantity", "invoice_date", "unit_price",
          "customer_id", "country")  # fmt: skip


def book(*rows: Row, country: str = "United Kingdom", **more: list[Any]) -> pa.Table:
    """Rows of (invoice, stock code, quantity, ISO time, price, customer)."""
    columns: dict[str, list[Any]] = {name: [] for name in _NAMES}
    for number, code, quantity, at, price, customer in rows:
        values = (number, code, f"thing {code} ", quantity, datetime.fromisoformat(at), price,
                  customer, country)  # fmt: skip
        for name, value in zip(_NAMES, values, strict=True):
            columns[name].append(value)
    schema = pa.schema([
        ("invoice_no", pa.string()), ("stock_code", pa.string()), ("description", pa.string()),
        ("quantity", pa.int32()), ("invoice_date", pa.timestamp("ms")),
        ("unit_price", pa.float64()), ("customer_id", pa.int32()), ("country", pa.string()),
    ])  # fmt: skip
    table = pa.table(columns, schema=schema)
    for name, values in more.items():
        table = table.append_column(name, pa.array(values))
    return table
