"""Rows and lines that are kept back, and how they come free again.

Prevents bad data from vanishing without a trace: what a rule refused is counted, has its reason
and its raw record, and is released by itself when the object passes later.
"""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import dataclass

from sqlalchemy import (
    Exists,
    and_,
    bindparam,
    case,
    distinct,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert

from crm_integration.quality.row_checks import THE_ROW
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.quality import quarantine
from crm_integration.tenancy.scope import TenantScope

_KEY = ("connection_id", "entity", "source_id", "position", "rule")
_CONTENT = ("raw_id", "reason", "fix", "rules_version", "run_id")


@dataclass(frozen=True)
class QuarantineEntry:
    """One rule broken by one object (`position` -1) or by one of its lines.

    `rule` may also be a code from outside the rules, such as a payload nobody can read.
    """

    entity: str
    source_id: str
    position: int
    rule: str
    raw_id: int
    reason: str
    fix: str


StillFound = tuple[str, int, str]
"""(source_id, position, rule) of a finding that was made again."""


def keep_back(
    scope: TenantScope,
    connection_id: str,
    entries: Iterable[QuarantineEntry],
    *,
    rules_version: str,
    run_id: str,
) -> None:
    """Keep these back. One that is open keeps its `since`, a released one opens anew."""
    rows = [
        (connection_id, e.entity, storable(e.source_id), e.position, e.rule)
        + (e.raw_id, e.reason, e.fix, rules_version, run_id)
        for e in entries
    ]
    if not rows:
        return
    staged = stage(scope.connection, quarantine, (*_KEY, *_CONTENT), rows)
    key = [staged.c[name] for name in _KEY]
    newest = (
        select(literal(scope.tenant), *(staged.c[name] for name in (*_KEY, *_CONTENT)))
        .ext(distinct_on(*key))
        .order_by(*key, staged.c.raw_id.desc())
    )
    statement = insert(quarantine).from_select(("tenant_id", *_KEY, *_CONTENT), newest)
    reopened = case((quarantine.c.released_at.is_(None), quarantine.c.since), else_=func.now())
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[quarantine.c.tenant_id, *(quarantine.c[name] for name in _KEY)],
            set_={
                **{name: statement.excluded[name] for name in _CONTENT},
                "since": reopened,
                "released_at": None,
            },
        )
    )


def release_passed(
    scope: TenantScope,
    connection_id: str,
    entity: str,
    source_ids: Iterable[str],
    still: Set[StillFound],
) -> int:
    """Release what was open for these objects and was not found again; returns how many."""
    judged = [(storable(source_id),) for source_id in dict.fromkeys(source_ids)]
    place = {"connection": connection_id, "of_entity": entity}
    # The usual batch has nothing to release.
    if not judged or not scope.connection.scalar(_ANY_OPEN, place):
        return 0
    is_open = and_(
        quarantine.c.connection_id == connection_id,
        quarantine.c.entity == entity,
        quarantine.c.released_at.is_(None),
    )
    objects_judged = stage(scope.connection, quarantine, ("source_id",), judged)
    statement = (
        update(quarantine)
        .values(released_at=func.now())
        .where(is_open, quarantine.c.source_id.in_(select(objects_judged.c.source_id)))
    )
    if still:
        statement = statement.where(~_found_again(scope, still))
    return scope.connection.execute(statement).rowcount


_ANY_OPEN = select(
    exists().where(
        quarantine.c.connection_id == bindparam("connection"),
        quarantine.c.entity == bindparam("of_entity"),
        quarantine.c.released_at.is_(None),
    )
)


def _found_again(scope: TenantScope, still: Set[StillFound]) -> Exists:
    rows = [(storable(source_id), position, rule) for source_id, position, rule in still]
    found = stage(scope.connection, quarantine, ("source_id", "position", "rule"), rows)
    return exists().where(
        found.c.source_id == quarantine.c.source_id,
        found.c.position == quarantine.c.position,
        found.c.rule == quarantine.c.rule,
    )


def counts(scope: TenantScope) -> dict[tuple[str, str], int]:
    """Open entries (rows and lines) by (entity, rule)."""
    rows = scope.connection.execute(
        select(quarantine.c.entity, quarantine.c.rule, func.count())
        .where(quarantine.c.released_at.is_(None))
        .group_by(quarantine.c.entity, quarantine.c.rule)
        .order_by(quarantine.c.entity, quarantine.c.rule)
    )
    return {(entity, rule): number for entity, rule, number in rows}


def objects(scope: TenantScope, entity: str) -> int:
    """How many objects are kept back whole; those that lost only lines are not counted."""
    key = func.row(quarantine.c.connection_id, quarantine.c.source_id)
    return scope.connection.execute(
        select(func.count(distinct(key)))
        .where(quarantine.c.released_at.is_(None))
        .where(quarantine.c.entity == entity, quarantine.c.position == THE_ROW)
    ).scalar_one()


def storable(source_id: str) -> str:
    """The id as Postgres can hold it: an id with NUL is kept back, and must itself be kept."""
    return source_id.replace("\0", "\N{REPLACEMENT CHARACTER}")
