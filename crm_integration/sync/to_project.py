"""Which object types have a canonical row to be mapped, in one statement for all of them.

Prevents the run over nothing that asks three times for each type.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache

from sqlalchemy import (
    ColumnElement,
    Executable,
    Table,
    Text,
    bindparam,
    literal,
    or_,
    select,
    union_all,
)

from crm_integration.mapping.model import CompiledMapping
from crm_integration.storage.tables.quality import quarantine
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.views import VIEWS
from crm_integration.tenancy.scope import TenantScope

MAPPING_RULE = "mapping"
"""First word of the rules under which a mapping keeps rows back."""

_Text = ColumnElement[str] | str


@dataclass(frozen=True)
class ToProject:
    """An object type with rows to be mapped; `remapped` where the wish of some was made, or
    refused, by another mapping."""

    object_type: str
    remapped: bool


def to_project(
    scope: TenantScope,
    connection_id: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
) -> list[ToProject]:
    """Object types with rows that changed or were mapped otherwise, in the order of `mappings`."""
    if not mappings:
        return []
    statement = _statement(tuple((name, one.entity) for name, one in mappings.items()))
    digests = {_digest(name): one.rules_digest for name, one in mappings.items()}
    asked = {"tenant": scope.tenant, "connection": connection_id, "rules": rules_version}
    rows = scope.connection.execute(statement, {**asked, **digests})
    return [ToProject(row.object_type, row.remapped) for row in rows if row.waits or row.remapped]


@lru_cache(maxsize=128)
def _statement(kinds: tuple[tuple[str, str], ...]) -> Executable:
    tenant, connection = bindparam("tenant", type_=Text), bindparam("connection", type_=Text)
    return union_all(
        *(
            select(
                literal(object_type).label("object_type"),
                _exists(VIEWS[entity].table, *_waits(tenant, entity)).label("waits"),
                or_(
                    *(
                        _exists(ledger, *rows_of(tenant, connection, object_type), other)
                        for other in _other_mappings(object_type)
                    ),
                    _exists(quarantine, *refused_rows(tenant, connection, object_type, entity)),
                ).label("remapped"),
            )
            for object_type, entity in kinds
        )
    )


def _digest(object_type: str) -> str:
    return f"digest_{object_type}"


def _other_mappings(object_type: str) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    """As two ranges an index can tell; as "not equal" it cannot."""
    mine = bindparam(_digest(object_type), type_=Text)
    return ledger.c.mapping_digest < mine, ledger.c.mapping_digest > mine


def _waits(tenant: _Text, entity: str) -> tuple[ColumnElement[bool], ...]:
    """Canonical rows that changed."""
    view = VIEWS[entity]
    return (
        view.table.c.tenant_id == tenant,
        view.table.c.needs_projection,
        view.table.c.rules_version == bindparam("rules", type_=Text),
        *view.shown,
    )


def _exists(table: Table, *where: ColumnElement[bool]) -> ColumnElement[bool]:
    return select(literal(1)).select_from(table).where(*where).exists()


def rows_of(
    tenant: _Text, connection_id: _Text, object_type: str
) -> tuple[ColumnElement[bool], ...]:
    """The ledger's rows of an object type."""
    return (
        ledger.c.tenant_id == tenant,
        ledger.c.connection_id == connection_id,
        ledger.c.object_type == object_type,
    )


def refused_rows(
    tenant: _Text, connection_id: _Text, object_type: str, entity: str
) -> tuple[ColumnElement[bool], ...]:
    """Quarantine entries of rows that a mapping of this type refused."""
    return (
        quarantine.c.tenant_id == tenant,
        quarantine.c.connection_id == connection_id,
        quarantine.c.entity == entity,
        quarantine.c.rule.startswith(f"{MAPPING_RULE}.{object_type}.", autoescape=True),
        quarantine.c.released_at.is_(None),
    )
