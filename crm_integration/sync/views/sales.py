"""Products, orders and refunds as mappings read them."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from sqlalchemy import Row, Select, and_, bindparam, or_

from crm_integration.canonical.orders import FulfilmentState
from crm_integration.canonical.sourced import open_fields
from crm_integration.storage.tables.canonical import orders, products, refunds
from crm_integration.sync.views.projectable import (
    DELETED,
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


@lru_cache(maxsize=16)
def _products(asked: Asked) -> Select[Any]:
    return waiting_rows(products, asked)


@lru_cache(maxsize=16)
def _orders(asked: Asked) -> Select[Any]:
    return waiting_rows(orders, asked)


@lru_cache(maxsize=16)
def _refunds(asked: Asked) -> Select[Any]:
    number = orders.c.number.label("order_number")
    customer = orders.c.customer_id.label("order_customer_id")
    its_order = and_(
        orders.c.tenant_id == bindparam("tenant"), orders.c.order_id == refunds.c.order_id
    )
    return (
        waiting_rows(refunds, asked, number, customer)
        .join_from(refunds, orders, its_order, isouter=True)
        .where(or_(refunds.c.order_source_id.is_(None), orders.c.order_id.is_not(None)))
    )


def read_products(scope: TenantScope, choice: Choice) -> list[Projectable]:
    rows = chosen(scope, choice, _products)
    names = ("source_id", "title", "sku", "status", "description", "currency", "price_minor")
    return [
        projectable(
            row.product_id,
            row,
            {
                "id": row.product_id,
                **picked(row, names),
                "status": DELETED if row.deleted_at else row.status,
                "variant_count": len(row.variants),
                "store": row.connection_id,
            },
        )
        for row in rows
    ]


_ORDER = (
    *("source_id", "number", "customer_id", "placed_at", "paid_at", "currency", "total_minor"),
    *("tax_minor", "shipping_minor", "discount_minor", "refunded_minor", "refund_count"),
    *("financial_state", "store_status", "line_count", "item_count", "shipment_count"),
    "shipped_items",
)


def read_orders(scope: TenantScope, choice: Choice) -> list[Projectable]:
    rows = chosen(scope, choice, _orders)
    return [projectable(row.order_id, row, _order_view(scope, row)) for row in rows]


def _order_view(scope: TenantScope, row: Row[Any]) -> View:
    personal = open_fields(scope, "orders", str(row.order_id), row.sealed)
    return {
        "id": row.order_id,
        **picked(row, _ORDER),
        "store_status": DELETED if row.deleted_at else row.store_status,
        "fulfilment_state": _fulfilment(row),
        "is_guest": row.customer_kind == "guest",
        "billing": personal.get("billing"),
        "shipping": personal.get("shipping"),
        "store": row.connection_id,
    }


def read_refunds(scope: TenantScope, choice: Choice) -> list[Projectable]:
    """A refund whose order is named but not known so far waits for it."""
    names = ("source_id", "number", "order_id", "refunded_at", "currency", "amount_minor")
    return [
        projectable(
            row.refund_id,
            row,
            {
                "id": row.refund_id,
                **picked(row, names),
                "order_number": row.order_number,
                "customer_id": row.order_customer_id or row.customer_id,
                **open_fields(scope, "refunds", str(row.refund_id), row.sealed),
                "store": row.connection_id,
            },
        )
        for row in chosen(scope, choice, _refunds)
    ]


def _fulfilment(row: Row[Any]) -> str:
    """What the store says; parcels tell more where it still says that nothing was sent."""
    if row.fulfilment_state != FulfilmentState.unfulfilled or not row.shipped_items:
        return row.fulfilment_state
    whole = row.shipped_items >= row.item_count
    return FulfilmentState.fulfilled if whole else FulfilmentState.partial
