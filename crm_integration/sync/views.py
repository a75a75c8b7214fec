"""Canonical rows as the views that mappings read, one set-based query per entity.

Prevents the query per record, and a view that shows a row the gate has not let through: only
rows that passed the rules at their current version are read.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Table, or_, select

from crm_integration.canonical.sourced import open_fields
from crm_integration.storage.tables.canonical import (
    addresses,
    customer_identities,
    customers,
    orders,
    products,
    refunds,
)
from crm_integration.tenancy.scope import TenantScope

View = dict[str, Any]


@dataclass(frozen=True)
class Projectable:
    """One canonical row that is to be mapped; `view` has the keys of the entity's View model."""

    object_id: UUID
    view: View
    source_time: datetime
    raw_id: int
    rules_version: str
    email_is_key: bool = True


@dataclass(frozen=True)
class EntityView:
    """How one entity is read: its table, its id, when a row is ready, and how it is shown."""

    table: Table
    key: ColumnElement[UUID]
    read: Callable[[TenantScope, str, int], list[Projectable]]


def _chosen(
    scope: TenantScope, table: Table, rules_version: str, limit: int, *columns: Any
) -> Select[Any]:
    return (
        select(table, *columns)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.needs_projection,
            table.c.rules_version == rules_version,
        )
        .limit(limit)
    )


def _customers(scope: TenantScope, rules_version: str, limit: int) -> list[Projectable]:
    statement = _chosen(scope, customers, rules_version, limit).where(
        customers.c.known, customers.c.merged_into.is_(None)
    )
    rows = scope.connection.execute(statement).all()
    places = _addresses(scope, [row.customer_id for row in rows])
    shared = _shared_mailboxes(scope, [row.customer_id for row in rows])
    return [
        _projectable(
            row.customer_id,
            row,
            {
                "id": row.customer_id,
                "kind": row.kind,
                **open_fields(scope, "customers", str(row.customer_id), row.sealed),
                "registered_at": row.registered_at,
                "billing": places[row.customer_id].get("billing"),
                "shipping": places[row.customer_id].get("shipping"),
                "store": row.connection_id,
                "store_customer_id": row.store_customer_id,
                "lifecycle_stage": row.lifecycle_stage,
                "orders_count": row.orders_count,
                "first_order_at": row.first_order_at,
                "last_order_at": row.last_order_at,
            },
            email_is_key=row.customer_id not in shared,
        )
        for row in rows
    ]


def _addresses(scope: TenantScope, ids: Collection[UUID]) -> dict[UUID, dict[str, View]]:
    found: dict[UUID, dict[str, View]] = defaultdict(dict)
    rows = scope.connection.execute(
        select(addresses).where(
            addresses.c.tenant_id == scope.tenant, addresses.c.customer_id.in_(list(ids))
        )
    )
    for row in rows:
        name = f"{row.customer_id}/{row.kind}"
        found[row.customer_id][row.kind] = {
            "kind": row.kind,
            **open_fields(scope, "addresses", name, row.sealed),
        }
    return found


def _shared_mailboxes(scope: TenantScope, ids: Collection[UUID]) -> set[UUID]:
    """Customers whose address is shared by too many: nobody in the CRM is found by it."""
    rows = scope.connection.execute(
        select(customer_identities.c.customer_id)
        .distinct()
        .where(
            customer_identities.c.tenant_id == scope.tenant,
            customer_identities.c.customer_id.in_(list(ids)),
            customer_identities.c.rule == "shared_mailbox",
        )
    )
    return {row.customer_id for row in rows}


def _products(scope: TenantScope, rules_version: str, limit: int) -> list[Projectable]:
    rows = scope.connection.execute(_chosen(scope, products, rules_version, limit)).all()
    names = ("source_id", "title", "sku", "status", "description", "currency", "price_minor")
    return [
        _projectable(
            row.product_id,
            row,
            {
                "id": row.product_id,
                **_picked(row, names),
                "variant_count": len(row.variants),
                "store": row.connection_id,
            },
        )
        for row in rows
    ]


_ORDER = (
    *("source_id", "number", "customer_id", "placed_at", "paid_at", "currency", "total_minor"),
    *("tax_minor", "shipping_minor", "discount_minor", "refunded_minor", "refund_count"),
    *("financial_state", "fulfilment_state", "store_status", "line_count", "item_count"),
)


def _orders(scope: TenantScope, rules_version: str, limit: int) -> list[Projectable]:
    rows = scope.connection.execute(_chosen(scope, orders, rules_version, limit)).all()
    return [_projectable(row.order_id, row, _order_view(scope, row)) for row in rows]


def _order_view(scope: TenantScope, row: Row[Any]) -> View:
    personal = open_fields(scope, "orders", str(row.order_id), row.sealed)
    return {
        "id": row.order_id,
        **_picked(row, _ORDER),
        "is_guest": row.customer_kind == "guest",
        "billing": personal.get("billing"),
        "shipping": personal.get("shipping"),
        "store": row.connection_id,
    }


def _refunds(scope: TenantScope, rules_version: str, limit: int) -> list[Projectable]:
    """A refund whose order is named but not known so far waits for it."""
    statement = (
        _chosen(
            scope,
            refunds,
            rules_version,
            limit,
            orders.c.number.label("order_number"),
            orders.c.customer_id.label("order_customer_id"),
        )
        .join_from(
            refunds,
            orders,
            (orders.c.tenant_id == scope.tenant) & (orders.c.order_id == refunds.c.order_id),
            isouter=True,
        )
        .where(or_(refunds.c.order_source_id.is_(None), orders.c.order_id.is_not(None)))
    )
    names = ("source_id", "number", "order_id", "refunded_at", "currency", "amount_minor")
    return [
        _projectable(
            row.refund_id,
            row,
            {
                "id": row.refund_id,
                **_picked(row, names),
                "order_number": row.order_number,
                "customer_id": row.order_customer_id or row.customer_id,
                **open_fields(scope, "refunds", str(row.refund_id), row.sealed),
                "store": row.connection_id,
            },
        )
        for row in scope.connection.execute(statement).all()
    ]


def _picked(row: Row[Any], names: tuple[str, ...]) -> View:
    return {name: getattr(row, name) for name in names}


def _projectable(
    object_id: UUID, row: Row[Any], view: View, *, email_is_key: bool = True
) -> Projectable:
    return Projectable(
        object_id, view, row.source_time, row.raw_id, row.rules_version, email_is_key
    )


VIEWS: Mapping[str, EntityView] = {
    "customer": EntityView(customers, customers.c.customer_id, _customers),
    "product": EntityView(products, products.c.product_id, _products),
    "order": EntityView(orders, orders.c.order_id, _orders),
    "refund": EntityView(refunds, refunds.c.refund_id, _refunds),
}
