"""Which partitions live runs have touched, for whoever runs next to tell Dagster of.

Prevents the work of a killed run from never showing: what it touched is written in the
transaction that takes its deliveries out of the queue.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import date, timedelta
from functools import lru_cache

from sqlalchemy import Connection, Engine, FromClause, Text, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.intake import touched_partitions as touched

HOURLY = timedelta(hours=1)
"""One partition is told of at most so often: an event costs more than a record."""


@dataclass(frozen=True)
class Touched:
    """One store object type on one day of a tenant."""

    tenant: str
    object_type: str
    day: date


def note_touched(connection: Connection, tenant: str, days: Collection[tuple[str, date]]) -> None:
    """Remember days of object types, in the caller's transaction (role `crm_ops`)."""
    if not days:
        return
    rows = hand(connection, "days", touched, ("object_type", "day"), sorted(days))
    connection.execute(_note(rows.source), {"tenant": tenant, **rows.values})


@lru_cache(maxsize=2)
def _note(days: FromClause) -> Insert:
    tenant = bindparam("tenant", type_=Text)
    statement = insert(touched).from_select(
        ("tenant_id", "object_type", "day"), select(tenant, *days.c)
    )
    return statement.on_conflict_do_update(
        index_elements=list(touched.primary_key.columns),
        set_={"touched_at": func.clock_timestamp()},
    )


def take_touched(ops: Engine) -> list[Touched]:
    """What was touched since it was last told of, and not told of within the hour; from now on it
    counts as told."""
    told = touched.c.reported_at
    with ops.begin() as connection:
        rows = connection.execute(
            update(touched)
            .where(
                or_(
                    told.is_(None),
                    (told < touched.c.touched_at) & (told < func.now() - HOURLY),
                )
            )
            .values(reported_at=func.clock_timestamp())
            .returning(touched.c.tenant_id, touched.c.object_type, touched.c.day)
        ).all()
    return sorted(
        (Touched(*row) for row in rows), key=lambda one: (one.tenant, one.object_type, one.day)
    )
