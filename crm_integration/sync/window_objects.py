"""Which objects a window is about.

Prevents the replay of a month that writes another month: every object with a raw record in the
window is meant, with whom and what it belongs to, and no other.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from uuid import UUID

from sqlalchemy import Column, FromClause, Select, Table, and_, or_, select

from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import (
    customer_identities,
    customers,
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
from crm_integration.stores._contract import Window
from crm_integration.sync.project import Among
from crm_integration.tenancy.scope import TenantScope


def objects_of(scope: TenantScope, windows: Sequence[Window]) -> Among:
    """Canonical ids by CRM object type of what has a raw record in one of the windows.

    With an order come its customer and with a refund or a parcel its order, since what they show
    is counted anew with it; with a customer comes the company.
    """
    raws = stage(scope.connection, raw_records, ("raw_id",), _raw_ids(scope, windows))
    found = _Found(scope, raws)
    order_ids = found.made_of(orders.c.order_id)
    named = found.made_of(refunds.c.order_id) | found.made_of(shipments.c.order_id)
    order_ids |= found.beside(orders.c.order_id, named, orders.c.order_id)
    people = found.made_of(customer_identities.c.customer_id) | found.who_spoke()
    people |= found.beside(orders.c.order_id, order_ids, orders.c.customer_id)
    firms = found.made_of(companies.c.company_id)
    firms |= found.beside(customers.c.customer_id, people, customers.c.company_id)
    chosen = {
        "company": firms,
        "contact": people,
        "product": found.made_of(products.c.product_id),
        "order": order_ids,
        "refund": found.made_of(refunds.c.refund_id),
        "cart": found.made_of(carts.c.cart_id),
        "activity": found.made_of(activities.c.activity_id),
    }
    return {object_type: tuple(sorted(ids)) for object_type, ids in chosen.items()}


def _raw_ids(scope: TenantScope, windows: Sequence[Window]) -> list[tuple[int]]:
    """All raw records of the objects that have one in a window: a canonical row may have been
    made of an earlier or a later one."""
    key = ("connection_id", "object_type", "source_id")
    days = [and_(raw_records.c.day >= one.start, raw_records.c.day < one.end) for one in windows]
    touched = (
        select(*(raw_records.c[name] for name in key))
        .where(raw_records.c.tenant_id == scope.tenant, or_(*days))
        .distinct()
        .subquery()
    )
    same = and_(*(raw_records.c[name] == touched.c[name] for name in key))
    rows = scope.connection.execute(
        select(raw_records.c.raw_id)
        .join_from(touched, raw_records, same)
        .where(raw_records.c.tenant_id == scope.tenant)
    )
    return [(row.raw_id,) for row in rows]


class _Found:
    """Ids of canonical rows, by the raw records they were made of or by what they belong to."""

    def __init__(self, scope: TenantScope, raws: FromClause) -> None:
        self._scope, self._raws = scope, raws

    def made_of(self, column: Column[UUID]) -> set[UUID]:
        """Values of a column of the rows that were made of one of the raw records."""
        table = column.table
        same = table.c.raw_id == self._raws.c.raw_id
        return self._ids(select(column).join_from(self._raws, table, same), table)

    def who_spoke(self) -> set[UUID]:
        """The customers whose word about consent is in one of the raw records."""
        said, who = consent_events.c, customer_identities.c
        person = and_(
            who.tenant_id == said.tenant_id,
            who.connection_id == said.connection_id,
            who.kind == said.customer_kind,
            who.source_id == said.customer_source_id,
        )
        statement = (
            select(who.customer_id)
            .join_from(self._raws, consent_events, said.raw_id == self._raws.c.raw_id)
            .join(customer_identities, person)
        )
        return self._ids(statement, consent_events)

    def beside(self, key: Column[UUID], ids: Iterable[UUID], column: Column[UUID]) -> set[UUID]:
        """Values of a column of the rows with these keys."""
        table = key.table
        asked = stage(self._scope.connection, table, (key.name,), [(one,) for one in ids])
        statement = select(column).join_from(asked, table, key == asked.c[key.name])
        return self._ids(statement, table)

    def _ids(self, statement: Select[UUID], table: Table) -> set[UUID]:
        within = statement.where(table.c.tenant_id == self._scope.tenant)
        return set(self._scope.connection.execute(within).scalars()) - {None}
