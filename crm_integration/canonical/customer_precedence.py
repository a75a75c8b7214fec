"""Which store's word counts first, and what follows when a merchant says it anew.

Prevents the order of stores that counts only for who changes next: a customer of several stores
was computed by the order of its day, and no store sends anything because a file was edited. The
order that was applied is kept in the audit trail, and the next derivation compares.

Callers hold the tenant's identity lock (`identity.lock_identities`).
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sqlalchemy import bindparam, func, select

from crm_integration.audit.trail import record
from crm_integration.canonical.customer_rows import recompute_customers
from crm_integration.canonical.sourced import Stamp
from crm_integration.storage.tables.canonical import customer_identities
from crm_integration.storage.tables.tenancy import audit_trail
from crm_integration.tenancy.scope import TenantScope

ACTION = "customers.store_order"
_BATCH = 2_000
"""Customers whose words are held in memory at a time."""


def follow_store_order(scope: TenantScope, stores: Sequence[str], stamp: Stamp) -> frozenset[UUID]:
    """Compute the customers of several stores anew if the order of stores is another one.

    Returns the customers whose content changed; none where the order is the one that was
    applied last. All in the caller's transaction, so that no half of them is left behind.
    """
    if list(stores) == _applied(scope):
        return frozenset()
    changed: set[UUID] = set()
    after: UUID | None = None
    while batch := _of_several_stores(scope, after):
        changed |= recompute_customers(scope, batch, stamp, stores).changed
        after = batch[-1]
    record(scope, actor=f"run:{stamp.run_id}", action=ACTION, subject=scope.tenant,
           stores=list(stores), customers=len(changed))  # fmt: skip
    return frozenset(changed)


def _applied(scope: TenantScope) -> list[str]:
    """The order that the customers were computed by; empty where none was ever given."""
    details = scope.connection.scalar(_LAST, {"tenant": scope.tenant})
    return [] if details is None else list(details["stores"])


_LAST = (
    select(audit_trail.c.details)
    .where(audit_trail.c.tenant_id == bindparam("tenant"), audit_trail.c.action == ACTION)
    .order_by(audit_trail.c.entry_id.desc())
    .limit(1)
)


def _of_several_stores(scope: TenantScope, after: UUID | None) -> list[UUID]:
    """The next customers behind `after` of whom more than one store has spoken."""
    table = customer_identities.c
    rows = scope.connection.execute(
        select(table.customer_id)
        .where(
            table.tenant_id == scope.tenant,
            table.known,
            *([table.customer_id > after] if after is not None else []),
        )
        .group_by(table.customer_id)
        .having(func.min(table.connection_id) != func.max(table.connection_id))
        .order_by(table.customer_id)
        .limit(_BATCH)
    )
    return list(rows.scalars())
