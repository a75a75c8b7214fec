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
    Integer,
    Text,
    bindparam,
    case,
    column,
    exists,
    false,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    union_all,
)
from sqlalchemy.dialects.postgresql import ARRAY

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
    *,
    only_changed: bool = False,
) -> list[ToProject]:
    """Object types with rows that changed or were mapped otherwise, in the order of `mappings`;
    with `only_changed` the latter are not looked for."""
    if not mappings:
        return []
    kinds = [(name, one.entity, one.rules_digest) for name, one in mappings.items()]
    names, entities, digests = (list(one) for one in zip(*kinds, strict=True))
    asked = {"tenant": scope.tenant, "connection": connection_id, "rules": rules_version}
    asked |= {"names": names, "entities": entities, "digests": digests}
    pairs = tuple((name, entity) for name, entity, _ in kinds)
    statement = _changed(pairs) if only_changed else _statement(pairs)
    rows = scope.connection.execute(statement, asked)
    return [ToProject(row.object_type, row.remapped) for row in rows if row.waits or row.remapped]


@lru_cache(maxsize=128)
def _statement(kinds: tuple[tuple[str, str], ...]) -> Executable:
    """Short, whatever is mapped: a driver takes a statement of many thousand characters apart
    anew for each execution."""
    tenant, connection = bindparam("tenant", type_=Text), bindparam("connection", type_=Text)
    given = (bindparam(one, type_=ARRAY(Text)) for one in ("names", "entities", "digests"))
    columns = (column(one, Text) for one in ("object_type", "entity", "digest"))
    asked = func.unnest(*given).table_valued(*columns, with_ordinality="place")
    kind = asked.render_derived(name="kind").c
    mine = rows_of(tenant, connection, kind.object_type)
    # As two ranges an index can tell; as "not equal" it cannot.
    other = (ledger.c.mapping_digest < kind.digest, ledger.c.mapping_digest > kind.digest)
    refused = refused_rows(tenant, connection, kind.object_type, kind.entity)
    waits = (
        (kind.object_type == name, exists().where(*_waits(tenant, entity)))
        for name, entity in kinds
    )
    remapped = or_(*(exists().where(*mine, one) for one in other), exists().where(*refused))
    return select(
        kind.object_type, case(*waits).label("waits"), remapped.label("remapped")
    ).order_by(kind.place)


@lru_cache(maxsize=128)
def _changed(kinds: tuple[tuple[str, str], ...]) -> Executable:
    """As `_statement`, of rows that changed alone: less than half of its work."""
    tenant = bindparam("tenant", type_=Text)
    each = (
        select(
            literal_column(f"{place}", Integer).label("place"),
            literal(name).label("object_type"),
            true().label("waits"),
            false().label("remapped"),
        ).where(exists().where(*_waits(tenant, entity)))
        for place, (name, entity) in enumerate(kinds)
    )
    return union_all(*each).order_by("place")


def _waits(tenant: _Text, entity: str) -> tuple[ColumnElement[bool], ...]:
    """Canonical rows that changed."""
    view = VIEWS[entity]
    return (
        view.table.c.tenant_id == tenant,
        view.table.c.needs_projection,
        view.table.c.rules_version == bindparam("rules", type_=Text),
        *view.shown,
    )


def rows_of(
    tenant: _Text, connection_id: _Text, object_type: _Text
) -> tuple[ColumnElement[bool], ...]:
    """The ledger's rows of an object type."""
    return (
        ledger.c.tenant_id == tenant,
        ledger.c.connection_id == connection_id,
        ledger.c.object_type == object_type,
    )


def refused_rows(
    tenant: _Text, connection_id: _Text, object_type: _Text, entity: _Text
) -> tuple[ColumnElement[bool], ...]:
    """Quarantine entries of rows that a mapping of this type refused."""
    return (
        quarantine.c.tenant_id == tenant,
        quarantine.c.connection_id == connection_id,
        quarantine.c.entity == entity,
        func.starts_with(quarantine.c.rule, literal(f"{MAPPING_RULE}.") + object_type + "."),
        quarantine.c.released_at.is_(None),
    )
