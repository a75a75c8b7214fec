"""Carts and activities as mappings read them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, and_, bindparam, or_

from crm_integration.canonical.activities import ActivityKind
from crm_integration.canonical.carts import CartState
from crm_integration.canonical.money import to_decimal_text
from crm_integration.canonical.sourced import open_fields
from crm_integration.storage.tables.canonical import orders
from crm_integration.storage.tables.commerce import activities, carts
from crm_integration.sync.views.projectable import (
    Asked,
    Choice,
    Projectable,
    View,
    chosen,
    picked,
    projectable,
    waiting_rows,
)
from crm_integration.tenancy.scope import TenantScope

_SHOWN_LINES = 10
"""Lines of a cart that people are shown."""

_CART = (
    *("source_id", "customer_id", "order_id", "order_number", "started_at", "completed_at"),
    *("currency", "total_minor", "line_count", "item_count"),
)
_ACTIVITY = (
    *("source_id", "kind", "occurred_at", "order_id", "order_number", "number", "currency"),
    "amount_minor",
)


def read_carts(scope: TenantScope, choice: Choice) -> list[Projectable]:
    """Carts of somebody: nobody could be told about the others."""
    rows = chosen(scope, choice, _carts)
    return [projectable(row.cart_id, row, _cart(scope, row)) for row in rows]


@lru_cache(maxsize=16)
def _carts(asked: Asked) -> Select[Any]:
    return (
        waiting_rows(carts, asked, orders.c.number.label("order_number"))
        .join_from(carts, orders, _is_order(carts.c.order_id), isouter=True)
        .where(carts.c.customer_id.is_not(None))
    )


def _is_order(order_id: ColumnElement[UUID]) -> ColumnElement[bool]:
    return and_(orders.c.tenant_id == bindparam("tenant"), orders.c.order_id == order_id)


def _cart(scope: TenantScope, row: Row[Any]) -> View:
    personal = open_fields(scope, "carts", str(row.cart_id), row.sealed)
    lines = personal.get("lines", [])
    items = [f"{line['quantity']} x {line['title'] or line['sku']}" for line in lines]
    more = [f"and {len(items) - _SHOWN_LINES} more"] if len(items) > _SHOWN_LINES else []
    return {
        "id": row.cart_id,
        **picked(row, _CART),
        "changed_at": row.cart_changed_at,
        "state": _state(row),
        "abandoned_at": row.swept_at,
        "recovery_url": personal.get("recovery_url", ""),
        "items": ", ".join([*items[:_SHOWN_LINES], *more]),
        "store": row.connection_id,
    }


def _state(row: Row[Any]) -> CartState:
    if row.completed_at is not None or row.order_number is not None:
        return CartState.converted
    if row.deleted_at is not None:
        return CartState.deleted
    return CartState.open if row.swept_at is None else CartState.abandoned


def read_activities(scope: TenantScope, choice: Choice) -> list[Projectable]:
    """One about an order that is not known so far waits for it."""
    rows = chosen(scope, choice, _activities)
    return [
        projectable(
            row.activity_id,
            row,
            {
                "id": row.activity_id,
                **picked(row, _ACTIVITY),
                "title": title(row),
                "customer_id": row.order_customer_id or row.customer_id,
                **_written(scope, row),
                "store": row.connection_id,
            },
        )
        for row in rows
    ]


@lru_cache(maxsize=16)
def _activities(asked: Asked) -> Select[Any]:
    named = (
        orders.c.number.label("order_number"),
        orders.c.customer_id.label("order_customer_id"),
    )
    return (
        waiting_rows(activities, asked, *named)
        .join_from(activities, orders, _is_order(activities.c.order_id), isouter=True)
        .where(or_(activities.c.order_source_id.is_(None), orders.c.order_id.is_not(None)))
    )


def _written(scope: TenantScope, row: Row[Any]) -> View:
    """What people wrote."""
    opened = open_fields(scope, "activities", str(row.activity_id), row.sealed)
    return {"subject": opened.get("subject", ""), "body": opened.get("body", "")}


_TITLES = {
    ActivityKind.order_placed: "Order {order} placed",
    ActivityKind.order_paid: "Order {order} paid",
    ActivityKind.order_cancelled: "Order {order} cancelled",
    ActivityKind.shipped: "Parcel of order {order} shipped",
    ActivityKind.delivered: "Parcel of order {order} delivered",
    ActivityKind.support: "Support request",
    ActivityKind.note: "Note",
}


def title(row: Row[Any]) -> str:
    """Our sentence for what happened: `Order 1001 paid: 12.30 GBP`."""
    said = _TITLES[ActivityKind(row.kind)].format(order=row.order_number or row.number)
    if row.kind == ActivityKind.note and row.order_number:
        said = f"Note on order {row.order_number}"
    if row.amount_minor is None or row.currency is None:
        return said
    return f"{said}: {to_decimal_text(row.amount_minor, row.currency)} {row.currency}"
