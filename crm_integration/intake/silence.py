"""Which webhook topics have fallen silent, told from what polling had to bring in their place.

Prevents the subscription that the store calls active and that delivers nothing: polling kept new
orders of a time in which the topic told of none.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Engine, Integer, and_, cast, func, select

from crm_integration.intake.drop_table import lane_of
from crm_integration.intake.raw_records import Observation
from crm_integration.storage.tables.intake import raw_records, webhook_queue
from crm_integration.stores._registry import Topic
from crm_integration.tenancy.scope import TenantScope

SILENT_AFTER = 3
"""So many objects that only polling knew of, and no delivery: no chance any more."""

LATE = timedelta(hours=1)
"""A delivery may come so late, and be no sign of anything."""


def has_unread(ops: Engine, tenant: str) -> bool:
    """Whether deliveries lie in the queue: what they tell is not known to anybody so far."""
    with ops.connect() as connection:
        found = connection.execute(
            select(webhook_queue.c.drop_id)
            .where(webhook_queue.c.lane == lane_of(tenant), webhook_queue.c.tenant_id == tenant)
            .limit(1)
        )
        return found.first() is not None


def polled_instead(
    scope: TenantScope, connection_id: str, topic: Topic, since: datetime, now: datetime
) -> int:
    """How many objects a list was the first to show, that this topic should have told of since.

    Deletions are not seen by lists: 0.
    """
    if topic.event == "deleted":
        return 0
    shown, before = raw_records, raw_records.alias("before")
    earlier = and_(
        *(before.c[name] == shown.c[name] for name in _OBJECT), before.c.raw_id < shown.c.raw_id
    )
    is_known = select(before.c.raw_id).where(earlier).exists()
    same_version = before.c.source_time >= shown.c.source_time
    told = select(before.c.raw_id).where(earlier, same_version).exists()
    first: ColumnElement[bool] = ~is_known if topic.event == "created" else and_(is_known, ~told)
    number = func.count(shown.c.source_id.distinct())
    return scope.connection.execute(
        select(cast(number, Integer)).where(
            shown.c.tenant_id == scope.tenant,
            shown.c.connection_id == connection_id,
            shown.c.object_type == topic.object_type,
            shown.c.day >= since.date(),
            shown.c.observation == int(Observation.list),
            shown.c.source_time >= since,
            shown.c.source_time < now - LATE,
            first,
        )
    ).scalar_one()


_OBJECT = ("tenant_id", "connection_id", "object_type", "source_id")
