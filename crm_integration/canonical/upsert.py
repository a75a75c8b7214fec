"""Set-based upserts of canonical rows by the order of versions.

Prevents an older version from winning because it arrived later: a row is replaced only by a
version that is newer by (rank, source time, observation, receipt order), and content that did
not change costs no further work downstream.

Callers hold the tenant's identity lock, so a classification stays true until the upsert.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import (
    FromClause,
    Select,
    Table,
    Text,
    Uuid,
    all_,
    bindparam,
    case,
    func,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import ARRAY, Insert, insert

from crm_integration.storage.bulk import Handed, hand
from crm_integration.tenancy.scope import TenantScope

VERSION_COLUMNS = (
    "rank",
    "source_time",
    "observation",
    "raw_id",
    "content_digest",
    "schema_version",
    "rules_version",
    "flags",
    "run_id",
)


@dataclass
class Upserted:
    """Ids by what became of them; `same` is a newer version with equal content, `new` those of
    the changed ones of which there was no living row."""

    changed: set[UUID] = field(default_factory=lambda: set[UUID]())
    new: set[UUID] = field(default_factory=lambda: set[UUID]())
    same: set[UUID] = field(default_factory=lambda: set[UUID]())
    older: set[UUID] = field(default_factory=lambda: set[UUID]())


def upsert_versions(
    scope: TenantScope,
    table: Table,
    id_column: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Any]],
) -> Upserted:
    """Upsert rows `(id, *columns, *VERSION_COLUMNS)`, one per id, into a canonical table."""
    outcome = Upserted()
    if not rows:
        return outcome
    names = (id_column, *columns, *VERSION_COLUMNS)
    said = hand(scope.connection, "said", table, names, rows)
    idle = _classify(scope, table, said, id_column, outcome)
    if len(idle) < len(rows):
        values = {"tenant": scope.tenant, "idle": idle, **said.values}
        scope.connection.execute(_write(table, said.source, names, id_column), values)
    return outcome


def _classify(
    scope: TenantScope, table: Table, said: Handed, id_column: str, outcome: Upserted
) -> list[UUID]:
    """Sort the ids into `outcome`; returns those that need no write at all."""
    compared = _compared(table, said.source, id_column)
    found = scope.connection.execute(compared, {"tenant": scope.tenant, **said.values})
    idle: list[UUID] = []
    for row in found:
        identifier: UUID = row[0]
        staged_version, version = tuple(row[2:6]), tuple(row[6:10])
        if row.is_new:
            outcome.changed.add(identifier)
        elif staged_version < version:
            outcome.older.add(identifier)
            idle.append(identifier)
        elif not row.equal:
            outcome.changed.add(identifier)
        elif staged_version > version:
            outcome.same.add(identifier)
        elif not row.judged_anew:
            idle.append(identifier)
    return idle


@lru_cache(maxsize=64)
def _compared(table: Table, said: FromClause, id_column: str) -> Select[Any]:
    """What is said beside what is stored, each by its version."""
    order = ("rank", "source_time", "observation", "raw_id")
    return select(
        said.c[id_column],
        table.c[id_column].is_(None).label("is_new"),
        *(said.c[name] for name in order),
        *(table.c[name] for name in order),
        (table.c.content_digest == said.c.content_digest).label("equal"),
        or_(
            table.c.rules_version != said.c.rules_version,
            table.c.schema_version != said.c.schema_version,
        ).label("judged_anew"),
    ).join_from(
        said,
        table,
        (table.c.tenant_id == bindparam("tenant")) & (table.c[id_column] == said.c[id_column]),
        isouter=True,
    )


@lru_cache(maxsize=64)
def _write(table: Table, said: FromClause, names: tuple[str, ...], id_column: str) -> Insert:
    """All but the `idle`."""
    rows = select(bindparam("tenant", type_=Text), *(said.c[name] for name in names)).where(
        said.c[id_column] != all_(bindparam("idle", type_=ARRAY(Uuid)))
    )
    statement = insert(table).from_select(["tenant_id", *names], rows)
    new = statement.excluded
    differs = table.c.content_digest != new.content_digest
    updates: dict[str, Any] = {name: new[name] for name in names if name != id_column}
    updates["needs_projection"] = or_(
        table.c.needs_projection, differs, table.c.rules_version != new.rules_version
    )
    updates["changed_at"] = case((differs, func.now()), else_=table.c.changed_at)
    return statement.on_conflict_do_update(
        index_elements=[table.c.tenant_id, table.c[id_column]], set_=updates
    )
