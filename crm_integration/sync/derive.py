"""Raw records to canonical rows: a window's objects, re-derived whole, in small transactions.

Prevents two ways of doing one thing: a first run, a replay and a retry all take the newest raw
record of every object that the window touches and end at its newest state. A payload that
cannot be read, or a row that breaks a rule, is quarantined alone and the rest goes on.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any, TypeVar, cast
from uuid import UUID

from crm_integration.canonical.customer_rows import write_customers
from crm_integration.canonical.customers import Customer
from crm_integration.canonical.facts import (
    owners_of,
    refresh_customers,
    refresh_orders,
    retell_refunds,
)
from crm_integration.canonical.identity import IdentityKey, lock_identities, object_id
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.order_rows import write_orders
from crm_integration.canonical.orders import Order
from crm_integration.canonical.product_rows import write_products
from crm_integration.canonical.products import Product
from crm_integration.canonical.refund_rows import write_refunds
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.sourced import Sourced, Stamp
from crm_integration.canonical.upsert import Upserted
from crm_integration.intake.payload import parsed
from crm_integration.intake.raw_reading import RawRecord, newest_in_window, newest_of
from crm_integration.intake.raw_records import note_outcomes
from crm_integration.quality.options import Scalar
from crm_integration.quality.quarantine import QuarantineEntry, keep_back, release_passed
from crm_integration.quality.row_checks import THE_ROW, Finding, RowCheck, compile_row_checks
from crm_integration.quality.rules import rules_version
from crm_integration.stores._contract import StoreContext, Unreadable
from crm_integration.stores._registry import StoreConnector, connector
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.scope import Tenancy, TenantScope

CHUNK = 500
"""Objects a transaction: large enough for set-based SQL, small enough for flat memory."""

Options = Mapping[str, Scalar]


@dataclass
class Derived:
    """What deriving came to, by entity or object type."""

    read: int = 0
    changed: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    unchanged: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    quarantined: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))


@dataclass(frozen=True)
class Deriver:
    """Everything that stays the same while one connection's records are derived."""

    connection: StoredConnection
    connector: StoreConnector
    context: StoreContext
    checks: Mapping[str, RowCheck]
    stamp: Stamp


def deriver(connection: StoredConnection, options: Options, *, run_id: str) -> Deriver:
    """Compile a tenant's rules for one connection. Raises BadInput for unknown options."""
    return Deriver(
        connection,
        connector(connection.platform),
        StoreContext(connection.currency or "", connection.settings),
        {entity: compile_row_checks(entity, options) for entity in _WRITERS},
        Stamp(run_id, rules_version(options)),
    )


def derive_window(
    tenancy: Tenancy,
    tenant: str,
    derive: Deriver,
    days: tuple[date, date],
    object_types: Sequence[str],
    *,
    on_chunk: Callable[[str, int], None] | None = None,
) -> Derived:
    """Derive every object of these types that has a raw record in `[start, end)`."""
    done = Derived()
    for object_type in derive.connector.manifest.object_types:
        if object_type not in object_types:
            continue
        after: str | None = None
        while True:
            with tenancy.scope(tenant) as scope:
                lock_identities(scope)
                records = newest_in_window(
                    scope,
                    derive.connection.connection_id,
                    object_type,
                    days,
                    parent_type=derive.connector.manifest.parents.get(object_type),
                    after=after,
                    limit=CHUNK,
                )
                derive_records(scope, derive, object_type, records, done)
            if on_chunk is not None:
                on_chunk(object_type, done.read)
            if len(records) < CHUNK:
                break
            after = records[-1].source_id
    return done


