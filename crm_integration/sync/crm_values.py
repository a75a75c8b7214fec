"""Values of the CRM's own fields that a mapping wants back, kept with where they came from.

Prevents the question that nobody can answer: which lead status did sales set, when, on which
record, and which mapping asked for it. What did not change is not written again.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.crms._contract import FieldValue
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.crm_reading import crm_values
from crm_integration.sync.ledger import row_name
from crm_integration.tenancy.scope import TenantScope

_TABLE = "crm_values"
_KEY = ("tenant_id", "connection_id", "object_type", "object_id", "field")
_TOLD = ("value", "digest", "crm_record_id", "crm_changed_at", "mapping_id", "run_id")


@dataclass(frozen=True)
class Seen:
    """What one record showed of the fields that are wanted back."""

    object_id: UUID
    record_id: str
    changed_at: datetime | None
    fields: Mapping[str, FieldValue] = field(repr=False)


@dataclass(frozen=True)
class CrmValue:
    """The newest value of one field, with its trace. `changed_at`: the CRM's own time of the
    record's last change; `seen_at`: when we first saw this value."""

    value: FieldValue = field(repr=False)
    record_id: str
    changed_at: datetime | None
    seen_at: datetime
    mapping_id: str
    run_id: str


def keep_values(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    seen: Sequence[Seen],
    *,
    mapping_id: str,
    run_id: str,
) -> int:
    """Keep the values that are new or differ from what was kept; returns how many."""
    place = (connection_id, object_type)
    rows = [
        (scope.tenant, *place, one.object_id, name, *_sealed(scope, place, one, name),
         one.record_id, one.changed_at, mapping_id, run_id)
        for one in {each.object_id: each for each in seen}.values()
        for name in one.fields
    ]  # fmt: skip
    if not rows:
        return 0
    names = (*_KEY, *_TOLD)
    staged = stage(scope.connection, crm_values, names, rows)
    statement = insert(crm_values).from_select(names, select(*(staged.c[name] for name in names)))
    new = statement.excluded
    written = scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(crm_values.primary_key.columns),
            set_={**{name: new[name] for name in _TOLD}, "seen_at": new.seen_at},
            where=crm_values.c.digest != new.digest,
        ).returning(crm_values.c.object_id)
    )
    return len(written.all())


def values_of(
    scope: TenantScope, connection_id: str, object_type: str, object_ids: Collection[UUID]
) -> dict[UUID, dict[str, CrmValue]]:
    """What the CRM showed of these objects, by field; objects it showed nothing of are absent."""
    asked = stage(scope.connection, crm_values, ("object_id",), [(one,) for one in set(object_ids)])
    rows = scope.connection.execute(
        select(crm_values)
        .join_from(asked, crm_values, crm_values.c.object_id == asked.c.object_id)
        .where(
            crm_values.c.tenant_id == scope.tenant,
            crm_values.c.connection_id == connection_id,
            crm_values.c.object_type == object_type,
        )
    )
    found: dict[UUID, dict[str, CrmValue]] = {}
    for row in rows:
        name = _row_name((connection_id, object_type), row.object_id, row.field)
        found.setdefault(row.object_id, {})[row.field] = CrmValue(
            orjson.loads(scope.keys.open(_TABLE, name, row.value)),
            row.crm_record_id,
            row.crm_changed_at,
            row.seen_at,
            row.mapping_id,
            row.run_id,
        )
    return found


def _sealed(scope: TenantScope, place: tuple[str, str], one: Seen, name: str) -> tuple[Any, ...]:
    """(value, digest) of one field."""
    said = orjson.dumps(one.fields[name])
    row = _row_name(place, one.object_id, name)
    return scope.keys.seal(_TABLE, row, said), scope.keys.digest(_TABLE, said)


def _row_name(place: tuple[str, str], object_id: UUID, name: str) -> str:
    return f"{row_name(*place, object_id)}/{name}"
