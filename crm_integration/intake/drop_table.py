"""The drop table: webhook deliveries exactly as received, and the queue of what is to be read.

Prevents a delivery from being lost between its commit and its raw record: it leaves the queue
only after its raw record is committed, so a kill in between repeats it, which is suppressed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import sha256
from itertools import chain
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import (
    Connection,
    Engine,
    Executable,
    FromClause,
    Integer,
    Row,
    Uuid,
    any_,
    bindparam,
    case,
    delete,
    func,
    or_,
    select,
    tuple_,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.content_coding import (
    BrokenCoding,
    TooLargeOpened,
    UnknownCoding,
    opened,
)
from crm_integration.intake.heard_topics import note_heard
from crm_integration.intake.limits import LARGEST, too_large
from crm_integration.intake.poison import count_try
from crm_integration.intake.put_off import put_off
from crm_integration.intake.raw_records import Kept, Observation, keep
from crm_integration.intake.steps import QUEUE_ACKNOWLEDGED, RAW_COMMITTED, reached
from crm_integration.intake.touched import noting
from crm_integration.intake.unreadable import BadDelivery, keep_back_deliveries
from crm_integration.storage.bulk import hand
from crm_integration.storage.sealing import TenantKeys
from crm_integration.storage.tables.intake import touched_partitions, webhook_drop, webhook_queue
from crm_integration.stores._contract import Delivery, SourceObject, Unreadable
from crm_integration.stores._registry import StoreConnector, connector
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.lately import Lately
from crm_integration.tenancy.scope import Tenancy, TenantScope

LANES = 16
"""Tenants are spread over this many lanes by a stable hash."""

CHANNEL = "webhook_drop"
"""On which a commit of deliveries is told: `<lane> <tenant>`."""

DRAIN_BATCH = 500
DRAIN_BYTES = 16 * 1024 * 1024
"""Deliveries opened at a time: at most so many, and hardly more bytes."""

ASK_AGAIN = timedelta(minutes=10)
"""A delivery that could not be read through (its store is down) starts a run so often."""


@dataclass(frozen=True)
class Dropped:
    """One delivery, opened for reading."""

    drop_id: UUID
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def lane_of(tenant: str) -> int:
    """The same lane for a tenant in every process and release."""
    return sha256(tenant.encode()).digest()[0] % LANES


@dataclass(frozen=True)
class Arrived:
    """One delivery to be kept, with the keys of the tenant whose it is."""

    drop_id: UUID
    keys: TenantKeys = field(repr=False)
    connection_id: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


def put(
    connection: Connection,
    keys: TenantKeys,
    connection_id: str,
    headers: Mapping[str, str],
    body: bytes,
) -> UUID:
    """Keep a delivery (role `crm_intake`), sealed before the insert; commit before answering."""
    one = Arrived(uuid4(), keys, connection_id, headers, body)
    put_all(connection, [one])
    return one.drop_id


_KEEP = """
    insert into webhook_drop (tenant_id, drop_id, connection_id, headers, body)
    select * from unnest(
        %(tenant_id)b::text[], %(drop_id)b::uuid[], %(connection_id)b::text[],
        %(headers)b::bytea[], %(body)b::bytea[])
    on conflict do nothing