@dataclass
class _Chunk:
    """One transaction's worth, sorted by entity."""

    accepted: dict[str, list[Sourced[StoreObject]]] = field(
        default_factory=lambda: defaultdict[str, list[Sourced[StoreObject]]](list)
    )
    entries: list[QuarantineEntry] = field(default_factory=lambda: list[QuarantineEntry]())
    judged: dict[str, set[str]] = field(default_factory=lambda: defaultdict[str, set[str]](set))
    still: dict[str, set[tuple[str, int, str]]] = field(
        default_factory=lambda: defaultdict[str, set[tuple[str, int, str]]](set)
    )
    outcomes: dict[int, str] = field(default_factory=lambda: dict[int, str]())


def derive_records(
    scope: TenantScope,
    derive: Deriver,
    object_type: str,
    records: Sequence[RawRecord],
    done: Derived,
) -> None:
    """Derive these records, and those of customers that they displaced, in this transaction.

    The caller holds the tenant's identity lock.
    """
    displaced = _derive_chunk(scope, derive, object_type, records, done)
    _derive_displaced(scope, derive, displaced, done)


def _derive_chunk(
    scope: TenantScope,
    derive: Deriver,
    object_type: str,
    records: Sequence[RawRecord],
    done: Derived,
) -> tuple[IdentityKey, ...]:
    chunk = _Chunk()
    for record in records:
        _read(derive, object_type, record, chunk)
    displaced = _write(scope, derive, chunk, done)
    _settle_quarantine(scope, derive, chunk, done)
    note_outcomes(
        scope,
        derive.connection.connection_id,
        object_type,
        {one.source_id: (one.raw_id, chunk.outcomes.get(one.raw_id)) for one in records},
    )
    done.read += len(records)
    return displaced


def _read(derive: Deriver, object_type: str, record: RawRecord, chunk: _Chunk) -> None:
    """One raw record to canonical objects, judged by the row rules."""
    try:
        payload = parsed(record.payload)
        parent = None if record.parent is None else parsed(record.parent)
        objects = list(
            derive.connector.canonical.to_canonical(object_type, payload, parent, derive.context)
        )
    except Unreadable as problem:
        _keep_back(chunk, object_type, record, problem)
        return
    chunk.judged[object_type].add(record.source_id)
    for one in objects:
        entity = _ENTITY[type(one)]
        verdict = derive.checks[entity](one)
        chunk.judged[entity].add(one.source_id)
        for finding in verdict.findings:
            _note(chunk, record, finding)
        if verdict.accepted is None:
            chunk.outcomes[record.raw_id] = "quarantined"
            continue
        accepted = verdict.accepted
        if record.flags:
            accepted = accepted.model_copy(update={"flags": (*accepted.flags, *record.flags)})
        chunk.accepted[entity].append(
            Sourced(accepted, derive.connection.connection_id, record.raw_id, record.observation)
        )


def _keep_back(chunk: _Chunk, object_type: str, record: RawRecord, problem: Unreadable) -> None:
    chunk.outcomes[record.raw_id] = "quarantined"
    chunk.judged[object_type].add(record.source_id)
    rule = f"{object_type}.readable"
    chunk.still[object_type].add((record.source_id, THE_ROW, rule))
    chunk.entries.append(
        QuarantineEntry(
            entity=object_type,
            source_id=record.source_id,
            position=THE_ROW,
            rule=rule,
            raw_id=record.raw_id,
            reason=f"{problem.reason} at {problem.field}",
            fix=problem.fix,
        )
    )


def _note(chunk: _Chunk, record: RawRecord, finding: Finding) -> None:
    if finding.severity != "quarantine":
        return
    chunk.still[finding.entity].add((finding.source_id, finding.position, finding.rule))
    chunk.entries.append(
        QuarantineEntry(
            entity=finding.entity,
            source_id=finding.source_id,
            position=finding.position,
            rule=finding.rule,
            raw_id=record.raw_id,
            reason=finding.reason,
            fix=finding.fix,
        )
    )


