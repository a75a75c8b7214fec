"""What is known of each webhook topic: when it last told us something, and since when it is good.

Prevents a topic that has fallen silent from looking like a quiet shop: nobody can tell the two
apart who has not written down when the last delivery came.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.storage.tables.intake import webhook_subscriptions as table
from crm_integration.tenancy.scope import TenantScope


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
    """Deliveries of these topics were received then; an earlier time changes nothing."""
    _upsert(
        scope,
        connection_id,
        [{"topic": topic, "heard_at": at} for topic, at in sorted(heard.items())],
        {"heard_at": func.greatest},
    )


def note_looks(scope: TenantScope, connection_id: str, looks: list[dict[str, Any]]) -> None:
    """What a look found: rows with `topic`, `state`, `good_since`, `silent_since`, `problem`."""
    rows = [{**one, "checked_at": func.clock_timestamp()} for one in looks]
    _upsert(scope, connection_id, rows, {})


def _upsert(
    scope: TenantScope, connection_id: str, rows: list[dict[str, Any]], merged: Mapping[str, Any]
) -> None:
    """The given columns are replaced, or merged with what was there."""
    if not rows:
        return
    place = {"tenant_id": scope.tenant, "connection_id": connection_id}
    statement = insert(table).values([{**place, **row} for row in rows])
    new = {name: statement.excluded[name] for name in rows[0] if name != "topic"}
    for name, merge in merged.items():
        new[name] = merge(table.c[name], new[name])
    scope.connection.execute(
        statement.on_conflict_do_update(index_elements=list(table.primary_key.columns), set_=new)
    )