"""
# In the driver's own words, since it says what SQLAlchemy cannot: `b` sends an array in binary,
# and in text the bytes of a body take twice as many.


def put_all(connection: Connection, arrived: Sequence[Arrived]) -> None:
    """Keep deliveries of any tenants in one transaction (role `crm_intake`).

    One that is kept already stays as it is. The table itself queues what is new, and tells
    whoever drains its lane (revision 0009).
    """
    # No conflict target and no RETURNING: this role may not read.
    connection.exec_driver_sql(
        _KEEP,
        {
            "tenant_id": [one.keys.tenant for one in arrived],
            "drop_id": [one.drop_id for one in arrived],
            "connection_id": [one.connection_id for one in arrived],
            "headers": [_sealed(one, "headers", _written(one.headers)) for one in arrived],
            "body": [_sealed(one, "body", one.body) for one in arrived],
        },
    )


def _sealed(one: Arrived, part: str, plain: bytes) -> bytes:
    return one.keys.seal("webhook_drop", f"{one.drop_id}/{part}", plain)


def _written(headers: Mapping[str, str]) -> bytes:
    return orjson.dumps(dict(headers))


Named = tuple[str, str]
"""(object type, source id)."""

Thin = Mapping[Named, tuple[UUID, ...]]
"""What deliveries only name, with those deliveries."""


@dataclass(frozen=True)
class Drained(Kept):
    """What deliveries brought. `thin` names the objects that some only tell about, with their
    deliveries: those stay in the queue until the objects were read (`acknowledge`)."""

    thin: Thin = field(default_factory=lambda: dict[Named, tuple[UUID, ...]]())


def drain(
    tenancy: Tenancy,
    ops: Engine,
    tenant: str,
    store: StoredConnection,
    *,
    run_id: str,
    postponed: bool = True,
    lately: Lately | None = None,
) -> Drained:
    """Read all waiting deliveries of a store connection into raw records; the store is not asked.

    With `postponed` also those whose store did not answer lately. `doubtful` names what only a
    direct read can tell: two contents with one source time. What breaks its reader is read alone,
    and put aside after some tries (`poison.py`).
    """
    kept, behind, most = Kept(), None, DRAIN_BATCH
    thin: dict[Named, list[UUID]] = defaultdict(list)
    while True:
        with ops.begin() as claim:
            claimed = _claim(claim, tenant, behind, most, postponed=postponed)
            ids = [one.drop_id for one in claimed]
            if not ids:
                break
            try:
                brought, read = _keep(tenancy, tenant, store, ids, run_id, thin, lately)
            except (SQLAlchemyError, CrmIntegrationError):
                raise
            except Exception as error:  # noqa: BLE001 - the delivery's boundary
                if lately is not None:
                    lately.forget(tenant)  # what was heard was rolled back
                if len(ids) == 1:
                    count_try(claim, tenant, ids[0], error)
                    behind = claimed[-1]
                most = 1
                continue
            tenancy.commit()
            behind = claimed[-1]
            kept = kept + brought
            reached(RAW_COMMITTED)
            # The raw records are committed by now; only then do the rows leave the queue. Those
            # of another connection of this tenant stay, and those that carry no object.
            _take_out(claim, tenant, read, brought)
        reached(QUEUE_ACKNOWLEDGED)
        if len(claimed) < most:
            break
    named = {one: tuple(ids) for one, ids in thin.items()}
    if named:
        _postpone(ops, chain.from_iterable(named.values()), run_id)
    return Drained(kept.kept, kept.suppressed, kept.doubtful, kept.days, thin=named)


def _postpone(ops: Engine, deliveries: Iterable[UUID], run_id: str) -> None:
    """Let these start no run for a while: whoever read them is about to ask their store, and if
    it is down it need not be asked every minute."""
    with ops.begin() as connection:
        again = func.now() + ASK_AGAIN
        put_off(connection, list(deliveries), {"ready_at": again, "asked_by": run_id})


def acknowledge(ops: Engine, tenant: str, deliveries: Iterable[UUID], kept: Kept) -> None:
    """Take deliveries out of the queue: what they told about has been read and kept."""
    with ops.begin() as connection:
        _take_out(connection, tenant, deliveries, kept)
    reached(QUEUE_ACKNOWLEDGED)


def _take_out(connection: Connection, tenant: str, read: Iterable[UUID], kept: Kept) -> None:
    """In one statement with the days that they touched, in the caller's transaction (`crm_ops`)."""
    asked = {"tenant": tenant, "read": list(read)}
    if not kept.days:
        connection.execute(_DONE, asked)
        return
    days = sorted(kept.days)
    rows = hand(connection, "days", touched_partitions, ("object_type", "day"), days)
    connection.execute(_done_and_noted(rows.source), {**asked, **rows.values})


_DONE = delete(webhook_queue).where(
    webhook_queue.c.drop_id == any_(bindparam("read", type_=ARRAY(Uuid)))
)


