"""Tombstones: raw records that say an object does not exist any more.

Prevents a deletion that nothing can show: it is kept like anything a store says, so that a replay
ends at gone, and an old delivery that comes late brings nobody back to life.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import ColumnElement, FromClause, Select, func, not_, select

from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.intake import IS_GONE, raw_records
from crm_integration.tenancy.scope import TenantScope

Named = tuple[str, str]
"""(object type, source id)."""

GONE_AT = func.max(raw_records.c.source_time).filter(IS_GONE)
LIVED_AT = func.max(raw_records.c.source_time).filter(not_(IS_GONE))
"""Of one object's records. A tombstone is newer than all that was known when it was kept, so an
object is gone if its newest tombstone is newer than everything else."""

IS_NOT_THERE = LIVED_AT.is_(None) | (GONE_AT > LIVED_AT)
"""Of a group of one object's records with a tombstone among them."""


def gone_since(
    scope: TenantScope, connection_id: str, keys: Collection[Named]
) -> dict[Named, datetime]:
    """Which of these objects are gone by their newest version, and since when."""
    if not keys:
        return {}
    there = _of(scope, connection_id, keys).add_columns(GONE_AT).having(IS_NOT_THERE)
    return {(row[0], row[1]): row[2] for row in scope.connection.execute(there)}


def has_tombstone(scope: TenantScope, connection_id: str, asked: FromClause) -> ColumnElement[bool]:
    """Whether the object of a row of `asked` was ever gone; for use in a larger query."""
    return (
        select(raw_records.c.raw_id)
        .where(
            *of_connection(scope, connection_id),
            raw_records.c.object_type == asked.c.object_type,
            raw_records.c.source_id == asked.c.source_id,
            IS_GONE,
        )
        .correlate(asked)
        .exists()
    )


def newest_times(
    scope: TenantScope, connection_id: str, keys: Collection[Named]
) -> dict[Named, datetime]:
    """The source time of the newest version of each of these objects that is known."""
    if not keys:
        return {}
    newest = func.max(raw_records.c.source_time)
    rows = scope.connection.execute(_of(scope, connection_id, keys).add_columns(newest))
    return {(row[0], row[1]): row[2] for row in rows}


def ever_gone(
    scope: TenantScope, connection_id: str, object_type: str, source_ids: Sequence[str]
) -> set[str]:
    """Those of these objects that have a tombstone, gone or back."""
    if not source_ids:
        return set()
    keys = [(object_type, one) for one in source_ids]
    rows = scope.connection.execute(_of(scope, connection_id, keys).where(IS_GONE))
    return {row[1] for row in rows}


def _of(scope: TenantScope, connection_id: str, keys: Collection[Named]) -> Select[str, str]:
    """Type and id of these objects, grouped by both."""
    asked = stage(scope.connection, raw_records, ("object_type", "source_id"), keys)
    named = raw_records.c.object_type, raw_records.c.source_id
    return (
        select(*named)
        .join_from(
            asked,
            raw_records,
            (raw_records.c.object_type == asked.c.object_type)
            & (raw_records.c.source_id == asked.c.source_id),
        )
        .where(*of_connection(scope, connection_id))
        .group_by(*named)
    )


def of_connection(scope: TenantScope, connection_id: str) -> tuple[ColumnElement[bool], ...]:
    """Raw records of one connection."""
    return raw_records.c.tenant_id == scope.tenant, raw_records.c.connection_id == connection_id
