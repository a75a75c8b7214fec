"""What is judged of each canonical table: the columns that rules read, and references resolved.

Prevents a suite from judging by names alone: whether a parcel's order exists is asked in the
database, in the same statement that reads the parcel.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Select,
    String,
    Table,
    and_,
    case,
    cast,
    exists,
    func,
    or_,
    select,
)

from crm_integration.quality.verdicts import Window
from crm_integration.storage.tables.canonical import (
    customer_identities,
    customers,
    order_lines,
    orders,
    products,
    refunds,
)
from crm_integration.storage.tables.commerce import (
    activities,
    carts,
    companies,
    consent_events,
    shipments,
)
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.quality import quarantine

OBJECT_KEY = ("connection_id", "source_id")
"""The first two columns of every frame, by which its rows are sorted."""


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


def _named(table: Table, windows: Sequence[Window], *names: str) -> Select[Any]:
    """The key, the source time and these columns of a table."""
    columns = (table.c[name] for name in (*OBJECT_KEY, "source_time", *names))
    return _judged(table, windows, *columns)


def _order_accounted_for(table: Table) -> ColumnElement[bool]:
    """The order that a row names is there, or kept back; a row that names none passes."""
    order_exists = exists().where(
        orders.c.tenant_id == table.c.tenant_id, orders.c.order_id == table.c.order_id
    )
    # One order kept back must not hold every refund of the merchant.
    order_kept_back = exists().where(
        quarantine.c.tenant_id == table.c.tenant_id,
        quarantine.c.connection_id == table.c.connection_id,
        quarantine.c.entity == "order",
        quarantine.c.source_id == table.c.order_source_id,
        quarantine.c.released_at.is_(None),
    )
    without_order = table.c.order_source_id.is_(None)
    return or_(without_order, order_exists, order_kept_back).label("order_accounted_for")


def _identity_exists(table: Table) -> ColumnElement[bool]:
    """The customer that a row names is a known identity; a row that names none passes."""
    known = exists().where(
        customer_identities.c.tenant_id == table.c.tenant_id,
        customer_identities.c.connection_id == table.c.connection_id,
        customer_identities.c.kind == table.c.customer_kind,
        customer_identities.c.source_id == table.c.customer_source_id,
    )
    return or_(table.c.customer_source_id.is_(None), known).label("identity_exists")


def _customer_rows(windows: Sequence[Window]) -> Select[Any]:
    own_id = cast(customers.c.customer_id, String)
    # A guest has no account id in the store; only accounts can be there twice.
    source_id = func.coalesce(customers.c.store_customer_id, own_id).label("source_id")
    columns = (customers.c.connection_id, source_id, customers.c.source_time, customers.c.kind)
    statement = _judged(customers, windows, *columns)
    return statement.where(customers.c.merged_into.is_(None), customers.c.known)


def _company_rows(windows: Sequence[Window]) -> Select[Any]:
    return _named(companies, windows)


def _consent_rows(windows: Sequence[Window]) -> Select[Any]:
    # What the store did not time counts from its receipt, whenever the object was changed.
    by_store = consent_events.c.timed_by == "store"
    stated = case((by_store, consent_events.c.event_at)).label("consented_at")
    names = ("customer_source_id", "channel", "state", "level", "event_at")
    statement = _named(consent_events, windows, *names)
    return statement.add_columns(stated, _identity_exists(consent_events))


def _product_rows(windows: Sequence[Window]) -> Select[Any]:
    return _named(products, windows, "title", "currency", "price_minor", "status")


def _order_rows(windows: Sequence[Window]) -> Select[Any]:
    times = ("placed_at", "paid_at", "cancelled_at")
    states = ("number", "currency", "financial_state", "fulfilment_state")
    amounts = ("total_minor", "tax_minor", "shipping_minor", "line_count")
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
    return _named(orders, windows, *times, *states, *amounts).add_columns(
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
    too_much = exists().where(
        orders.c.tenant_id == refunds.c.tenant_id,
        orders.c.order_id == refunds.c.order_id,
        orders.c.currency == refunds.c.currency,
        orders.c.refunded_minor > orders.c.total_minor,
    )
    statement = _named(refunds, windows, "currency", "amount_minor", "refunded_at")
    return statement.add_columns(
        _order_accounted_for(refunds),
        _identity_exists(refunds),
        (~too_much).label("within_order"),
    )


def _shipment_rows(windows: Sequence[Window]) -> Select[Any]:
    names = ("order_source_id", "state", "shipped_at", "delivered_at")
    return _named(shipments, windows, *names).add_columns(_order_accounted_for(shipments))


def _cart_rows(windows: Sequence[Window]) -> Select[Any]:
    names = ("currency", "total_minor", "line_count", "started_at", "completed_at")
    return _named(carts, windows, *names).add_columns(
        carts.c.cart_changed_at.label("changed_at"),
        carts.c.store_abandoned_at.label("abandoned_at"),
        _order_accounted_for(carts),
        _identity_exists(carts),
    )


def _activity_rows(windows: Sequence[Window]) -> Select[Any]:
    named = ("kind", "occurred_at", "currency", "amount_minor")
    about = ("order_source_id", "customer_source_id")
    return _named(activities, windows, *named, *about).add_columns(
        _order_accounted_for(activities), _identity_exists(activities)
    )


SELECTS: dict[str, Callable[[Sequence[Window]], Select[Any]]] = {
    "company": _company_rows,
    "customer": _customer_rows,
    "consent": _consent_rows,
    "product": _product_rows,
    "order": _order_rows,
    "order_line": _order_line_rows,
    "refund": _refund_rows,
    "shipment": _shipment_rows,
    "cart": _cart_rows,
    "activity": _activity_rows,
}
"""What can be judged in tables; the lines of a cart lie sealed in it and are judged as rows."""
