"""A canonical row on its way to a mapping, and how rows that wait are chosen.

Prevents a view that shows a row the gate has not let through: only rows that passed the rules at
their current version are read.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Integer, Row, Select, Table, Uuid, any_, bindparam, select
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
class Asked:
    """Which conditions a choice has: one statement for each, whatever their values."""

    rules: bool
    waiting: bool
    among: bool
    further: bool


@dataclass(frozen=True)
class EntityView:
    """How one entity is read: its table, its id, how rows are shown, and which ones are at all."""

    table: Table
    key: ColumnElement[UUID]
    read: Callable[[TenantScope, Choice], list[Projectable]]
    shown: tuple[ColumnElement[bool], ...] = ()


def chosen(
    scope: TenantScope, choice: Choice, shown: Callable[[Asked], Select[Any]]
) -> Sequence[Row[Any]]:
    """The rows of a choice. `shown` builds the statement of a question from `waiting_rows`."""
    asked = Asked(
        rules=choice.rules_version is not None,
        waiting=choice.waiting,
        among=choice.among is not None,
        further=choice.after is not None,
    )
    values = {
        "tenant": scope.tenant,
        "rules": choice.rules_version,
        "most": choice.limit,
        "among": list(choice.among or ()),
        "after": choice.after,
    }
    return scope.connection.execute(shown(asked), values).all()


def waiting_rows(table: Table, asked: Asked, *columns: Any) -> Select[Any]:
    """The rows that are asked for, with more columns."""
    statement = select(table, *columns).where(table.c.tenant_id == bindparam("tenant"))
    if asked.rules:
        statement = statement.where(table.c.rules_version == bindparam("rules"))
    (key,) = (one for one in table.primary_key if one.name != "tenant_id")
    if asked.among:
        statement = statement.where(key == any_(bindparam("among", type_=ARRAY(Uuid))))
    most = bindparam("most", type_=Integer)
    if asked.waiting:
        return statement.where(table.c.needs_projection).limit(most)
    if asked.further:
        statement = statement.where(key > bindparam("after"))
    return statement.order_by(key).limit(most)


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
