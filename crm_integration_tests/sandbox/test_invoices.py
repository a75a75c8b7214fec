"""How an order book is read: the rules, the window, and what is refused."""

from __future__ import annotations

from collections import Counter
from datetime import date
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from crm_integration.errors import BadInvoiceFile
from crm_integration.sandbox.invoices import Invoice, amount_minor, read_invoices
from crm_integration_tests.sandbox.books import book
from crm_integration_tests.shared_data import SHARED


def test_an_amount_of_half_a_penny_is_rounded_up_from_decimals_not_from_floats() -> None:
    """1.005 is 1.00499.. as a float: rounding that loses a penny a line."""
    assert amount_minor(1, 1.005, "GBP") == 101
    assert amount_minor(3, 0.835, "GBP") == 251
    assert amount_minor(-1, 1.005, "GBP") == -101
    assert amount_minor(2, 350.0, "JPY") == 700


def test_numeric_invoices_are_orders_c_invoices_refunds_and_the_rest_unreadable() -> None:
    """A book sorts into kinds by the written rules, refunds with a positive worth."""
    read = read_invoices(book(
        ("500001", "A", 2, "2026-01-01T10:00", 1.5, 12345),
        ("C500002", "A", -1, "2026-01-02T10:00", 1.5, 12345),
        ("A500003", "B", 1, "2026-01-03T10:00", -20.0, None),
        ("500004", "A", -7, "2026-01-04T10:00", 0.0, None),
        ("500005", "A", 1, "2026-01-05T10:00", -1.0, None),
    ))  # fmt: skip
    assert [(one.number, one.kind, one.total_minor) for one in read] == [
        ("500001", "order", 300),
        ("C500002", "refund", 150),
        ("A500003", "unreadable", -2000),
        ("500004", "unreadable", 0),
        ("500005", "unreadable", 0),
    ]


def test_a_good_invoice_keeps_its_bad_lines_but_is_worth_its_accepted_ones() -> None:
    """Positions are identities: a bad line stays where it was and costs nothing."""
    (order,) = read_invoices(book(
        ("500001", "A", 2, "2026-01-01T10:00", 1.5, None),
        ("500001", "B", -1, "2026-01-01T10:00", 9.0, None),
        ("500001", "C", 1, "2026-01-01T10:00", 0.0, None),
    ))  # fmt: skip
    assert [line.stock_code for line in order.lines] == ["A", "B", "C"]
    assert (order.kind, order.total_minor) == ("order", 300)


def test_an_invoice_belongs_to_the_day_of_its_earliest_line() -> None:
    """An invoice written over midnight is in one window, whole."""
    table = book(
        ("500002", "A", 1, "2026-01-02T00:01", 1.0, None),
        ("500001", "A", 1, "2026-01-02T00:03", 1.0, None),
        ("500001", "B", 1, "2026-01-01T23:59", 1.0, None),
        ("500003", "A", 1, "2026-01-03T00:00", 1.0, None),
    )
    first = read_invoices(table, first_day=date(2026, 1, 1), days=1)
    assert [(one.number, len(one.lines)) for one in first] == [("500001", 2)]
    assert read_invoices(table, days=1) == first
    assert [one.number for one in read_invoices(table, first_day=date(2026, 1, 2), days=1)] == [
        "500002"
    ]


def test_blanks_at_the_ends_of_texts_are_no_part_of_them() -> None:
    """The real file holds 'POST ' and 'POST'; they are one item."""
    (order,) = read_invoices(book(("500001 ", "POST ", 1, "2026-01-01T10:00", 1.0, None)))
    assert (order.number, order.lines[0].stock_code) == ("500001", "POST")


def test_a_missing_column_is_named_with_the_file_and_the_fix(tmp_path: Path) -> None:
    """Somebody exports without unit_price and gets told so, not a KeyError."""
    path = tmp_path / "orders.parquet"
    table = book(("500001", "A", 1, "2026-01-01T10:00", 1.0, None)).drop_columns(["unit_price"])
    pq.write_table(table, path)
    with pytest.raises(BadInvoiceFile, match=r"orders\.parquet: column unit_price is missing; add"):
        read_invoices(path)


def test_a_file_that_is_no_parquet_is_refused_by_name(tmp_path: Path) -> None:
    """A half-copied file must not look like an empty one."""
    path = tmp_path / "cut.parquet"
    path.write_bytes(b"PAR1 and then nothing")
    with pytest.raises(BadInvoiceFile, match=r"cut\.parquet: cannot be read as Parquet"):
        read_invoices(path)
    with pytest.raises(BadInvoiceFile, match="no such file"):
        read_invoices(tmp_path / "absent.parquet")


def test_texts_where_numbers_belong_name_the_column() -> None:
    """A quantity of 'two' is a person's mistake, so a person is told where."""
    table = book(("500001", "A", 1, "2026-01-01T10:00", 1.0, None))
    position = table.column_names.index("quantity")
    with pytest.raises(BadInvoiceFile, match="column quantity holds string"):
        read_invoices(table.set_column(position, "quantity", pa.array(["two"])))


def test_a_currency_column_sets_the_minor_unit() -> None:
    """Yen have no decimals: 350 is 350 in minor units, not 35,000."""
    (order,) = read_invoices(
        book(("500001", "A", 2, "2026-01-01T10:00", 350.0, None), currency=["jpy"])
    )
    assert (order.currency, order.total_minor) == ("JPY", 700)


@pytest.mark.skipif(SHARED is None, reason="the real order books (../shared) are not here")
def test_both_real_files_give_the_counts_that_were_counted_independently() -> None:
    """UCI Online Retail I and II, overlap once: the figures the connector is measured by."""
    assert SHARED is not None
    read: dict[str, Invoice] = {}
    for name in ("online_retail_2009_2010", "online_retail_2010_2011"):
        found = read_invoices(SHARED / "data" / "online_retail" / f"{name}.parquet")
        read |= {one.number: one for one in found}
    kinds = Counter(one.kind for one in read.values())
    guests = sum(one.kind == "order" and not one.customer_id for one in read.values())
    assert kinds == {"order": 41_937, "refund": 8_292, "unreadable": 3_399}
    assert guests == 4_962
