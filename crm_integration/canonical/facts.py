"""Facts that one object owes to others: an order's refunds and parcels, a customer's stage.

Prevents sums that drift: they are never added to, always counted anew from the rows, and a row
is sent on only when a fact of it really changed.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    FromClause,
    Select,
    Subquery,
    Table,
    Update,
    and_,
    bindparam,
    case,
    false,
    func,
    or_,
    select,
    update,
)

from crm_integration.canonical.customers import LifecycleStage
from crm_integration.canonical.orders import FinancialState
from crm_integration.canonical.shipments import ShipmentState
from crm_integration.storage.bulk import Handed, hand
from crm_integration.storage.tables.canonical import customers, orders, refunds
from crm_integration.storage.tables.commerce import activities, carts, shipments
from crm_integration.tenancy.scope import TenantScope

_UNCOUNTED = (FinancialState.cancelled.value, FinancialState.failed.value)


_ON_ITS_WAY = (ShipmentState.shipped.value, ShipmentState.delivered.value)


def refresh_orders(scope: TenantScope, order_ids: Iterable[UUID]) -> None:
    """Count the refunds and the parcels of these orders anew; deleted ones do not count."""
    asked = _orders(scope, order_ids)
    said = {"tenant": scope.tenant, **asked.values}
    scope.connection.execute(_recounted_orders(asked.source), said)


def _orders(scope: TenantScope, order_ids: Iterable[UUID]) -> Handed:
    ids = [(one,) for one in set(order_ids)]
    return hand(scope.connection, "asked", orders, ("order_id",), ids)


@lru_cache(maxsize=16)
def _recounted_orders(asked: FromClause) -> Update:
    back, sent = _refunds_of(asked), _parcels_of(asked)
    counted = {
        "refunded_minor": back.c.refunded,
        "refund_count": back.c.count,
        "shipment_count": sent.c.count,
        "shipped_items": sent.c.shipped,
    }
    return (
        update(orders)
        .where(
            orders.c.tenant_id == bindparam("tenant"),
            orders.c.order_id == back.c.order_id,
            orders.c.order_id == sent.c.order_id,
            or_(*(orders.c[name] != value for name, value in counted.items())),
        )
        .values({**counted, "needs_projection": True})
    )


def _refunds_of(asked: FromClause) -> Subquery:
    theirs = and_(
        refunds.c.tenant_id == bindparam("tenant"),
        refunds.c.order_id == asked.c.order_id,
        refunds.c.deleted_at.is_(None),
    )
    return (
        select(
            asked.c.order_id,
            func.coalesce(func.sum(refunds.c.amount_minor), 0).label("refunded"),
            func.count(refunds.c.refund_id).label("count"),
        )
        .join_from(asked, refunds, theirs, isouter=True)
        .group_by(asked.c.order_id)
        .subquery()
    )


def _parcels_of(asked: FromClause) -> Subquery:
    """Parcels that left; one that is only labelled or was called back ships nothing."""
    theirs = and_(
        shipments.c.tenant_id == bindparam("tenant"),
        shipments.c.order_id == asked.c.order_id,
        shipments.c.state.in_(_ON_ITS_WAY),
        shipments.c.deleted_at.is_(None),
    )
    return (
        select(
            asked.c.order_id,
            func.count(shipments.c.shipment_id).label("count"),
            func.coalesce(func.sum(shipments.c.item_count), 0).label("shipped"),
        )
        .join_from(asked, shipments, theirs, isouter=True)
        .group_by(asked.c.order_id)
        .subquery()
    )


def owners_of(scope: TenantScope, order_ids: Iterable[UUID]) -> set[UUID]:
    """The customers that these orders belong to now."""
    asked = _orders(scope, order_ids)
    said = {"tenant": scope.tenant, **asked.values}
    return set(scope.connection.execute(_owners(asked.source), said).scalars())


@lru_cache(maxsize=16)
def _owners(asked: FromClause) -> Select[Any]:
    return (
        select(orders.c.customer_id)
        .distinct()
        .where(
            orders.c.tenant_id == bindparam("tenant"),
            orders.c.order_id.in_(select(asked.c.order_id)),
        )
    )


def retell_dependents(scope: TenantScope, order_ids: Iterable[UUID]) -> None:
    """What shows an order's number and customer is mapped anew: refunds, activities, carts."""
    asked = _orders(scope, order_ids)
    said = {"tenant": scope.tenant, **asked.values}
    for table in (refunds, activities, carts):
        scope.connection.execute(_retold(table, asked.source), said)