@lru_cache(maxsize=2)
def _done_and_noted(days: FromClause) -> Executable:
    return noting(days).add_cte(_DONE.cte("done"))


@dataclass(frozen=True)
class _Claimed:
    ready_at: datetime
    drop_id: UUID


def _claim(
    connection: Connection,
    tenant: str,
    behind: _Claimed | None,
    most: int,
    *,
    postponed: bool,
) -> list[_Claimed]:
    asked = {"the_lane": lane_of(tenant), "tenant": tenant, "most": most}
    if behind is not None:
        asked |= {"behind_at": behind.ready_at, "behind_id": behind.drop_id}
    statement = _claimable(postponed=postponed, further=behind is not None)
    return [_Claimed(row.ready_at, row.drop_id) for row in connection.execute(statement, asked)]


_LIGHTLY = func.set_config("synchronous_commit", "off", True)
"""Who leaves the queue need not wait for the disk: lost, it is read again and suppressed."""


@lru_cache(maxsize=4)
def _claimable(*, postponed: bool, further: bool) -> Executable:
    ready = webhook_queue.c.ready_at <= func.now()
    place = tuple_(webhook_queue.c.ready_at, webhook_queue.c.drop_id)
    behind = tuple_(
        bindparam("behind_at", type_=webhook_queue.c.ready_at.type),
        bindparam("behind_id", type_=webhook_queue.c.drop_id.type),
    )
    return (
        select(webhook_queue.c.ready_at, webhook_queue.c.drop_id, _LIGHTLY)
        .where(
            webhook_queue.c.lane == bindparam("the_lane"),
            webhook_queue.c.tenant_id == bindparam("tenant"),
            or_(ready, webhook_queue.c.tries == 0) if postponed else ready,
            *([place > behind] if further else []),
        )
        .order_by(webhook_queue.c.ready_at, webhook_queue.c.drop_id)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(skip_locked=True)
    )


def _keep(
    tenancy: Tenancy,
    tenant: str,
    store: StoredConnection,
    claimed: Sequence[UUID],
    run_id: str,
    thin: dict[Named, list[UUID]],
    lately: Lately | None,
) -> tuple[Kept, set[UUID]]:
    """What became of the deliveries of this connection, and which ones are done with; those that
    only name an object are added to `thin`."""
    kept, read = Kept(), set[UUID]()
    left = set(claimed)
    # They leave the queue after it: lost together, they are read again.
    with tenancy.scope(tenant, durable=False) as scope:
        while left and (group := _next_group(scope, store, left)):
            brought, named = _keep_group(scope, store, group, run_id, lately)
            kept += brought
            ids: set[UUID] = {row.drop_id for row in group}
            read |= ids - set(named)
            for drop_id, one in named.items():
                thin[one].append(drop_id)
            left = left - ids if len(group) < group[0].of_store else set[UUID]()
    return kept, read


def _next_group(
    scope: TenantScope, store: StoredConnection, ids: Collection[UUID]
) -> Sequence[Row[Any]]:
    """Deliveries of this connection as they came, as many as fit into memory; the body of one
    that is too large is not read. `of_store` is how many there are in all."""
    asked = {"tenant": scope.tenant, "connection": store.connection_id, "ids": list(ids)}
    return scope.connection.execute(_GROUP, asked).all()


def _group() -> Executable:
    size = func.octet_length(webhook_drop.c.body)
    order = (webhook_drop.c.received_at, webhook_drop.c.drop_id)
    sized = (
        select(
            *(webhook_drop.c[name] for name in ("drop_id", "headers", "body", "received_at")),
            size.label("size"),
            func.sum(size).over(order_by=order).label("up_to"),
            func.count().over().label("of_store"),
        )
        .where(
            webhook_drop.c.tenant_id == bindparam("tenant"),
            webhook_drop.c.connection_id == bindparam("connection"),
            webhook_drop.c.drop_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
        )
        .subquery()
    )
    fits = case((sized.c.size <= LARGEST, sized.c.body))
    return (
        select(sized.c.drop_id, sized.c.headers, fits.label("body"), sized.c.received_at)
        .add_columns(sized.c.size, sized.c.of_store)
        .where(or_(sized.c.up_to <= DRAIN_BYTES, sized.c.up_to == sized.c.size))
        .order_by(sized.c.received_at, sized.c.drop_id)
    )


