"""What there is to decide and to take back: merges and suggestions of one tenant, newest first.

Prevents a list that shows people: ids, rules and reasons only; who they are is looked up by those
who may see it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import and_, func, or_, select

from crm_integration.storage.tables.canonical import (
    customers,
    identity_merges,
    identity_suggestions,
)
from crm_integration.tenancy.scope import TenantScope


def merges(scope: TenantScope, *, limit: int = 100) -> list[dict[str, Any]]:
    """Merges with their rule and when, and whether they were undone."""
    table = identity_merges
    names = ("merge_id", "loser", "winner", "rule", "merged_at", "undone_at", "undone_by",
             "undone_reason")  # fmt: skip
    rows = scope.connection.execute(
        select(*(table.c[name] for name in names))
        .where(table.c.tenant_id == scope.tenant)
        .order_by(table.c.merge_id.desc())
        .limit(limit)
    )
    return [dict(zip(names, row, strict=True)) for row in rows]


def suggestions(
    scope: TenantScope, *, state: str = "open", limit: int = 100
) -> list[dict[str, Any]]:
    """Suggestions in this state whose customers are still two, the most alike first."""
    table = identity_suggestions
    names = ("suggestion_id", "left_customer", "right_customer", "rule", "score", "reasons",
             "state", "suggested_at", "decided_by", "decided_reason")  # fmt: skip
    alive = (
        select(func.count())
        .select_from(customers)
        .where(
            and_(customers.c.tenant_id == scope.tenant, customers.c.merged_into.is_(None)),
            or_(
                customers.c.customer_id == table.c.left_customer,
                customers.c.customer_id == table.c.right_customer,
            ),
        )
        .scalar_subquery()
    )
    rows = scope.connection.execute(
        select(*(table.c[name] for name in names))
        .where(table.c.tenant_id == scope.tenant, table.c.state == state, alive == 2)
        .order_by(table.c.score.desc(), table.c.suggestion_id)
        .limit(limit)
    )
    return [dict(zip(names, row, strict=True)) for row in rows]
