"""A canonical row on its way to a mapping, and how rows that wait are chosen.

Prevents a view that shows a row the gate has not let through: only rows that passed the rules at
their current version are read.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, Table, select

from crm_integration.tenancy.scope import TenantScope

View = dict[str, Any]


@dataclass(frozen=True)
class Projectable:
    """One canonical row that is to be mapped; `view` has the keys of the entity's View model."""

    object_id: UUID
    view: View
    source_time: datetime
    raw_id: int
    rules_version: str
    email_is_key: bool = True


@dataclass(frozen=True)
class EntityView:
    """How one entity is read: its table, its id, when a row is ready, and how it is shown."""

    table: Table
    key: ColumnElement[UUID]
    read: Callable[[TenantScope, str, int], list[Projectable]]


def chosen(
    scope: TenantScope, table: Table, rules_version: str, limit: int, *columns: Any
) -> Select[Any]:
    """Rows that changed and passed the rules at this version, with more columns if asked for."""
    return (
        select(table, *columns)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.needs_projection,
            table.c.rules_version == rules_version,
        )
        .limit(limit)
    )


def picked(row: Row[Any], names: tuple[str, ...]) -> View:
    """These columns of a row."""
    return {name: getattr(row, name) for name in names}


def projectable(
    object_id: UUID, row: Row[Any], view: View, *, email_is_key: bool = True
) -> Projectable:
    """A row as its view."""
    return Projectable(
        object_id, view, row.source_time, row.raw_id, row.rules_version, email_is_key
    )