@lru_cache(maxsize=48)
def _retold(table: Table, asked: FromClause) -> Update:
    return (
        update(table)
        .where(
            table.c.tenant_id == bindparam("tenant"),
            table.c.order_id.in_(select(asked.c.order_id)),
            ~table.c.needs_projection,
        )
        .values(needs_projection=True)
    )


def note_lapsed(scope: TenantScope, after_days: int) -> None:
    """Who has not ordered for so many days has lapsed; who ordered again has not."""
    long_ago = func.now() - timedelta(days=after_days)
    lapsed = func.coalesce(customers.c.last_order_at < long_ago, false())
    scope.connection.execute(
        update(customers)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.merged_into.is_(None),
            customers.c.lapsed != lapsed,
        )
        .values(lapsed=lapsed, needs_projection=True)
    )


def refresh_customers(scope: TenantScope, customer_ids: Iterable[UUID]) -> None:
    """Count the orders of these customers anew, and derive their stage.

    Cancelled, failed and deleted orders do not count. No order: lead; only unpaid ones:
    opportunity; one: customer; more: repeat.
    """
    ids = [(one,) for one in set(customer_ids)]
    owners = hand(scope.connection, "owners", customers, ("customer_id",), ids)
    said = {"tenant": scope.tenant, **owners.values}
    scope.connection.execute(_recounted_customers(owners.source), said)


@lru_cache(maxsize=16)
def _recounted_customers(owners: FromClause) -> Update:
    sums = _orders_of(owners)
    derived = case(
        (sums.c.count == 0, LifecycleStage.lead.value),
        (sums.c.paid == 0, LifecycleStage.opportunity.value),
        (sums.c.count == 1, LifecycleStage.customer.value),
        else_=LifecycleStage.repeat.value,
    )
    return (
        update(customers)
        .where(
            customers.c.tenant_id == bindparam("tenant"),
            customers.c.customer_id == sums.c.customer_id,
            or_(
                customers.c.orders_count != sums.c.count,
                customers.c.first_order_at.is_distinct_from(sums.c.first),
                customers.c.last_order_at.is_distinct_from(sums.c.last),
                customers.c.lifecycle_stage != derived,
            ),
        )
        .values(
            orders_count=sums.c.count,
            first_order_at=sums.c.first,
            last_order_at=sums.c.last,
            lifecycle_stage=derived,
            needs_projection=True,
        )
    )


def _orders_of(owners: FromClause) -> Subquery:
    """How many orders each customer has, how many of them paid, the first and the last."""
    counts = orders.c.financial_state.not_in(_UNCOUNTED)
    unpaid = orders.c.financial_state == FinancialState.pending.value
    return (
        select(
            owners.c.customer_id,
            func.count().filter(counts).label("count"),
            func.count().filter(and_(counts, ~unpaid)).label("paid"),
            func.min(orders.c.placed_at).filter(counts).label("first"),
            func.max(orders.c.placed_at).filter(counts).label("last"),
        )
        .join_from(
            owners,
            orders,
            and_(
                orders.c.tenant_id == bindparam("tenant"),
                orders.c.customer_id == owners.c.customer_id,
                orders.c.deleted_at.is_(None),
            ),
            isouter=True,
        )
        .group_by(owners.c.customer_id)
        .subquery()
    )
