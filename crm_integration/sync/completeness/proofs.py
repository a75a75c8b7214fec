"""Proofs, kept: what was found when, and beyond which raw record it says nothing.

Prevents the green that is a year old: a proof names the highest raw record there was, and is stale
as soon as a later one joins its day.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime

from sqlalchemy import func, insert, select
from sqlalchemy.dialects.postgresql import distinct_on

from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.proofs import proofs
from crm_integration.stores._contract import Window
from crm_integration.sync.completeness.model import Completeness, DayProof
from crm_integration.tenancy.scope import Tenancy, TenantScope


@dataclass(frozen=True)
class KeptProof:
    """The newest proof of an entity and day. `stale`: raw records came to the day since."""

    proof: DayProof
    proven_at: datetime
    run_id: str
    stale: bool

    @property
    def stands(self) -> bool:
        """Whether it says today that nothing is missing."""
        return self.proof.passed and not self.stale


def keep_proofs(tenancy: Tenancy, done: Completeness, *, run_id: str) -> None:
    """Keep the proofs of a scan; none is ever changed."""
    rows = [
        {
            "tenant_id": done.request.tenant,
            "entity": one.entity,
            "day": one.day,
            "passed": one.passed,
            "counts": one.counts,
            "samples": one.samples,
            "problem": one.problem,
            "highest_raw_id": one.highest_raw_id,
            "run_id": run_id,
        }
        for one in done.days
    ]
    if rows:
        with tenancy.scope(done.request.tenant) as scope:
            scope.connection.execute(insert(proofs), rows)


def newest_proofs(scope: TenantScope, days: Window | None = None) -> list[KeptProof]:
    """The newest proof of each entity and day in the window (None: of all), and of what has no
    day; in the order of entity and day."""
    statement = (
        select(proofs)
        .ext(distinct_on(proofs.c.entity, proofs.c.day))
        .where(proofs.c.tenant_id == scope.tenant)
        .order_by(proofs.c.entity, proofs.c.day, proofs.c.proof_id.desc())
    )
    if days is not None:
        inside = (proofs.c.day >= days.start) & (proofs.c.day < days.end)
        statement = statement.where(inside | proofs.c.day.is_(None))
    rows = scope.connection.execute(statement).all()
    by_day, by_type = _newest_raw(scope)
    return [
        KeptProof(
            DayProof(
                row.entity,
                row.day,
                row.counts,
                row.samples,
                row.highest_raw_id,
                row.problem,
            ),
            row.proven_at,
            row.run_id,
            (by_type.get(row.entity, 0) if row.day is None else by_day.get(row.day, 0))
            > row.highest_raw_id,
        )
        for row in rows
    ]


def _newest_raw(scope: TenantScope) -> tuple[Mapping[date, int], Mapping[str, int]]:
    """The highest raw id by day, and by object type."""
    highest = func.max(raw_records.c.raw_id)
    rows = scope.connection.execute(
        select(raw_records.c.day, raw_records.c.object_type, highest)
        .where(raw_records.c.tenant_id == scope.tenant)
        .group_by(raw_records.c.day, raw_records.c.object_type)
    )
    by_day, by_type = dict[date, int](), dict[str, int]()
    for day, object_type, raw_id in rows:
        by_day[day] = max(by_day.get(day, 0), raw_id)
        by_type[object_type] = max(by_type.get(object_type, 0), raw_id)
    return by_day, by_type