_GROUP = _group()


def _keep_group(
    scope: TenantScope,
    store: StoredConnection,
    group: Sequence[Row[Any]],
    run_id: str,
    lately: Lately | None,
) -> tuple[Kept, dict[UUID, Named]]:
    """What a group brought, and which of its deliveries only name an object."""
    bad = [BadDelivery(row.drop_id, too_large(row.size)) for row in group if row.body is None]
    platform = connector(store.platform)
    carried: dict[UUID, SourceObject | Named | None] = {}
    heard: dict[str, datetime] = {}
    for row in (row for row in group if row.body is not None):
        try:
            topic, carried[row.drop_id] = _object(platform, _opened(scope.keys, row))
        except Unreadable as problem:
            bad.append(BadDelivery(row.drop_id, problem))
            continue
        if topic in platform.manifest.topics:
            heard[topic] = max(heard.get(topic, row.received_at), row.received_at)
    _note_heard(scope, store.connection_id, heard, lately)
    objects = [one for one in carried.values() if isinstance(one, SourceObject)]
    named = {drop_id: one for drop_id, one in carried.items() if isinstance(one, tuple)}
    shape = platform.manifest.shape
    how = Observation.webhook
    brought = keep(scope, store.connection_id, objects, how, run_id=run_id, shape=shape)
    # They stay in the drop table as they came; polling reads the objects themselves.
    keep_back_deliveries(scope, store.connection_id, bad, run_id=run_id)
    return brought, named


def _note_heard(
    scope: TenantScope, connection_id: str, heard: Mapping[str, datetime], lately: Lately | None
) -> None:
    """The topics of a group; with `lately` each only now and then, as it is written then."""
    if lately is None:
        note_heard(scope, connection_id, heard)
        return
    place = (scope.tenant, "heard", connection_id)
    news = {topic: at for topic, at in heard.items() if not lately.knows(*place, topic)}
    note_heard(scope, connection_id, news)
    for topic in news:
        lately.note(*place, topic)


def _opened(keys: TenantKeys, row: Row[Any]) -> Dropped:
    return Dropped(
        row.drop_id,
        orjson.loads(keys.open("webhook_drop", f"{row.drop_id}/headers", row.headers)),
        keys.open("webhook_drop", f"{row.drop_id}/body", row.body),
    )


def _object(store: StoreConnector, dropped: Dropped) -> tuple[str, SourceObject | Named | None]:
    """The topic of a delivery, and the object it carries, or (type, id) of one that it only
    names; None for neither.

    Raises Unreadable.
    """
    body = _without_coding(dropped)
    delivery = store.webhook.read_delivery(dropped.headers, body)
    return delivery.topic, _carried(store, delivery, body)


def _carried(store: StoreConnector, delivery: Delivery, body: bytes) -> SourceObject | Named | None:
    if delivery.object_type is None or delivery.source_id is None:
        return None
    if delivery.object_type not in store.manifest.object_types:
        return None
    if delivery.deleted or delivery.thin or delivery.source_time is None:
        # A deletion is a suspicion until it was read. And without a version an object would pass
        # for the newest one, whatever it is.
        return delivery.object_type, delivery.source_id
    return SourceObject(delivery.object_type, delivery.source_id, delivery.source_time, body)


def _without_coding(dropped: Dropped) -> bytes:
    """The store's own bytes. Raises Unreadable."""
    try:
        return opened(dropped.headers, dropped.body, limit=LARGEST)
    except TooLargeOpened:
        raise too_large(LARGEST + 1) from None
    except (UnknownCoding, BrokenCoding) as error:
        raise Unreadable(
            "bad_coding",
            field="content-encoding",
            fix="the body is not compressed as this header says: the object is polled instead",
        ) from error
