"""How far the changes of one object type of a CRM are read.

Prevents two gaps: the opt-out from before the first look, and the field that a mapping wants back
only since today. With other fields than before, every bound record is looked at once more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.storage.tables.crm_reading import crm_reads
from crm_integration.storage.tables.sync import bindings
from crm_integration.tenancy.scope import TenantScope

START = UUID(int=0)
"""Before the first bound object."""


@dataclass(frozen=True)
class Cursor:
    """`behind`: the bound object that was looked at last, None when all were. Every change until
    `since` (the CRM's clock) is read, but for what its index may tell late."""

    connection_id: str
    object_type: str
    asked: bytes = field(repr=False)
    since: datetime
    behind: UUID | None


def cursor_of(
    scope: TenantScope, connection_id: str, object_type: str, names: tuple[str, ...]
) -> Cursor:
    """Where reading these fields goes on; a first look where they were not read so far."""
    asked = scope.keys.digest("crm_reads", "\x1f".join(sorted(names)).encode())
    row = _row(scope, connection_id, object_type)
    if row is None or row.asked != asked:
        now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
        return Cursor(connection_id, object_type, asked, now - timedelta(hours=1), START)
    return Cursor(connection_id, object_type, asked, row.since, row.behind)


def last_read(scope: TenantScope, connection_id: str) -> datetime | None:
    """When any changes of this CRM were read last."""
    return scope.connection.scalar(
        select(func.max(crm_reads.c.read_at)).where(
            crm_reads.c.tenant_id == scope.tenant, crm_reads.c.connection_id == connection_id
        )
    )


def keep_cursor(scope: TenantScope, cursor: Cursor) -> None:
    """Remember how far we are, in the transaction of what was read until there."""
    statement = insert(crm_reads).values(
        tenant_id=scope.tenant,
        connection_id=cursor.connection_id,
        object_type=cursor.object_type,
        asked=cursor.asked,
        since=cursor.since,
        behind=cursor.behind,
        read_at=func.clock_timestamp(),
    )
    names = ("asked", "since", "behind", "read_at")
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(crm_reads.primary_key.columns),
            set_={name: statement.excluded[name] for name in names},
        )
    )


def bound_behind(scope: TenantScope, cursor: Cursor, limit: int) -> dict[str, UUID]:
    """The next bound objects of a first look: CRM record id -> object, by object."""
    rows = scope.connection.execute(
        select(bindings.c.crm_record_id, bindings.c.object_id)
        .where(
            bindings.c.tenant_id == scope.tenant,
            bindings.c.connection_id == cursor.connection_id,
            bindings.c.object_type == cursor.object_type,
            bindings.c.object_id > cursor.behind,
        )
        .order_by(bindings.c.object_id)
        .limit(limit)
    )
    return {row.crm_record_id: row.object_id for row in rows}


def _row(scope: TenantScope, connection_id: str, object_type: str) -> Any:
    return scope.connection.execute(
        select(crm_reads.c.asked, crm_reads.c.since, crm_reads.c.behind).where(
            crm_reads.c.tenant_id == scope.tenant,
            crm_reads.c.connection_id == connection_id,
            crm_reads.c.object_type == object_type,
        )
    ).one_or_none()
