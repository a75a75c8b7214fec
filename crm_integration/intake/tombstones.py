"""Tombstones: raw records that say an object does not exist any more.

Prevents a deletion that nothing can show: it is kept like anything a store says, so that a replay
ends at gone, and an old delivery that comes late brings nobody back to life.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from functools import lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Executable, FromClause, Select, bindparam, func, not_, select

from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.intake import IS_GONE, raw_records
from crm_integration.tenancy.scope import TenantScope

Named = tuple[str, str]
"""(object type, source id)."""

OF_CONNECTION = (
    raw_records.c.tenant_id == bindparam("tenant"),
    raw_records.c.connection_id == bindparam("connection"),
)
"""Raw records of one connection, in a statement that is built once."""

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
    return {(row[0], row[1]): row[2] for row in _rows(scope, connection_id, keys, _gone)}


def has_tombstone(asked: FromClause) -> ColumnElement[bool]:
    """Whether the object of a row of `asked` was ever gone; for use in a larger query, which is
    executed with a `tenant` and a `connection`."""
    return (
        select(raw_records.c.raw_id)
        .where(
            *OF_CONNECTION,
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
    return {(row[0], row[1]): row[2] for row in _rows(scope, connection_id, keys, _newest)}


def _rows(
    scope: TenantScope,
    connection_id: str,
    keys: Collection[Named],
    statement: Callable[[FromClause], Executable],
) -> Sequence[Any]:
    asked = hand(scope.connection, "asked", raw_records, ("object_type", "source_id"), keys)
    place = {"tenant": scope.tenant, "connection": connection_id}
    return scope.connection.execute(statement(asked.source), {**place, **asked.values}).all()


@lru_cache(maxsize=16)
def _gone(asked: FromClause) -> Executable:
    return _of(asked).add_columns(GONE_AT).having(IS_NOT_THERE)


@lru_cache(maxsize=16)
def _newest(asked: FromClause) -> Executable:
    return _of(asked).add_columns(func.max(raw_records.c.source_time))


def _of(asked: FromClause) -> Select[str, str]:
    """Type and id of these objects, grouped by both."""
    named = raw_records.c.object_type, raw_records.c.source_id
    return (
        select(*named)
        .join_from(
            asked,
            raw_records,
            (raw_records.c.object_type == asked.c.object_type)
            & (raw_records.c.source_id == asked.c.source_id),
        )
        .where(*OF_CONNECTION)
        .group_by(*named)
    )


def of_connection(scope: TenantScope, connection_id: str) -> tuple[ColumnElement[bool], ...]:
    """Raw records of one connection."""
    return raw_records.c.tenant_id == scope.tenant, raw_records.c.connection_id == connection_id
