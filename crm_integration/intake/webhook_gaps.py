"""Times in which a topic told us nothing although it should have: recorded, mended, fetched.

Prevents a repaired webhook from hiding what it missed: the gap reaches from the last that was
heard to the repair, and exactly that is listed again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID, uuid4

from sqlalchemy import Integer, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.intake.extract import extract
from crm_integration.intake.open_store import OpenStore
from crm_integration.intake.raw_records import FUTURE_TOLERANCE
from crm_integration.storage.tables.intake import webhook_gaps as table
from crm_integration.stores._contract import Window
from crm_integration.tenancy.scope import Tenancy, TenantScope


@dataclass(frozen=True)
class Fetched:
    """One listing that filled gaps of a type, and how many raw records it brought."""

    object_type: str
    since: datetime
    until: datetime
    kept: int


@dataclass(frozen=True)
class _Mended:
    gap_id: UUID
    object_type: str
    since: datetime
    until: datetime


def open_gap(
    scope: TenantScope,
    connection_id: str,
    topic: str,
    object_type: str,
    last_good: datetime,
    cause: str,
) -> None:
    """Record a gap from then on; one that is open already stays as it is.

    Their clock and ours may differ: it begins so much before what was heard last.
    """
    scope.connection.execute(
        insert(table)
        .values(
            tenant_id=scope.tenant,
            gap_id=uuid4(),
            connection_id=connection_id,
            topic=topic,
            object_type=object_type,
            cause=cause,
            gap_from=last_good - FUTURE_TOLERANCE,
        )
        .on_conflict_do_nothing(
            index_elements=[table.c.tenant_id, table.c.connection_id, table.c.topic],
            index_where=table.c.fetched_at.is_(None),
        )
    )


def mend_gaps(scope: TenantScope, connection_id: str, topics: list[str]) -> None:
    """These topics tell again, from now on."""
    scope.connection.execute(
        update(table)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.connection_id == connection_id,
            table.c.topic.in_(topics),
            table.c.gap_until.is_(None),
        )
        .values(gap_until=func.clock_timestamp())
    )


def fetch_gaps(tenancy: Tenancy, store: OpenStore, *, run_id: str) -> list[Fetched]:
    """List again what mended gaps missed, each time once for all topics of a type.

    Types without a filter at the store are listed whole. Raises what `extract` raises; a gap that
    was not fetched to its end is fetched by the next look.
    """
    done: list[Fetched] = []
    for group in _groups(_mended(tenancy, store)):
        since, until = min(one.since for one in group), max(one.until for one in group)
        window = Window.between(since, until)
        listed = extract(tenancy, store, group[0].object_type, window, run_id=run_id)
        with tenancy.scope(store.tenant) as scope:
            _note_fetched(scope, [one.gap_id for one in group], listed.kept.kept)
        done.append(Fetched(group[0].object_type, since, until, listed.kept.kept))
    return done


def _mended(tenancy: Tenancy, store: OpenStore) -> list[_Mended]:
    with tenancy.scope(store.tenant) as scope:
        rows = scope.connection.execute(
            select(table.c.gap_id, table.c.object_type, table.c.gap_from, table.c.gap_until)
            .where(
                table.c.tenant_id == scope.tenant,
                table.c.connection_id == store.connection.connection_id,
                table.c.gap_until.is_not(None),
                table.c.fetched_at.is_(None),
            )
            .order_by(table.c.object_type, table.c.gap_from)
        )
        return [_Mended(*row) for row in rows]


def _groups(gaps: list[_Mended]) -> list[list[_Mended]]:
    """Gaps of one type that overlap, in order of time."""
    groups: list[list[_Mended]] = []
    for gap in gaps:
        last = groups[-1] if groups else []
        joins = last and last[0].object_type == gap.object_type
        if joins and gap.since <= max(one.until for one in last):
            last.append(gap)
        else:
            groups.append([gap])
    return groups


def _note_fetched(scope: TenantScope, gap_ids: list[UUID], kept: int) -> None:
    scope.connection.execute(
        update(table)
        .where(table.c.tenant_id == scope.tenant, table.c.gap_id.in_(gap_ids))
        .values(fetched_at=func.clock_timestamp(), kept=cast(kept, Integer))
    )
