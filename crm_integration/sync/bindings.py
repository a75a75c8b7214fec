"""Bindings: which CRM record a canonical object is, and what the CRM gave back of our writes.

Prevents two canonical objects from fighting over one record, and a value that the CRM merely
reshaped (lower-cased, rounded, trimmed) from being sent again for ever.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import (
    ColumnElement,
    Executable,
    FromClause,
    Uuid,
    any_,
    bindparam,
    delete,
    func,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY, insert

from crm_integration.crms._contract import FieldValue
from crm_integration.storage.bulk import hand, stage
from crm_integration.storage.tables.sync import bindings
from crm_integration.sync.ledger import row_name
from crm_integration.tenancy.scope import TenantScope

_TABLE = "bindings"
Fields = dict[str, FieldValue]


@dataclass(frozen=True)
class Binding:
    """`given_back` is the CRM's form of what we wrote last, `sent` ours; both by field."""

    object_id: UUID
    record_id: str
    adopted: bool
    given_back: Fields = field(default_factory=lambda: Fields(), repr=False)
    sent: Fields = field(default_factory=lambda: Fields(), repr=False)


def bindings_of(
    scope: TenantScope, connection_id: str, object_type: str, object_ids: Collection[UUID]
) -> dict[UUID, Binding]:
    """The bindings of these objects; an object that has none is absent."""
    place = {"tenant": scope.tenant, "connection": connection_id, "of_type": object_type}
    rows = scope.connection.execute(_BINDINGS, {**place, "ids": list(set(object_ids))})
    return {
        row.object_id: Binding(
            row.object_id,
            row.crm_record_id,
            row.adopted,
            **_open(scope, row_name(connection_id, object_type, row.object_id), row.given_back),
        )
        for row in rows
    }


_BINDINGS = select(
    bindings.c.object_id, bindings.c.crm_record_id, bindings.c.adopted, bindings.c.given_back
).where(
    bindings.c.tenant_id == bindparam("tenant"),
    bindings.c.connection_id == bindparam("connection"),
    bindings.c.object_type == bindparam("of_type"),
    bindings.c.object_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
)


def any_bound(scope: TenantScope, connection_id: str, object_type: str) -> bool:
    """Whether any object of this type has a CRM record."""
    one = select(bindings.c.object_id).where(
        bindings.c.tenant_id == scope.tenant,
        bindings.c.connection_id == connection_id,
        bindings.c.object_type == object_type,
    )
    return bool(scope.connection.scalar(select(one.exists())))


def record_ids(
    scope: TenantScope, connection_id: str, links: Iterable[tuple[str, UUID]]
) -> dict[UUID, str]:
    """CRM record ids of linked objects of any type; unbound ones are absent."""
    linked = set(links)
    if not linked:
        return {}
    asked = hand(scope.connection, "asked", bindings, ("object_type", "object_id"), linked)
    place = {"tenant": scope.tenant, "connection": connection_id}
    rows = scope.connection.execute(_records(asked.source), {**place, **asked.values})
    return {row.object_id: row.crm_record_id for row in rows}


@lru_cache(maxsize=16)
def _records(asked: FromClause) -> Executable:
    return select(bindings.c.object_id, bindings.c.crm_record_id).join_from(
        asked,
        bindings,
        (bindings.c.tenant_id == bindparam("tenant"))
        & (bindings.c.connection_id == bindparam("connection"))
        & (bindings.c.object_type == asked.c.object_type)
        & (bindings.c.object_id == asked.c.object_id),
    )


def places_of(
    scope: TenantScope, connection_id: str, object_ids: Collection[UUID]
) -> dict[UUID, tuple[str, str]]:
    """(object type, CRM record id) of objects whose type is not known; unbound ones are absent."""
    if not object_ids:
        return {}
    asked = stage(scope.connection, bindings, ("object_id",), [(one,) for one in set(object_ids)])
    rows = scope.connection.execute(
        select(bindings.c.object_id, bindings.c.object_type, bindings.c.crm_record_id).join_from(
            asked,
            bindings,
            (bindings.c.tenant_id == scope.tenant)
            & (bindings.c.connection_id == connection_id)
            & (bindings.c.object_id == asked.c.object_id),
        )
    )
    return {row.object_id: (row.object_type, row.crm_record_id) for row in rows}


def owners_of(
    scope: TenantScope, connection_id: str, object_type: str, records: Collection[str]
) -> dict[str, UUID]:
    """CRM record id -> the canonical object it is bound to already."""
    asked = stage(scope.connection, bindings, ("crm_record_id",), [(one,) for one in set(records)])
    rows = scope.connection.execute(
        select(bindings.c.crm_record_id, bindings.c.object_id).join_from(
            asked,
            bindings,
            (bindings.c.tenant_id == scope.tenant)
            & (bindings.c.connection_id == connection_id)
            & (bindings.c.object_type == object_type)
            & (bindings.c.crm_record_id == asked.c.crm_record_id),
        )
    )
    return {row.crm_record_id: row.object_id for row in rows}