def _settle_quarantine(scope: TenantScope, derive: Deriver, chunk: _Chunk, done: Derived) -> None:
    connection_id = derive.connection.connection_id
    for entity, source_ids in chunk.judged.items():
        release_passed(scope, connection_id, entity, source_ids, chunk.still[entity])
    keep_back(
        scope,
        connection_id,
        chunk.entries,
        rules_version=derive.stamp.rules_version,
        run_id=derive.stamp.run_id,
    )
    for entry in chunk.entries:
        done.quarantined[entry.entity] += 1


T = TypeVar("T", bound=StoreObject)


def _of(chunk: _Chunk, entity: str, model: type[T]) -> list[Sourced[T]]:
    return cast(list[Sourced[T]], chunk.accepted[entity])


def _write(
    scope: TenantScope, derive: Deriver, chunk: _Chunk, done: Derived
) -> tuple[IdentityKey, ...]:
    """Customers before orders before refunds, then the facts one owes to the other."""
    stamp, connection_id = derive.stamp, derive.connection.connection_id
    people = write_customers(scope, _of(chunk, "customer", Customer), stamp)
    _note_upserts(chunk, "customer", people.upserted, people.customer_of_raw, done)
    touched: set[UUID] = set()
    owners = people.upserted.changed | people.regrouped
    for entity, writer in (("product", write_products), ("order", write_orders)):
        batch = cast(Any, chunk.accepted[entity])
        ids = _ids(scope, entity, connection_id, batch)
        before = owners_of(scope, ids.values()) if entity == "order" and ids else set[UUID]()
        upserted = writer(scope, batch, stamp)
        _note_upserts(chunk, entity, upserted, ids, done)
        if entity == "order":
            touched |= upserted.changed
            owners |= before
    refunds = _of(chunk, "refund", Refund)
    upserted = write_refunds(scope, refunds, stamp)
    _note_upserts(chunk, "refund", upserted, _ids(scope, "refund", connection_id, refunds), done)
    refunded = {
        object_id(scope, "order", connection_id, refund.item.order_source_id)
        for refund in refunds
        if refund.item.order_source_id is not None
    }
    if touched or refunded:
        refresh_orders(scope, touched | refunded)
    if touched:
        retell_refunds(scope, touched)
        owners |= owners_of(scope, touched)
    if owners:
        refresh_customers(scope, owners)
    return people.displaced


def _ids(
    scope: TenantScope, entity: str, connection_id: str, batch: Sequence[Sourced[StoreObject]]
) -> dict[int, UUID]:
    return {
        one.raw_id: object_id(scope, entity, connection_id, one.item.source_id) for one in batch
    }


def _note_upserts(
    chunk: _Chunk, entity: str, upserted: Upserted, ids: dict[int, UUID], done: Derived
) -> None:
    """A raw record's outcome is that of its main entity; a guest's order counts as order."""
    done.changed[entity] += len(upserted.changed)
    done.unchanged[entity] += len(ids) - len(upserted.changed)
    for raw_id, identifier in ids.items():
        if identifier in upserted.changed:
            chunk.outcomes[raw_id] = "applied"
        elif identifier in upserted.same:
            chunk.outcomes[raw_id] = "same"
        elif identifier in upserted.older:
            chunk.outcomes[raw_id] = "older"


def _derive_displaced(
    scope: TenantScope, derive: Deriver, displaced: Sequence[IdentityKey], done: Derived
) -> None:
    """Identities that moved to another customer are read again, so that it gets its content.

    They were resolved by the chunk that displaced them, so they displace nobody further.
    """
    by_type: dict[str, list[str]] = defaultdict(list)
    for key in displaced:
        if key.connection_id == derive.connection.connection_id:
            by_type["order" if key.kind == "guest" else "customer"].append(key.source_id)
    for object_type, source_ids in by_type.items():
        records = newest_of(scope, derive.connection.connection_id, object_type, source_ids)
        _derive_chunk(scope, derive, object_type, records, done)


_ENTITY: dict[type[StoreObject], str] = {
    Customer: "customer",
    Product: "product",
    Order: "order",
    Refund: "refund",
}
_WRITERS = tuple(_ENTITY.values())
