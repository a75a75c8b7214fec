"""What is known of each webhook topic: when it last told us something, and since when it is good.

Prevents a topic that has fallen silent from looking like a quiet shop: nobody can tell the two
apart who has not written down when the last delivery came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any

from sqlalchemy import FromClause, Text, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.intake import webhook_subscriptions as table
from crm_integration.tenancy.scope import TenantScope

HEARD_AGAIN = timedelta(seconds=30)
"""A row that each delivery writes is written a thousand times an hour. What is missed before a
topic fell silent is fetched from the last time that is known: by so much too early."""


@dataclass(frozen=True)
class Known:
    """One topic as it was left. `good_since`: subscribed, or first found to be."""

    state: str
    heard_at: datetime | None
    good_since: datetime | None

    @property
    def last_good(self) -> datetime | None:
        """Up to here all was told, by all that is known."""
        return max((one for one in (self.heard_at, self.good_since) if one), default=None)


def known_topics(scope: TenantScope, connection_id: str) -> dict[str, Known]:
    """Every topic that was heard or looked at."""
    rows = scope.connection.execute(
        select(table.c.topic, table.c.state, table.c.heard_at, table.c.good_since).where(
            table.c.tenant_id == scope.tenant, table.c.connection_id == connection_id
        )
    )
    return {row.topic: Known(row.state, row.heard_at, row.good_since) for row in rows}


def note_heard(scope: TenantScope, connection_id: str, heard: Mapping[str, datetime]) -> None:
    """Deliveries of these topics were received then; an earlier time changes nothing, and one
    that is later by less than `HEARD_AGAIN` is not worth a write."""
    if not heard:
        return
    names = ("topic", "heard_at")
    rows = hand(scope.connection, "heard", table, names, sorted(heard.items()))
    place = {"tenant": scope.tenant, "connection": connection_id}
    scope.connection.execute(_note_heard(rows.source), {**place, **rows.values})


@lru_cache(maxsize=2)
def _note_heard(heard: FromClause) -> Insert:
    place = bindparam("tenant", type_=Text), bindparam("connection", type_=Text)
    statement = insert(table).from_select(
        ("tenant_id", "connection_id", "topic", "heard_at"), select(*place, *heard.c)
    )
    heard_at = statement.excluded.heard_at
    return statement.on_conflict_do_update(
        index_elements=list(table.primary_key.columns),
        set_={"heard_at": heard_at},
        where=or_(table.c.heard_at.is_(None), table.c.heard_at < heard_at - HEARD_AGAIN),
    )


def note_looks(scope: TenantScope, connection_id: str, looks: list[dict[str, Any]]) -> None:
    """What a look found: rows with `topic`, `state`, `good_since`, `silent_since`, `problem`."""
    rows = [{**one, "checked_at": func.clock_timestamp()} for one in looks]
    if not rows:
        return
    place = {"tenant_id": scope.tenant, "connection_id": connection_id}
    statement = insert(table).values([{**place, **row} for row in rows])
    new = {name: statement.excluded[name] for name in rows[0] if name != "topic"}
    scope.connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=new)
    )
