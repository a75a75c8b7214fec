"""The stored fingerprint of each topic: its paths, their types, and what is wrong with them.

Prevents each run from learning a store's payloads anew: what was there before is a row, and a
problem stays on it until a person has accepted what the store sends now.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, and_, case, func, literal, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.quality.payload_shape import ROOT
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.quality import payload_paths
from crm_integration.tenancy.scope import TenantScope

MEMORY = 4_000
"""Sights of a path beyond which the old ones count half: a share is that of the recent past."""

GONE, RETYPED, NEW = "gone", "retyped", "new"


@dataclass(frozen=True)
class Topic:
    """What one connection sends as one object type, in one shape; it stands for `entities`."""

    connection_id: str
    object_type: str
    shape: str
    entities: tuple[str, ...]


@dataclass(frozen=True)
class KnownPath:
    """A path as it was before: `present` of `holders` objects had a value on it."""

    types: int
    holders: int
    present: int
    last_raw_id: int
    problem: str | None
    problem_records: int


@dataclass(frozen=True)
class SeenPath:
    """What a run saw on a path since it last saved; `odd_types` is not yet accepted."""

    path: str
    types: int
    holders: int
    present: int
    first_raw_id: int
    last_raw_id: int
    problem: str | None = None
    odd_types: int = 0
    odd_records: int = 0
    odd_raw_id: int | None = None


@dataclass(frozen=True)
class PathProblem:
    """An open problem: which path, what it was, what it is, since when, in how many records."""

    connection_id: str
    object_type: str
    path: str
    problem: str
    types: int
    problem_types: int
    raw_id: int
    since: datetime | None
    records: int


def known_paths(
    scope: TenantScope, connection_id: str, object_type: str
) -> dict[str, dict[str, KnownPath]]:
    """Shape -> path -> what is known of it."""
    names = ("types", "holders", "present", "last_raw_id", "problem", "problem_records")
    rows = scope.connection.execute(
        select(payload_paths.c.shape, payload_paths.c.path, *(payload_paths.c[n] for n in names))
        .where(payload_paths.c.tenant_id == scope.tenant)
        .where(payload_paths.c.connection_id == connection_id)
        .where(payload_paths.c.object_type == object_type)
    )
    found: dict[str, dict[str, KnownPath]] = {}
    for row in rows:
        shape, path, *known = tuple(row)
        found.setdefault(shape, {})[path] = KnownPath(*known)
    return found


_SEEN = ("path", "types", "holders", "present", "first_raw_id", "last_raw_id")
_ODD = ("problem", "problem_types", "problem_records", "problem_raw_id")


def save_paths(scope: TenantScope, topic: Topic, seen: Iterable[SeenPath], run_id: str) -> None:
    """Add what was seen; while a path is `gone` its share stays what it was before."""
    rows = [
        (s.path, s.types, s.holders, s.present, s.first_raw_id, s.last_raw_id)
        + (s.problem, s.odd_types, s.odd_records, s.odd_raw_id)
        for s in seen
    ]
    if not rows:
        return
    staged = stage(scope.connection, payload_paths, (*_SEEN, *_ODD), rows)
    key = {
        "tenant_id": scope.tenant,
        "connection_id": topic.connection_id,
        "object_type": topic.object_type,
        "shape": topic.shape,
    }
    received = select(raw_records.c.received_at).where(
        raw_records.c.tenant_id == scope.tenant, raw_records.c.raw_id == staged.c.problem_raw_id
    )
    chosen = select(
        *(literal(value) for value in key.values()),
        literal(list(topic.entities), payload_paths.c.entities.type),
        literal(run_id),
        *(staged.c[name] for name in (*_SEEN, *_ODD)),
        received.scalar_subquery(),
    )
    names = (*key, "entities", "run_id", *_SEEN, *_ODD, "problem_since")
    statement = insert(payload_paths).from_select(names, chosen)
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[payload_paths.c[name] for name in (*key, "path")],
            set_=_merged(statement.excluded),
        )
    )


def _merged(new: Any) -> dict[str, Any]:
    old = payload_paths.c
    at_fault = or_(old.problem == GONE, new.problem == GONE)
    faded = case((old.holders + new.holders > MEMORY, 2), else_=1)

    def counted(name: str) -> ColumnElement[Any]:
        return case((at_fault, old[name]), else_=(old[name] + new[name]) // faded)

    return {
        "entities": new.entities,
        "types": old.types.op("|")(new.types),
        "holders": counted("holders"),
        "present": counted("present"),
        "last_raw_id": func.greatest(old.last_raw_id, new.last_raw_id),
        "last_seen": func.now(),
        "problem": func.coalesce(old.problem, new.problem),
        "problem_types": old.problem_types.op("|")(new.problem_types),
        "problem_records": old.problem_records + new.problem_records,
        "problem_raw_id": func.coalesce(old.problem_raw_id, new.problem_raw_id),
        "problem_since": func.coalesce(old.problem_since, new.problem_since),
    }


def problems_of(scope: TenantScope, entities: Sequence[str]) -> tuple[PathProblem, ...]:
    """Open problems of topics that stand for one of these entities, oldest first."""
    columns = (
        *("connection_id", "object_type", "path", "problem", "types", "problem_types"),
        *("problem_raw_id", "problem_since", "problem_records"),
    )
    rows = scope.connection.execute(
        select(*(payload_paths.c[name] for name in columns))
        .where(_concerns(scope, entities), payload_paths.c.problem.is_not(None))
        .order_by(payload_paths.c.problem_raw_id, payload_paths.c.path)
    )
    return tuple(PathProblem(*row) for row in rows)


def news_of(scope: TenantScope, entity: str, run_id: str, limit: int) -> tuple[str, ...]:
    """`order: lines[].colour`: paths that this run saw first, of topics that were known before."""
    root = payload_paths.alias("root")
    rows = scope.connection.execute(
        select(payload_paths.c.object_type, payload_paths.c.path)
        .join_from(
            payload_paths,
            root,
            and_(
                *(
                    root.c[name] == payload_paths.c[name]
                    for name in ("tenant_id", "connection_id", "object_type", "shape")
                ),
                root.c.path == ROOT,
                root.c.run_id != run_id,
            ),
        )
        .where(_concerns(scope, (entity,)), payload_paths.c.run_id == run_id)
        .order_by(payload_paths.c.object_type, payload_paths.c.path)
        .limit(limit)
    )
    return tuple(f"{object_type}: {path}" for object_type, path in rows)


def payloads_known(scope: TenantScope, entity: str) -> int:
    """How many payloads the shares of an entity's topics rest on; 0 before the first."""
    total = select(func.coalesce(func.sum(payload_paths.c.present), 0))
    statement = total.where(_concerns(scope, (entity,)), payload_paths.c.path == ROOT)
    return int(scope.connection.execute(statement).scalar_one())


def accept_paths(scope: TenantScope, entities: Sequence[str]) -> int:
    """What is wrong with these entities' topics is right from now on; returns how many paths.

    New types are known, and a path that is gone is learned anew.
    """
    gone = payload_paths.c.problem == GONE
    fresh: Mapping[str, Any] = {
        "types": payload_paths.c.types.op("|")(payload_paths.c.problem_types),
        "holders": case((gone, 0), else_=payload_paths.c.holders),
        "present": case((gone, 0), else_=payload_paths.c.present),
        "problem": None,
        "problem_types": 0,
        "problem_records": 0,
        "problem_raw_id": None,
        "problem_since": None,
    }
    accepted = (
        update(payload_paths)
        .where(_concerns(scope, entities), payload_paths.c.problem.is_not(None))
        .values(**fresh)
    )
    return scope.connection.execute(accepted).rowcount


def _concerns(scope: TenantScope, entities: Sequence[str]) -> ColumnElement[bool]:
    wanted = literal(list(entities), payload_paths.c.entities.type)
    return and_(
        payload_paths.c.tenant_id == scope.tenant, payload_paths.c.entities.op("&&")(wanted)
    )
