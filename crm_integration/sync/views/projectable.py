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

from sqlalchemy import ColumnElement, Row, Select, Table, Uuid, func, literal, select
from sqlalchemy.dialects.postgresql import ARRAY

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
class Choice:
    """Which rows of an entity are read, at most `limit`.

    Those that passed the rules at this version (None: at any) and, unless `waiting` is False,
    have changed; of `among` only, where it is given. Without `waiting` they come in the order of
    their ids, behind `after`.
    """

    rules_version: str | None
    limit: int
    waiting: bool = True
    among: tuple[UUID, ...] | None = None
    after: UUID | None = None


@dataclass(frozen=True)
class EntityView:
    """How one entity is read: its table, its id, how rows are shown, and which ones are at all."""

    table: Table
    key: ColumnElement[UUID]
    read: Callable[[TenantScope, Choice], list[Projectable]]
    shown: tuple[ColumnElement[bool], ...] = ()


def chosen(scope: TenantScope, table: Table, choice: Choice, *columns: Any) -> Select[Any]:
    """The rows of a choice, with more columns if asked for."""
    statement = select(table, *columns).where(table.c.tenant_id == scope.tenant)
    if choice.rules_version is not None:
        statement = statement.where(table.c.rules_version == choice.rules_version)
    (key,) = (one for one in table.primary_key if one.name != "tenant_id")
    if choice.among is not None:
        statement = statement.where(key == func.any(literal(list(choice.among), ARRAY(Uuid))))
    if choice.waiting:
        return statement.where(table.c.needs_projection).limit(choice.limit)
    if choice.after is not None:
        statement = statement.where(key > choice.after)
    return statement.order_by(key).limit(choice.limit)


def picked(row: Row[Any], names: tuple[str, ...]) -> View:
    """These columns of a row."""
    return {name: getattr(row, name) for name in names}


def projectable(
    object_id: UUID, row: Row[Any], view: View, *, email_is_key: bool = True
) -> Projectable:
    """A row as its view; what the store deleted names the raw record that says so."""
    raw_id = getattr(row, "deleted_raw_id", None) or row.raw_id
    return Projectable(object_id, view, row.source_time, raw_id, row.rules_version, email_is_key)


DELETED = "deleted"
"""What a CRM is shown as the status of an object that its store has no more."""
