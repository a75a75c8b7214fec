"""Marks what a store deleted, and what came back.

Prevents two losses: the order that still counts although the store has it no more, and the one
that vanishes from the CRM because somebody emptied a trash. A deleted object keeps its row and
its history, is told of as deleted, and counts nowhere; a person stays, and only what the deleted
account said about them is no source any more.

Callers hold the tenant's identity lock (`identity.lock_identities`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Table, func, select, update

from crm_integration.canonical.customer_rows import recompute_customers
from crm_integration.canonical.facts import owners_of, refresh_customers, refresh_orders
from crm_integration.canonical.identity import object_id
from crm_integration.canonical.sourced import Stamp
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customer_identities, orders, products, refunds
from crm_integration.storage.tables.commerce import carts, shipments
from crm_integration.tenancy.scope import TenantScope

_TABLES: dict[str, tuple[Table, str]] = {
    "product": (products, "product_id"),
    "order": (orders, "order_id"),
    "refund": (refunds, "refund_id"),
    "shipment": (shipments, "shipment_id"),
    "cart": (carts, "cart_id"),
}

_IDENTITIES = {"customer": ("registered", ""), "order": ("guest", ""), "cart": ("lead", "cart/")}
"""Object type -> kind and prefix of the identity that lives in such an object."""


@dataclass(frozen=True)
class Presence:
    """Whether the store has an object: `gone_at` and the tombstone's raw id, both None if so."""

    source_id: str
    gone_at: datetime | None = None
    raw_id: int | None = None


def note_presence(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    many: Sequence[Presence],
    stamp: Stamp,
    stores: Sequence[str] = (),
) -> set[str]:
    """Mark these objects of a connection as deleted or there, and count anew what that moves.

    Returns the source ids of those of whom that was not known. `stores` as in `write_customers`.
    """
    changed = _mark_rows(scope, connection_id, object_type, many)
    people, silenced = _mark_identities(scope, connection_id, object_type, many)
    owners: set[UUID] = set()
    if people:
        owners |= recompute_customers(scope, people, stamp, stores).changed
    touched = _orders_of(scope, object_type, list(changed))
    if touched:
        refresh_orders(scope, touched)
        owners |= owners_of(scope, touched)
    if owners:
        refresh_customers(scope, owners)
    return set(changed.values()) | silenced


def known_objects(
    scope: TenantScope, connection_id: str, object_type: str, source_ids: Sequence[str]
) -> set[str]:
    """Those of these objects that have a canonical row of their own."""
    if object_type not in _TABLES:
        kind, prefix = _IDENTITIES.get(object_type, (object_type, ""))
        people = customer_identities
        rows = scope.connection.execute(
            select(people.c.source_id).where(
                people.c.tenant_id == scope.tenant,
                people.c.connection_id == connection_id,
                people.c.kind == kind,
                people.c.source_id.in_([prefix + one for one in source_ids]),
                people.c.known,
            )
        )
        return {one.removeprefix(prefix) for one in rows.scalars()}
    table, key = _TABLES[object_type]
    named = {object_id(scope, object_type, connection_id, one): one for one in source_ids}
    found = scope.connection.execute(
        select(table.c[key]).where(table.c.tenant_id == scope.tenant, table.c[key].in_(named))
    )
    return {named[one] for one in found.scalars()}


def _mark_rows(
    scope: TenantScope, connection_id: str, object_type: str, many: Sequence[Presence]
) -> dict[UUID, str]:
    """Canonical id -> source id of the rows whose mark changed."""
    if object_type not in _TABLES:
        return {}
    table, key = _TABLES[object_type]
    named = {object_id(scope, object_type, connection_id, one.source_id): one for one in many}
    staged = stage(
        scope.connection,
        table,
        (key, "deleted_at", "deleted_raw_id"),
        [(row, one.gone_at, one.raw_id) for row, one in named.items()],
    )
    values: dict[str, Any] = {
        "deleted_at": staged.c.deleted_at,
        "deleted_raw_id": staged.c.deleted_raw_id,
        "needs_projection": True,
        "changed_at": func.now(),
    }
    if table is carts:
        # Nobody is reminded of a cart that is no more; one that came back is judged anew.
        values["settled"] = staged.c.deleted_at.is_not(None) | carts.c.swept_at.is_not(None)
    rows = scope.connection.execute(
        update(table)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c[key] == staged.c[key],
            table.c.deleted_raw_id.is_distinct_from(staged.c.deleted_raw_id),
        )
        .values(values)
        .returning(table.c[key])
    )
    return {row: named[row].source_id for row in rows.scalars()}


def _mark_identities(
    scope: TenantScope, connection_id: str, object_type: str, many: Sequence[Presence]
) -> tuple[set[UUID], set[str]]:
    """Customers of whom an identity was marked, and the source ids of the objects they live in."""
    if object_type not in _IDENTITIES:
        return set(), set()
    kind, prefix = _IDENTITIES[object_type]
    table = customer_identities
    staged = stage(
        scope.connection,
        table,
        ("source_id", "deleted_at", "deleted_raw_id"),
        [(prefix + one.source_id, one.gone_at, one.raw_id) for one in many],
    )
    rows = scope.connection.execute(
        update(table)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.connection_id == connection_id,
            table.c.kind == kind,
            table.c.source_id == staged.c.source_id,
            table.c.deleted_raw_id.is_distinct_from(staged.c.deleted_raw_id),
        )
        .values(deleted_at=staged.c.deleted_at, deleted_raw_id=staged.c.deleted_raw_id)
        .returning(table.c.customer_id, table.c.source_id)
    ).all()
    return {row.customer_id for row in rows}, {row.source_id.removeprefix(prefix) for row in rows}


def _orders_of(scope: TenantScope, object_type: str, changed: Sequence[UUID]) -> set[UUID]:
    """The orders that these rows are, or belong to."""
    if not changed or object_type not in ("order", "refund", "shipment"):
        return set()
    if object_type == "order":
        return set(changed)
    table, key = _TABLES[object_type]
    rows = scope.connection.execute(
        select(table.c.order_id).where(
            table.c.tenant_id == scope.tenant,
            table.c[key].in_(changed),
            table.c.order_id.is_not(None),
        )
    )
    return set(rows.scalars())
