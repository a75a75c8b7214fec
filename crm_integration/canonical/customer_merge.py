"""What follows an identity that came to another customer: its orders, carts and the trail.

Prevents the order that stays with a customer who is no more: everything that names an identity
follows it, in the transaction that moved it.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from sqlalchemy import ColumnElement, FromClause, Table, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.canonical.facts import retell_dependents
from crm_integration.canonical.identity_resolution import Arrival, Link
from crm_integration.canonical.identity_rows import Moved, Resolution
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import (
    customer_identities,
    customers,
    identity_merges,
    identity_suggestions,
    orders,
    refunds,
)
from crm_integration.storage.tables.commerce import activities, carts
from crm_integration.tenancy.scope import TenantScope

_OTHERS = (refunds, carts, activities)
"""Beside orders: tables whose rows name the identity they belong to, and keep its customer."""


def follow(scope: TenantScope, resolution: Resolution) -> None:
    """Orders and their like follow; customers left by all are marked; the trail is written."""
    _write_trail(scope, resolution.arrivals)
    suggest_doubts(scope, resolution.doubts)
    if not resolution.moved:
        return
    # A staged table has the columns of its model: `identity_id` holds the new customer here.
    moved = stage(
        scope.connection,
        customer_identities,
        ("persona_key", "customer_id", "identity_id"),
        [(one.persona, one.old, one.new) for one in resolution.moved],
    )
    order_ids = _repoint(scope, orders, moved, orders.c.order_id)
    for table in _OTHERS:
        _repoint(scope, table, moved, table.c.customer_id)
    if order_ids:
        retell_dependents(scope, order_ids)
    _mark_left(scope, resolution.moved)


def look_at_carts_again(scope: TenantScope, customer_ids: Collection[UUID]) -> None:
    """The sweep judges these customers' open carts anew: whose they are, or whether anybody
    knows who that is, was another matter when it settled them."""
    if not customer_ids:
        return
    asked = stage(scope.connection, customers, ("customer_id",), [(one,) for one in customer_ids])
    scope.connection.execute(
        update(carts)
        .where(
            carts.c.tenant_id == scope.tenant,
            carts.c.customer_id == asked.c.customer_id,
            carts.c.settled,
            carts.c.deleted_at.is_(None),
            carts.c.swept_at.is_(None),
            carts.c.completed_at.is_(None),
        )
        .values(settled=False)
    )


def suggest_doubts(scope: TenantScope, doubts: Sequence[tuple[UUID, UUID, Link]]) -> None:
    """Same phone and address, but not one name: a person decides."""
    wanted = {(left, right): link for left, right, link in doubts if left != right}
    if not wanted:
        return
    scope.connection.execute(
        insert(identity_suggestions).on_conflict_do_nothing(
            index_elements=["tenant_id", "left_customer", "right_customer"]
        ),
        [
            {
                "tenant_id": scope.tenant,
                "left_customer": left,
                "right_customer": right,
                "rule": link.rule,
                "score": 0,
                "reasons": ["same phone", "same address", "names differ"],
                "evidence": link.evidence,
            }
            for (left, right), link in wanted.items()
        ],
    )


def _write_trail(scope: TenantScope, arrivals: Sequence[Arrival]) -> None:
    if not arrivals:
        return
    names = ("tenant_id", "loser", "winner", "rule", "evidence", "identities")
    rows = [
        (scope.tenant, one.loser, one.winner, one.rule, one.evidence, list(one.identities))
        for one in arrivals
    ]
    staged = stage(scope.connection, identity_merges, names, rows)
    scope.connection.execute(insert(identity_merges).from_select(names, select(*staged.c)))


def _repoint(
    scope: TenantScope, table: Table, moved: FromClause, returned: ColumnElement[UUID]
) -> list[UUID]:
    """Rows of the customers that were left, whose identity went elsewhere; in no other order."""
    said = customer_identities
    rows = scope.connection.execute(
        update(table)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.customer_id == moved.c.customer_id,
            said.c.tenant_id == scope.tenant,
            said.c.persona_key == moved.c.persona_key,
            said.c.connection_id == table.c.connection_id,
            said.c.kind == table.c.customer_kind,
            said.c.source_id == table.c.customer_source_id,
        )
        .values(customer_id=moved.c.identity_id, needs_projection=True)
        .returning(returned)
    )
    return list(rows.scalars())


def _mark_left(scope: TenantScope, moved: Sequence[Moved]) -> None:
    """A customer whom everybody left became the one to whom the first of them went."""
    went: dict[UUID, UUID] = {}
    for one in moved:
        went.setdefault(one.old, one.new)
    staged = stage(scope.connection, customers, ("customer_id", "merged_into"), went.items())
    lives = exists().where(
        customer_identities.c.tenant_id == scope.tenant,
        customer_identities.c.customer_id == customers.c.customer_id,
    )
    scope.connection.execute(
        update(customers)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.customer_id == staged.c.customer_id,
            ~lives,
        )
        .values(merged_into=staged.c.merged_into, needs_projection=True)
    )
