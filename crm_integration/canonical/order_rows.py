"""Writes orders with their lines.

Prevents a re-sent order whose lines only changed their order from counting as a change: the
content is compared as a multiset of lines, while each line keeps its position as identity.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import Delete, FromClause, bindparam, delete, select
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.canonical.customer_rows import name_customers
from crm_integration.canonical.identity import IdentityKey, object_id
from crm_integration.canonical.orders import ORDER_SCHEMA, Order, OrderLine
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.canonical import order_lines, orders
from crm_integration.tenancy.scope import TenantScope

_STATED = (
    "source_id",
    "number",
    "placed_at",
    "paid_at",
    "cancelled_at",
    "currency",
    "total_minor",
    "tax_minor",
    "shipping_minor",
    "discount_minor",
    "financial_state",
    "fulfilment_state",
    "store_status",
)
_COLUMNS = (
    *("connection_id", "customer_id", "customer_kind", "customer_source_id"),
    *_STATED,
    *("line_count", "item_count", "sealed"),
)
_LINE = (
    "position",
    "product_source_id",
    "variant_source_id",
    "sku",
    "title",
    "quantity",
    "unit_price",
    "total_minor",
    "tax_minor",
)


def write_orders(scope: TenantScope, batch: Sequence[Sourced[Order]], stamp: Stamp) -> Upserted:
    """Upsert a batch of orders, one version per order, and the lines of those that changed."""
    named = name_customers(scope, [(_customer(one), one.raw_id) for one in batch], stamp)
    by_id = {object_id(scope, "order", one.connection_id, one.item.source_id): one for one in batch}
    rows = [
        _row(scope, order_id, one, named[_customer(one)], stamp) for order_id, one in by_id.items()
    ]
    upserted = upsert_versions(scope, orders, "order_id", _COLUMNS, rows)
    _write_lines(scope, {order_id: by_id[order_id].item for order_id in upserted.changed})
    return upserted


def _customer(sourced: Sourced[Order]) -> IdentityKey:
    order = sourced.item
    return IdentityKey(sourced.connection_id, order.customer_kind, order.customer_source_id)


def _row(
    scope: TenantScope,
    order_id: UUID,
    sourced: Sourced[Order],
    customer_id: UUID,
    stamp: Stamp,
) -> tuple[Any, ...]:
    order = sourced.item
    personal = {
        "email": order.email,
        "note": order.note,
        "billing": order.billing.model_dump() if order.billing else None,
        "shipping": order.shipping.model_dump() if order.shipping else None,
    }
    stated = [getattr(order, name) for name in _STATED]
    identity = [sourced.connection_id, order.customer_kind, order.customer_source_id]
    lines = sorted(orjson.dumps(_line(line)[1:], default=str).decode() for line in order.lines)
    content = content_digest(
        scope, "order", [*identity, *stated, list(personal.values()), lines, order.flags]
    )
    return (
        order_id,
        sourced.connection_id,
        customer_id,
        order.customer_kind,
        order.customer_source_id,
        *stated,
        len(order.lines),
        sum(line.quantity for line in order.lines),
        seal_fields(scope, "orders", str(order_id), personal),
        *version_values(sourced, stamp, rank=0, content=content, schema_version=ORDER_SCHEMA),
    )


def _line(line: OrderLine) -> tuple[Any, ...]:
    return (
        line.position,
        line.product_source_id,
        line.variant_source_id,
        line.sku,
        line.title,
        line.quantity,
        line.unit_price,
        line.total_minor,
        line.tax_minor,
    )


def _write_lines(scope: TenantScope, changed: dict[UUID, Order]) -> None:
    if not changed:
        return
    ids = [(one,) for one in changed]
    gone = hand(scope.connection, "gone", order_lines, ("order_id",), ids)
    scope.connection.execute(_clear(gone.source), {"tenant": scope.tenant, **gone.values})
    rows = (
        (scope.tenant, order_id, *_line(line))
        for order_id, order in changed.items()
        for line in order.lines
    )
    fresh = hand(scope.connection, "fresh", order_lines, _LINES, rows)
    scope.connection.execute(_add(fresh.source), fresh.values)


_LINES = ("tenant_id", "order_id", *_LINE)


@lru_cache(maxsize=16)
def _clear(gone: FromClause) -> Delete:
    return delete(order_lines).where(
        order_lines.c.tenant_id == bindparam("tenant"),
        order_lines.c.order_id.in_(select(gone.c.order_id)),
    )


@lru_cache(maxsize=16)
def _add(fresh: FromClause) -> Insert:
    return insert(order_lines).from_select(_LINES, select(*fresh.c))
