"""Which partitions live runs have touched, for whoever runs next to tell Dagster of.

Prevents the work of a killed run from never showing: what it touched is written in the
statement that takes its deliveries out of the queue, and counts as told only when it was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from sqlalchemy import Engine, FromClause, Text, and_, bindparam, func, or_, select, update
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.intake import touched_partitions as touched

HOURLY = timedelta(hours=1)
"""One partition is told of at most so often: an event costs more than a record."""


@dataclass(frozen=True)
class Touched:
    """One store object type on one day of a tenant."""

    tenant: str
    object_type: str
    day: date
    touched_at: datetime


def noting(days: FromClause) -> Insert:
    """Remembers the days of object types of a `tenant`; goes along with the statement that takes
    their deliveries out of the queue."""
    tenant = bindparam("tenant", type_=Text)
    statement = insert(touched).from_select(
        ("tenant_id", "object_type", "day"), select(tenant, *days.c)
    )
    return statement.on_conflict_do_update(
        index_elements=list(touched.primary_key.columns),
        set_={"touched_at": func.clock_timestamp()},
    )


def untold(ops: Engine) -> list[Touched]:
    """What was touched since it was last told of, and not told of within the hour."""
    told, place = touched.c.reported_at, (touched.c.tenant_id, touched.c.object_type, touched.c.day)
    again = and_(told < touched.c.touched_at, told < func.now() - HOURLY)
    with ops.connect() as connection:
        rows = connection.execute(
            select(*place, touched.c.touched_at).where(or_(told.is_(None), again)).order_by(*place)
        ).all()
    return [Touched(*row) for row in rows]


def note_told(ops: Engine, told: Sequence[Touched]) -> None:
    """These were told of, as they were touched then; what was touched since is told later."""
    names = ("tenant_id", "object_type", "day", "touched_at")
    rows = [(one.tenant, one.object_type, one.day, one.touched_at) for one in told]
    with ops.begin() as connection:
        asked = stage(connection, touched, names, rows)
        connection.execute(
            update(touched)
            .where(*(touched.c[name] == asked.c[name] for name in names[:-1]))
            .values(reported_at=asked.c.touched_at)
        )
