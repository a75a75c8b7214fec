"""Deletions: what a store does not have any more, suspected, confirmed and kept as tombstones.

Prevents the deletion that never happened: a list that leaves an id out, a delivery that says
`deleted` and a shop that answers 404 to everything are suspicions. Only a read by id that says
gone, while the connection's own check is green, is kept; and where very much is gone at once, a
person looks before anything follows from it.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, and_, func, not_, select

from crm_integration.intake.limits import admitted
from crm_integration.intake.raw_records import Days, Kept, Observation, insert_records
from crm_integration.intake.tombstones import (
    GONE_AT,
    LIVED_AT,
    gone_since,
    newest_times,
    of_connection,
)
from crm_integration.quality.holds import HELD_OBJECT, open_hold, open_holds, release
from crm_integration.storage.tables.intake import GONE, IS_GONE, raw_records
from crm_integration.stores._contract import SourceObject
from crm_integration.tenancy.scope import TenantScope
from crm_integration.tenancy.tenants import started_on

DELETIONS = "deletions"
"""The check whose hold keeps tombstones from having any effect."""

MOST, SHARE = 20, 0.01
"""More than so many, and more than this share of a type, found gone in one run open a hold
(architecture, section 5)."""

SUSPECTS = 500
"""Direct reads of a run for objects that a list left out, or whose deletion waits for somebody;
those that were seen longest ago come first."""


def keep_gone(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    source_ids: Sequence[str],
    *,
    run_id: str,
) -> Kept:
    """Keep a tombstone of each of these objects that is not known to be gone, and open the hold
    if they are too many. The caller has seen that the connection is green.

    Objects that nobody has told about so far are kept too: what is delivered late then stays gone.
    """
    named = {(object_type, _id(scope, object_type, one)) for one in source_ids}
    gone = gone_since(scope, connection_id, named)
    fresh = sorted(named - gone.keys())
    newest = newest_times(scope, connection_id, fresh)
    now: datetime = scope.connection.execute(select(func.clock_timestamp())).scalar_one()
    days = Days(started_on(scope), now)
    rows = [_row(scope, one, newest.get(one), days) for one in fresh]
    insert_records(scope, connection_id, rows, Observation.direct, run_id)
    if fresh:
        _hold_if_many(scope, connection_id, object_type, run_id)
    return Kept(len(fresh), len(gone))


def _id(scope: TenantScope, object_type: str, source_id: str) -> str:
    """As its raw records are named."""
    return admitted(SourceObject(object_type, source_id, None, b""), scope.keys)[0].source_id


def _row(
    scope: TenantScope, named: tuple[str, str], newest: datetime | None, days: Days
) -> tuple[object, ...]:
    """Newer than everything that is known: a store's clock may be ahead of ours."""
    when = days.now if newest is None else max(days.now, newest + timedelta(microseconds=1))
    uid = uuid4()
    digest = scope.keys.digest("raw", when.isoformat().encode())
    nothing = scope.keys.seal("raw_records", str(uid), b"")
    return (uid, *named, None, when, days.of(when), digest, nothing, "", [GONE])


def _hold_if_many(scope: TenantScope, connection_id: str, object_type: str, run_id: str) -> None:
    held = HELD_OBJECT.get(object_type)
    if held is None:
        return
    of_type = (*of_connection(scope, connection_id), raw_records.c.object_type == object_type)
    gone = _gone_in_run(scope, of_type, run_id)
    if gone <= MOST:
        return
    known = scope.connection.execute(
        select(func.count(raw_records.c.source_id.distinct())).where(*of_type, not_(IS_GONE))
    ).scalar_one()
    if gone <= SHARE * known:
        return
    open_hold(
        scope,
        held,
        DELETIONS,
        f"{gone} of {known} {object_type} records of connection {connection_id} were found gone "
        "in one run; nothing was done with them",
        "Look whether the store really has them no more: its trash, a restored backup, what its "
        "key may read. Those that a read finds again come back by themselves. If they are gone: "
        f"crm-integration holds {scope.tenant} --release {held}",
        gone,
        by=f"check {DELETIONS}",
    )


def _gone_in_run(scope: TenantScope, of_type: tuple[ColumnElement[bool], ...], run_id: str) -> int:
    """Tombstones of a run, of objects that somebody had told about before."""
    lived = raw_records.alias("lived")
    told = (
        select(lived.c.raw_id)
        .where(
            lived.c.tenant_id == raw_records.c.tenant_id,
            lived.c.connection_id == raw_records.c.connection_id,
            lived.c.object_type == raw_records.c.object_type,
            lived.c.source_id == raw_records.c.source_id,
            lived.c.raw_id < raw_records.c.raw_id,
        )
        .exists()
    )
    return scope.connection.execute(
        select(func.count()).where(*of_type, IS_GONE, raw_records.c.run_id == run_id, told)
    ).scalar_one()


def is_held(scope: TenantScope, object_type: str) -> bool:
    """Whether deletions of this type wait for a person."""
    held = open_holds(scope).get(HELD_OBJECT.get(object_type, ""), ())
    return any(one.check_name == DELETIONS for one in held)


def waiting(scope: TenantScope, connection_id: str, object_type: str) -> list[str]:
    """Objects whose deletion waits for a person, at most `SUSPECTS`: they may have come back."""
    if not is_held(scope, object_type):
        return []
    of_type = raw_records.c.connection_id == connection_id, raw_records.c.object_type == object_type
    rows = scope.connection.execute(
        select(raw_records.c.source_id).where(_waits(scope), *of_type).distinct().limit(SUSPECTS)
    )
    return list(rows.scalars())


def end_idle_hold(scope: TenantScope, object_type: str) -> None:
    """End the hold when all that it keeps back has come back."""
    if not is_held(scope, object_type):
        return
    held = HELD_OBJECT[object_type]
    together = [one for one, name in HELD_OBJECT.items() if name == held]
    left = select(raw_records.c.raw_id).where(
        _waits(scope), raw_records.c.object_type.in_(together)
    )
    if scope.connection.execute(left.limit(1)).first() is None:
        release(scope, held, DELETIONS, by=f"check {DELETIONS}")


def _waits(scope: TenantScope) -> ColumnElement[bool]:
    """Tombstones that nothing was derived from so far, and whose object did not come back."""
    later = raw_records.alias("later")
    back = (
        select(later.c.raw_id)
        .where(
            later.c.tenant_id == raw_records.c.tenant_id,
            later.c.connection_id == raw_records.c.connection_id,
            later.c.object_type == raw_records.c.object_type,
            later.c.source_id == raw_records.c.source_id,
            later.c.source_time > raw_records.c.source_time,
        )
        .exists()
    )
    mine = raw_records.c.tenant_id == scope.tenant
    return and_(mine, IS_GONE, raw_records.c.outcome.is_(None), ~back)


def unseen_since(
    scope: TenantScope, connection_id: str, object_type: str, since: datetime
) -> list[str]:
    """Objects of a type that nothing has shown since, and that are not known to be gone.

    At most `SUSPECTS`; for a type that was listed whole since then.
    """
    # `greatest` leaves null out.
    seen = func.max(func.greatest(raw_records.c.received_at, raw_records.c.seen_at))
    rows = scope.connection.execute(
        select(raw_records.c.source_id)
        .where(*of_connection(scope, connection_id), raw_records.c.object_type == object_type)
        .group_by(raw_records.c.source_id)
        .having((seen < since) & (GONE_AT.is_(None) | (LIVED_AT > GONE_AT)))
        .order_by(seen, raw_records.c.source_id)
        .limit(SUSPECTS)
    )
    return list(rows.scalars())
