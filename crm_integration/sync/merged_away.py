"""Customers who became another one: written no more, and their CRM record goes to that one.

Prevents the merged customer who is written beside the one it became, and a look at every merge
there ever was for each event: one statement tells whether there is anything to leave.
"""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import (
    ColumnElement,
    Table,
    Text,
    bindparam,
    exists,
    literal,
    select,
    union_all,
    update,
)

from crm_integration.storage.tables.canonical import customers
from crm_integration.storage.tables.sync import bindings, ledger
from crm_integration.sync.inherited import OBJECT_TYPE, hand_on_records
from crm_integration.sync.ledger import move
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

_BOUND = "bound"

_MAY_BE_SKIPPED = (
    *(State.synced, State.parked, State.retry, State.held, State.dead, State.unknown),
)
"""What is in flight is skipped by the next run."""


def leave_merged(scope: TenantScope, connection_id: str) -> None:
    """Who became another customer is not written any more, and leaves its record to that one.

    To be called before anything is sent, and after the merge was committed.
    """
    asked = {"tenant": scope.tenant, "connection": connection_id}
    there = set(scope.connection.execute(_MERGED, asked).scalars())
    if there - {_BOUND}:
        _skip(scope, connection_id, there)
    if _BOUND in there:
        hand_on_records(scope, connection_id)


def _theirs(table: Table) -> tuple[ColumnElement[bool], ...]:
    """Rows of the ledger or of the bindings whose customer became another one."""
    gone = select(customers.c.customer_id).where(
        customers.c.tenant_id == bindparam("tenant"), customers.c.merged_into.is_not(None)
    )
    return (
        table.c.tenant_id == bindparam("tenant", type_=Text),
        table.c.connection_id == bindparam("connection", type_=Text),
        table.c.object_type == OBJECT_TYPE,
        table.c.object_id.in_(gone),
    )


_MERGED = union_all(
    select(ledger.c.state).where(*_theirs(ledger), ledger.c.state != State.skipped).distinct(),
    select(literal(_BOUND)).where(exists().where(*_theirs(bindings))),
)
"""States of their rows that may still be written, and whether one of them has a record."""


def _skip(scope: TenantScope, connection_id: str, there: Collection[str]) -> None:
    """Their rows in the states that are `there`."""
    gone = select(customers.c.customer_id).where(
        customers.c.tenant_id == scope.tenant, customers.c.merged_into.is_not(None)
    )
    place, theirs = (scope, connection_id, OBJECT_TYPE), ledger.c.object_id.in_(gone)
    for before in (one for one in _MAY_BE_SKIPPED if one in there):
        move(*place, before, State.pending, theirs, reason="merged")
    move(*place, State.pending, State.skipped, theirs, reason="merged")
    scope.connection.execute(
        update(customers)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.merged_into.is_not(None),
            customers.c.needs_projection,
        )
        .values(needs_projection=False)
    )