def bind(
    scope: TenantScope, connection_id: str, object_type: str, found: Sequence[Binding]
) -> frozenset[UUID]:
    """Write bindings, new or with a newer base; returns the objects that are bound now.

    Those left out found their record bound to another object, by another run a moment ago: they
    have no record. One that stands keeps its adoption mark.
    """
    first = {one.record_id: one for one in reversed(found)}
    rows = [_row(scope, connection_id, object_type, one) for one in first.values()]
    written = _write(scope, _renewed, rows)
    new = [row for row in rows if row[3] not in written]
    if new:
        _lock(scope, connection_id, object_type)
        _write(scope, _left, new)
        written |= _write(scope, _bound, new)
    return written


_NAMES = (
    *("tenant_id", "connection_id", "object_type", "object_id"),
    *("crm_record_id", "adopted", "given_back"),
)


def _write(
    scope: TenantScope,
    statement: Callable[[FromClause], Executable],
    rows: Sequence[tuple[Any, ...]],
) -> frozenset[UUID]:
    """The objects of the rows that were written."""
    if not rows:
        return frozenset()
    found = hand(scope.connection, "found", bindings, _NAMES, rows)
    said = {"tenant": scope.tenant, **found.values}
    return frozenset(scope.connection.execute(statement(found.source), said).scalars())


@lru_cache(maxsize=16)
def _renewed(found: FromClause) -> Executable:
    """Objects that keep their record get their newer base."""
    return (
        update(bindings)
        .where(
            bindings.c.tenant_id == bindparam("tenant"),
            *_same(found, "connection_id", "object_type", "object_id", "crm_record_id"),
        )
        .values(
            given_back=found.c.given_back,
            adopted=or_(bindings.c.adopted, found.c.adopted),
        )
        .returning(bindings.c.object_id)
    )


@lru_cache(maxsize=16)
def _bound(found: FromClause) -> Executable:
    """Records that are bound to no other object."""
    others = (
        select(bindings.c.object_id)
        .where(
            *_same(found, "connection_id", "object_type", "crm_record_id"),
            bindings.c.tenant_id == bindparam("tenant"),
            bindings.c.object_id != found.c.object_id,
        )
        .exists()
    )
    statement = insert(bindings).from_select(
        _NAMES, select(*(found.c[name] for name in _NAMES)).where(~others)
    )
    return statement.on_conflict_do_update(
        index_elements=list(bindings.primary_key.columns),
        set_={
            "given_back": statement.excluded.given_back,
            "adopted": or_(bindings.c.adopted, statement.excluded.adopted),
        },
    ).returning(bindings.c.object_id)


def unbind(
    scope: TenantScope, connection_id: str, object_type: str, object_ids: Collection[UUID]
) -> None:
    """These objects have no record any more."""
    scope.connection.execute(
        delete(bindings).where(
            bindings.c.tenant_id == scope.tenant,
            bindings.c.connection_id == connection_id,
            bindings.c.object_type == object_type,
            bindings.c.object_id.in_(object_ids),
        )
    )


def _lock(scope: TenantScope, connection_id: str, object_type: str) -> None:
    """Two runs that bind one record to two objects would break on the unique index."""
    named = f"{connection_id}/{object_type}".encode()
    number = int.from_bytes(scope.keys.digest("bind", named)[:8], "big", signed=True)
    scope.connection.execute(select(func.pg_advisory_xact_lock(number)))


@lru_cache(maxsize=16)
def _left(found: FromClause) -> Executable:
    """Objects that move to another record leave theirs first: two may change places."""
    return (
        delete(bindings)
        .where(
            bindings.c.tenant_id == bindparam("tenant"),
            *_same(found, "connection_id", "object_type", "object_id"),
            bindings.c.crm_record_id != found.c.crm_record_id,
        )
        .returning(bindings.c.object_id)
    )


def _same(found: FromClause, *names: str) -> list[ColumnElement[bool]]:
    return [bindings.c[name] == found.c[name] for name in names]


def _row(scope: TenantScope, connection_id: str, object_type: str, one: Binding) -> tuple[Any, ...]:
    name = row_name(connection_id, object_type, one.object_id)
    base = orjson.dumps({"given_back": one.given_back, "sent": one.sent})
    return (
        *(scope.tenant, connection_id, object_type, one.object_id, one.record_id, one.adopted),
        scope.keys.seal(_TABLE, name, base),
    )


def _open(scope: TenantScope, row: str, sealed: bytes) -> dict[str, Fields]:
    return orjson.loads(scope.keys.open(_TABLE, row, sealed))
