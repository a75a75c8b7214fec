"""Abandoned carts: found by nobody touching them, kept as raw records of our own making.

Prevents the mail about a cart that was bought from another device: a cart counts as abandoned
only if its owner is known, nobody changed it for a while and no order of theirs came since. What
the sweep finds is kept like anything a store says, so that a replay finds it again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

import orjson
from sqlalchemy import Engine, func, or_, select, update

from crm_integration.canonical.cart_rows import Verdict, note_abandoned
from crm_integration.canonical.identity import lock_identities
from crm_integration.intake.raw_reading import RawRecord, is_last, newest_in_window, newest_of
from crm_integration.intake.raw_records import Observation, keep, note_outcomes
from crm_integration.storage.tables.canonical import customers, orders
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
            made = [_record(one, after_minutes) for one in abandoned]
            keep(scope, connection_id, made, Observation.derived, run_id=run_id, shape=SHAPE)
            ids = [one.source_id for one in made]
            newest = newest_of(scope, connection_id, OBJECT_TYPE, ids)
            news = _apply(scope, connection_id, newest)
        found += len(abandoned)
        if len(abandoned) < BATCH or not news:
            return found


def _abandoned(scope: TenantScope, connection_id: str, after_minutes: int) -> list[Verdict]:
    """Carts that became abandoned, by the database's clock.

    Carts whose owner has ordered since are settled here: nobody need look at them again. So are
    those of an owner of whom nobody has said anything so far, and whom no CRM knows; when
    somebody does, their carts are looked at again (`customer_merge.look_at_carts_again`).
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
    known = select(customers.c.customer_id).where(
        customers.c.tenant_id == scope.tenant,
        customers.c.customer_id == carts.c.customer_id,
        customers.c.known,
    )
    left_alone = (
        carts.c.tenant_id == scope.tenant,
        carts.c.connection_id == connection_id,
        carts.c.completed_at.is_(None),
        ~carts.c.settled,
        carts.c.customer_id.is_not(None),
        carts.c.cart_changed_at < func.now() - wait,
    )
    nobody_known = ~known.exists()
    scope.connection.execute(
        update(carts).where(*left_alone, or_(bought, nobody_known)).values(settled=True)
    )
    rows = scope.connection.execute(
        select(carts.c.source_id, carts.c.cart_changed_at, carts.c.store_abandoned_at)
        .where(*left_alone)
        .order_by(carts.c.cart_changed_at, carts.c.cart_id)
        .limit(BATCH)
    )
    return [
        Verdict(source_id, changed, max(changed, stated) if stated else changed + wait)
        for source_id, changed, stated in rows
    ]


def _record(found: Verdict, after_minutes: int) -> SourceObject:
    """A raw record of our own. Its source time is that of the cart it speaks of: the newest is
    the one about the newest cart, whatever wait counted when it was made."""
    told = {
        "cart": found.source_id,
        "cart_changed_at": found.cart_changed_at,
        "abandoned_at": found.abandoned_at,
        "rule": RULE,
        "after_minutes": after_minutes,
    }
    payload = orjson.dumps(told)
    return SourceObject(OBJECT_TYPE, found.source_id, found.cart_changed_at, payload, shape=SHAPE)


def _verdict(record: RawRecord) -> Verdict:
    """What `_record` kept."""
    told = orjson.loads(record.payload)
    changed, abandoned = told["cart_changed_at"], told["abandoned_at"]
    when = datetime.fromisoformat
    return Verdict(record.source_id, when(changed), when(abandoned))


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


def _apply(scope: TenantScope, connection_id: str, records: Sequence[RawRecord]) -> set[str]:
    """Set what these records say; returns the carts that say something new."""
    if not records:
        return set()
    news = note_abandoned(scope, connection_id, [_verdict(one) for one in records])
    outcomes = {
        one.source_id: (one.raw_id, "applied" if one.source_id in news else "same")
        for one in records
    }
    note_outcomes(scope, connection_id, OBJECT_TYPE, outcomes)
    return news


@dataclass(frozen=True)
class WaitingCarts:
    """A tenant with carts that the sweep has not judged, and when the oldest was last touched."""

    tenant: str
    touched: datetime


def waiting_carts(ops: Engine, *, limit: int, behind: str = "") -> list[WaitingCarts]:
    """Tenants with carts to judge, at most `limit`, round by name from the one after `behind`."""
    with ops.begin() as connection:
        rows = connection.execute(
            select(carts.c.tenant_id, func.min(carts.c.cart_changed_at))
            .where(
                carts.c.completed_at.is_(None),
                ~carts.c.settled,
                carts.c.customer_id.is_not(None),
            )
            .group_by(carts.c.tenant_id)
            .order_by(carts.c.tenant_id <= behind, carts.c.tenant_id)
            .limit(limit)
        ).all()
    return [WaitingCarts(tenant, touched) for tenant, touched in rows]
