"""Canonical rows of some windows, as frames a suite can judge.

Prevents a check from carrying people out of the database: only columns that are not personal
are read (nothing is unsealed), and never more rows at once than memory allows.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Table,
    and_,
    cast,
    exists,
    func,
    or_,
    select,
)

from crm_integration.quality.expectations import Frame
from crm_integration.quality.verdicts import Window
from crm_integration.storage.tables.canonical import (
    customers,
    order_lines,
    orders,
    products,
    refunds,
)
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.quality import quarantine
from crm_integration.tenancy.scope import TenantScope

OBJECT_KEY = ("connection_id", "source_id")
"""The first two columns of every frame, by which its rows are sorted."""


def frames_of(
    scope: TenantScope, subject: str, windows: Sequence[Window], *, chunk_rows: int
) -> Iterator[Frame]:
    """Rows whose raw record's day lies in a window, in frames of about `chunk_rows` rows.

    `subject` is an entity or `order_line`. Columns are those its rules read and `day`,
    for entities also `flags` and `rules_version`. Rows of one object never lie in
    two frames, so that a duplicate is always seen. Texts that are only asked for a NUL stay
    where they are: the database cannot hold one.
    """
    import pandas as pd  # pyright: ignore[reportMissingTypeStubs]

    statement = _SELECTS[subject](windows)
    result = scope.connection.execute(
        statement.order_by(statement.selected_columns[0], statement.selected_columns[1]),
        execution_options={"yield_per": chunk_rows},
    )
    names = list(result.keys())
    untyped: Any = pd
    carried: list[tuple[Any, ...]] = []
    for rows in result.partitions():
        carried += map(tuple, rows)
        cut = _last_object_starts_at(carried)
        if cut:
            yield untyped.DataFrame.from_records(carried[:cut], columns=names)
            carried = carried[cut:]
    if carried:
        yield untyped.DataFrame.from_records(carried, columns=names)


def in_windows(windows: Sequence[Window]) -> ColumnElement[bool]:
    """Raw records whose day lies in one of the windows; adjoining windows become one range."""
    ranges: list[Window] = []
    for window in sorted(windows, key=lambda one: one.start):
        if ranges and ranges[-1].end >= window.start:
            ranges[-1] = Window(ranges[-1].start, max(ranges[-1].end, window.end))
        else:
            ranges.append(window)
    day = raw_records.c.day
    return or_(*(and_(day >= one.start, day < one.end) for one in ranges))


def _last_object_starts_at(rows: Sequence[tuple[Any, ...]]) -> int:
    """Where the rows of the last object begin: more of it may be on the way."""
    cut = len(rows) - 1
    while cut and rows[cut - 1][:2] == rows[-1][:2]:
        cut -= 1
    return cut


def _dated(table: Table, windows: Sequence[Window], *columns: ColumnElement[Any]) -> Select[Any]:
    """Rows of a canonical table with the day of the raw record they were last derived from."""
    source = raw_records.c.tenant_id == table.c.tenant_id
    return (
        select(*columns, raw_records.c.day)
        .join_from(table, raw_records, and_(source, raw_records.c.raw_id == table.c.raw_id))
        .where(in_windows(windows))
    )


def _judged(table: Table, windows: Sequence[Window], *columns: ColumnElement[Any]) -> Select[Any]:
    """The same with what the row checks noted when they accepted the row."""
    return _dated(table, windows, *columns, table.c.flags, table.c.rules_version)


def _customer_rows(windows: Sequence[Window]) -> Select[Any]:
    own_id = cast(customers.c.customer_id, String)
    # A guest has no account id in the store; only accounts can be there twice.
    source_id = func.coalesce(customers.c.store_customer_id, own_id).label("source_id")
    columns = (customers.c.connection_id, source_id, customers.c.source_time)
    statement = _judged(customers, windows, *columns)
    return statement.where(customers.c.merged_into.is_(None), customers.c.known)


def _product_rows(windows: Sequence[Window]) -> Select[Any]:
    names = (*OBJECT_KEY, "source_time", "title", "currency", "price_minor")
    return _judged(products, windows, *(products.c[name] for name in names))


def _order_rows(windows: Sequence[Window]) -> Select[Any]:
    names = (*OBJECT_KEY, "source_time", "number", "currency", "placed_at")
    others = ("total_minor", "tax_minor", "shipping_minor", "line_count")
    lines_total = (
        select(func.coalesce(func.sum(order_lines.c.total_minor), 0))
        .where(order_lines.c.tenant_id == orders.c.tenant_id)
        .where(order_lines.c.order_id == orders.c.order_id)
        .correlate(orders)
        .scalar_subquery()
    )
    customer_exists = exists().where(
        customers.c.tenant_id == orders.c.tenant_id,
        customers.c.customer_id == orders.c.customer_id,
    )
    return _judged(
        orders,
        windows,
        *(orders.c[name] for name in (*names, *others)),
        # sum() of bigint is numeric; money in minor units of one order fits a bigint again.
        cast(lines_total, orders.c.total_minor.type).label("lines_total_minor"),
        customer_exists.label("customer_exists"),
    )


def _order_line_rows(windows: Sequence[Window]) -> Select[Any]:
    names = ("quantity", "unit_price", "total_minor")
    columns = (orders.c[name] for name in OBJECT_KEY)
    lines = (order_lines.c[name] for name in names)
    return _dated(orders, windows, *columns, *lines).join(
        order_lines,
        and_(
            order_lines.c.tenant_id == orders.c.tenant_id,
            order_lines.c.order_id == orders.c.order_id,
        ),
    )


def _refund_rows(windows: Sequence[Window]) -> Select[Any]:
    names = (*OBJECT_KEY, "source_time", "currency", "amount_minor")
    order_exists = exists().where(
        orders.c.tenant_id == refunds.c.tenant_id, orders.c.order_id == refunds.c.order_id
    )
    # One order kept back must not hold every refund of the merchant.
    order_kept_back = exists().where(
        quarantine.c.tenant_id == refunds.c.tenant_id,
        quarantine.c.connection_id == refunds.c.connection_id,
        quarantine.c.entity == "order",
        quarantine.c.source_id == refunds.c.order_source_id,
        quarantine.c.released_at.is_(None),
    )
    without_order = refunds.c.order_source_id.is_(None)
    accounted_for = or_(without_order, order_exists, order_kept_back)
    columns = (refunds.c[name] for name in names)
    return _judged(refunds, windows, *columns, accounted_for.label("order_accounted_for"))


_SELECTS = {
    "customer": _customer_rows,
    "product": _product_rows,
    "order": _order_rows,
    "order_line": _order_line_rows,
    "refund": _refund_rows,
}
