"""Abandoned carts: found by nobody touching them, kept as raw records of our own making.

Prevents the mail about a cart that was bought from another device: a cart counts as abandoned
only if its owner is known, nobody changed it for a while and no order of theirs came since. What
the sweep finds is kept like anything a store says, so that a replay finds it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

import orjson
from sqlalchemy import Engine, func, select, update

from crm_integration.canonical.cart_rows import note_abandoned
from crm_integration.canonical.identity import lock_identities
from crm_integration.intake.raw_reading import RawRecord, is_last, newest_in_window, newest_of
from crm_integration.intake.raw_records import Observation, keep, note_outcomes
from crm_integration.storage.tables.canonical import orders
from crm_integration.storage.tables.commerce import carts
from crm_integration.stores._contract import SourceObject
from crm_integration.tenancy.scope import Tenancy, TenantScope

OBJECT_TYPE = "cart_abandonment"
SHAPE = "1"
RULE = "no_change_and_no_order"
AFTER_MINUTES = 60
"""How long nobody must have touched a cart; `settings: cart_abandoned_after_minutes`."""
BATCH = 500


def sweep(
    tenancy: Tenancy,
    tenant: str,
    connection_id: str,
    *,
    run_id: str,
    after_minutes: int = AFTER_MINUTES,
) -> int:
    """Keep a record of every cart of a connection that is abandoned by now; returns how many."""
    found = 0
    while True:
        with tenancy.scope(tenant) as scope:
            lock_identities(scope)
            abandoned = _abandoned(scope, connection_id, after_minutes)
            made = [_record(source_id, at, after_minutes) for source_id, at in abandoned]
            keep(scope, connection_id, made, Observation.derived, run_id=run_id, shape=SHAPE)
            ids = [one.source_id for one in made]
            _apply(scope, connection_id, newest_of(scope, connection_id, OBJECT_TYPE, ids))
        found += len(abandoned)
        if len(abandoned) < BATCH:
            return found


def _abandoned(
    scope: TenantScope, connection_id: str, after_minutes: int
) -> list[tuple[str, datetime]]:
    """(source id, when it became abandoned) by the database's clock.

    Carts whose owner has ordered since are settled here: nobody need look at them again.
    """
    wait = timedelta(minutes=after_minutes)
    bought = (
        select(orders.c.order_id)
        .where(
            orders.c.tenant_id == scope.tenant,
            orders.c.customer_id == carts.c.customer_id,
            orders.c.placed_at >= carts.c.cart_changed_at,
        )
        .exists()
    )
    left_alone = (
        carts.c.tenant_id == scope.tenant,
        carts.c.connection_id == connection_id,
        carts.c.completed_at.is_(None),
        ~carts.c.settled,
        carts.c.customer_id.is_not(None),
        carts.c.cart_changed_at < func.now() - wait,
    )
    scope.connection.execute(update(carts).where(*left_alone, bought).values(settled=True))
    rows = scope.connection.execute(
        select(carts.c.source_id, carts.c.cart_changed_at, carts.c.store_abandoned_at)
        .where(*left_alone)
        .order_by(carts.c.cart_changed_at, carts.c.cart_id)
        .limit(BATCH)
    )
    return [
        (source_id, max(changed, stated) if stated else changed + wait)
        for source_id, changed, stated in rows
    ]


def _record(source_id: str, at: datetime, after_minutes: int) -> SourceObject:
    told = {"cart": source_id, "abandoned_at": at, "rule": RULE, "after_minutes": after_minutes}
    return SourceObject(OBJECT_TYPE, source_id, at, orjson.dumps(told), shape=SHAPE)


def apply_window(
    tenancy: Tenancy, tenant: str, connection_id: str, days: tuple[date, date], *, limit: int
) -> None:
    """Set again what the sweep found about carts, for records of these days: a replay."""
    after: str | None = None
    while True:
        with tenancy.scope(tenant) as scope:
            lock_identities(scope)
            records = newest_in_window(
                scope, connection_id, OBJECT_TYPE, days, parent_type=None, after=after, limit=limit
            )
            _apply(scope, connection_id, records)
        if is_last(records, limit):
            return
        after = records[-1].source_id


def _apply(scope: TenantScope, connection_id: str, records: Sequence[RawRecord]) -> None:
    if not records:
        return
    found = [
        (one.source_id, datetime.fromisoformat(orjson.loads(one.payload)["abandoned_at"]))
        for one in records
    ]
    news = note_abandoned(scope, connection_id, found)
    outcomes = {
        one.source_id: (one.raw_id, "applied" if one.source_id in news else "same")
        for one in records
    }
    note_outcomes(scope, connection_id, OBJECT_TYPE, outcomes)


def waiting_carts(ops: Engine, *, limit: int = 1_000) -> dict[str, datetime]:
    """Tenants with carts that the sweep has not judged, and when the oldest was last touched."""
    with ops.begin() as connection:
        rows = connection.execute(
            select(carts.c.tenant_id, func.min(carts.c.cart_changed_at))
            .where(
                carts.c.completed_at.is_(None),
                ~carts.c.settled,
                carts.c.customer_id.is_not(None),
            )
            .group_by(carts.c.tenant_id)
            .limit(limit)
        )
        return {tenant: touched for tenant, touched in rows}
