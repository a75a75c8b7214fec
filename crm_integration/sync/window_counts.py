"""What lies in each window, counted in the database for a whole run at once.

Prevents a query per partition: a run over a thousand windows asks once per entity and tenant.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import date

from sqlalchemy import ColumnElement, Table, and_, func, literal, select

from crm_integration.storage.bulk import join_by_hash
from crm_integration.storage.tables.canonical import customers, orders, products, refunds
from crm_integration.storage.tables.commerce import (
    activities,
    carts,
    companies,
    consent_events,
    shipments,
)
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.sync import ledger
from crm_integration.tenancy.scope import TenantScope

_TABLES: dict[str, tuple[Table, ColumnElement[int] | None]] = {
    "customer": (customers, None),
    "product": (products, None),
    "order": (orders, orders.c.total_minor),
    "refund": (refunds, refunds.c.amount_minor),
    "company": (companies, None),
    "consent": (consent_events, None),
    "shipment": (shipments, None),
    "cart": (carts, carts.c.total_minor),
    "activity": (activities, None),
}


@dataclass
class DayCounts:
    """Of one day: raw records, repeats that were not kept again, rows, money, ledger states."""

    raw: int = 0
    repeats: int = 0
    rows: int = 0
    minor: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    states: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))


Counts = dict[str, dict[date, DayCounts]]
"""By entity (or object type), by day of the raw record."""


def raw_counts(
    scope: TenantScope, span: tuple[date, date], object_types: Collection[str]
) -> Counts:
    """Raw records and their repeats by object type and day."""
    counts = _empty()
    if not object_types:
        return counts
    rows = scope.connection.execute(
        select(
            raw_records.c.object_type,
            raw_records.c.day,
            func.count().label("raw"),
            func.sum(raw_records.c.seen_again).label("repeats"),
        )
        .where(*_within(scope, span), raw_records.c.object_type.in_(object_types))
        .group_by(raw_records.c.object_type, raw_records.c.day)
    )
    for row in rows:
        of_day = counts[row.object_type][row.day]
        of_day.raw, of_day.repeats = row.raw, int(row.repeats)
    return counts


def canonical_counts(
    scope: TenantScope, span: tuple[date, date], entities: Collection[str]
) -> Counts:
    """Canonical rows, and money by currency, by entity and day of the row's raw record.

    Only these entities' tables are read: a sweep of carts each minute must not count all orders.
    """
    join_by_hash(scope.connection)
    counts = _empty()
    for entity in sorted(entities):
        table, amount = _TABLES[entity]
        currency = literal("") if amount is None else table.c.currency
        total = func.count() if amount is None else func.sum(amount)
        rows = scope.connection.execute(
            select(raw_records.c.day, currency.label("currency"), func.count(), total)
            .join_from(raw_records, table, _row_of(table))
            .where(*_within(scope, span))
            .group_by(raw_records.c.day, currency)
        )
        for day, code, number, money in rows:
            of_day = counts[entity][day]
            of_day.rows += number
            if amount is not None:
                of_day.minor[code] += int(money)
    return counts


def ledger_counts(
    scope: TenantScope, span: tuple[date, date], object_types: Collection[str]
) -> Counts:
    """Ledger rows of these types by object type, day of their raw record, and state."""
    counts = _empty()
    if not object_types:
        return counts
    join_by_hash(scope.connection)
    rows = scope.connection.execute(
        select(ledger.c.object_type, raw_records.c.day, ledger.c.state, func.count())
        .join_from(
            raw_records,
            ledger,
            and_(
                ledger.c.tenant_id == raw_records.c.tenant_id,
                ledger.c.raw_id == raw_records.c.raw_id,
            ),
        )
        .where(*_within(scope, span), ledger.c.object_type.in_(object_types))
        .group_by(ledger.c.object_type, raw_records.c.day, ledger.c.state)
    )
    for object_type, day, state, number in rows:
        of_day = counts[object_type][day]
        of_day.rows += number
        of_day.states[state] += number
    return counts


def summed(days: dict[date, DayCounts], start: date, end: date) -> DayCounts:
    """The counts of `[start, end)` added up."""
    total = DayCounts()
    for day, one in days.items():
        if start <= day < end:
            total.raw += one.raw
            total.repeats += one.repeats
            total.rows += one.rows
            for code, minor in one.minor.items():
                total.minor[code] += minor
            for state, number in one.states.items():
                total.states[state] += number
    return total


def _empty() -> Counts:
    return defaultdict(lambda: defaultdict(DayCounts))


def _within(scope: TenantScope, span: tuple[date, date]) -> list[ColumnElement[bool]]:
    return [
        raw_records.c.tenant_id == scope.tenant,
        raw_records.c.day >= span[0],
        raw_records.c.day < span[1],
    ]


def _row_of(table: Table) -> ColumnElement[bool]:
    return and_(
        table.c.tenant_id == raw_records.c.tenant_id, table.c.raw_id == raw_records.c.raw_id
    )
