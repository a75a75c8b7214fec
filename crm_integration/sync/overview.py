"""One tenant at a glance: how many rows lie where, for people and for the demo's table."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import ColumnElement, Table, func, select

from crm_integration.canonical.entities import ENTITIES
from crm_integration.quality import quarantine
from crm_integration.storage.tables import metadata
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.sync import attempts, bindings, ledger
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import AMBIGUOUS
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class Overview:
    """Counts of one tenant. `repeats`: raw records that came again unchanged, by object type."""

    raw_records: int
    repeats: dict[str, int]
    canonical: dict[str, int]
    adopted: int
    ambiguous: int
    quarantined: dict[str, int]
    held: int
    dead: int
    writes: int


def overview(scope: TenantScope) -> Overview:
    """Read the counts; a handful of set-based queries."""
    raw = scope.connection.execute(
        select(raw_records.c.object_type, func.count(), func.sum(raw_records.c.seen_again))
        .where(raw_records.c.tenant_id == scope.tenant)
        .group_by(raw_records.c.object_type)
    ).all()
    same = _same_again(scope)
    states = _states(scope)
    return Overview(
        raw_records=sum(row[1] for row in raw),
        repeats={row[0]: int(row[2]) + same.get(row[0], 0) for row in raw},
        canonical={
            name: _count(scope, metadata.tables[entity.table]) for name, entity in ENTITIES.items()
        },
        adopted=_count(scope, bindings, bindings.c.adopted),
        ambiguous=_count(scope, ledger, ledger.c.reason == AMBIGUOUS),
        quarantined={name: quarantine.objects(scope, name) for name in ENTITIES},
        held=states.get(State.held, 0),
        dead=states.get(State.dead, 0),
        writes=_count(scope, attempts),
    )


def _same_again(scope: TenantScope) -> dict[str, int]:
    """Raw records whose bytes differ while what they say does not (lines in another order)."""
    rows = scope.connection.execute(
        select(raw_records.c.object_type, func.count())
        .where(raw_records.c.tenant_id == scope.tenant, raw_records.c.outcome == "same")
        .group_by(raw_records.c.object_type)
    )
    return {object_type: number for object_type, number in rows}


def _states(scope: TenantScope) -> dict[str, int]:
    rows = scope.connection.execute(
        select(ledger.c.state, func.count())
        .where(ledger.c.tenant_id == scope.tenant)
        .group_by(ledger.c.state)
    )
    return {state: number for state, number in rows}


def _count(scope: TenantScope, table: Table, *where: ColumnElement[bool]) -> int:
    statement = select(func.count()).select_from(table)
    statement = statement.where(table.c.tenant_id == scope.tenant, *where)
    return scope.connection.execute(statement).scalar_one()


def stages(scope: TenantScope) -> tuple[int, int, int]:
    """Raw records, canonical rows and synced ledger rows: cheap enough to ask every second."""
    rows = sum(_count(scope, metadata.tables[entity.table]) for entity in ENTITIES.values())
    synced = _count(scope, ledger, ledger.c.state == State.synced.value)
    return _count(scope, raw_records), rows, synced
