"""Writes customers: identity first, then one row per person by the order of versions.

Prevents a guest checkout from overwriting what the same person's account says: an account
outranks a guest whatever their times are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Table, delete, select, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.canonical.customers import CUSTOMER_SCHEMA, Address, Customer, CustomerKind
from crm_integration.canonical.identity import Claimant, IdentityKey, Resolution, resolve
from crm_integration.canonical.sourced import (
    Sourced,
    Stamp,
    content_digest,
    seal_fields,
    version_values,
)
from crm_integration.canonical.upsert import Upserted, upsert_versions
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import (
    addresses,
    customer_identities,
    customers,
    orders,
    refunds,
)
from crm_integration.tenancy.scope import TenantScope

RANK = {CustomerKind.guest: 0, CustomerKind.registered: 1}
PROVISIONAL_RANK = -1
"""Of a customer that only an order has named so far: any real content wins."""

_COLUMNS = (
    "connection_id",
    "kind",
    "store_customer_id",
    "registered_at",
    "known",
    "sealed",
)


@dataclass(frozen=True)
class CustomersWritten:
    """`displaced` names identities that must be derived again, since their customer is another
    one or lost somebody; `regrouped` the customers whose orders changed with that."""

    upserted: Upserted
    customer_of_raw: dict[int, UUID]
    displaced: tuple[IdentityKey, ...] = ()
    regrouped: frozenset[UUID] = frozenset()


def write_customers(
    scope: TenantScope, batch: Sequence[Sourced[Customer]], stamp: Stamp
) -> CustomersWritten:
    """Resolve and upsert a batch of customers; of several sights of one person the best counts."""
    resolution = resolve(scope, [_claimant(sourced) for sourced in batch])
    displaced = _repoint(scope, resolution)
    customer_of_raw: dict[int, UUID] = {}
    best: dict[UUID, Sourced[Customer]] = {}
    for sourced in batch:
        customer_id = resolution.customers[_key(sourced)]
        customer_of_raw[sourced.raw_id] = customer_id
        if customer_id not in best or _version(sourced) > _version(best[customer_id]):
            best[customer_id] = sourced
    rows = [_row(scope, customer_id, sourced, stamp) for customer_id, sourced in best.items()]
    upserted = upsert_versions(scope, customers, "customer_id", _COLUMNS, rows)
    _write_addresses(scope, {key: best[key].item for key in upserted.changed})
    regrouped = frozenset(resolution.left.union(resolution.moved.values()))
    return CustomersWritten(upserted, customer_of_raw, displaced, regrouped)


def name_customers(
    scope: TenantScope, keys: Sequence[tuple[IdentityKey, int]], stamp: Stamp
) -> dict[IdentityKey, UUID]:
    """The customers of identities that orders name; unknown ones get a provisional row.

    An order may come before its customer. The provisional customer is not sent to the CRM; the
    order waits for it there.
    """
    claimants = {key: Claimant(key, None, "", raw_id) for key, raw_id in keys}
    found = _customers_of(scope, list(claimants))
    absent = [claimant for key, claimant in claimants.items() if key not in found]
    if absent:
        founded = resolve(scope, absent).customers
        _insert_provisional(scope, founded, claimants, stamp)
        found |= founded
    return found


def _key(sourced: Sourced[Customer]) -> IdentityKey:
    return IdentityKey(sourced.connection_id, sourced.item.kind.value, sourced.item.source_id)


def _claimant(sourced: Sourced[Customer]) -> Claimant:
    customer = sourced.item
    name = f"{customer.first_name} {customer.last_name}"
    return Claimant(_key(sourced), customer.email, name, sourced.raw_id)


def _version(sourced: Sourced[Customer]) -> tuple[Any, ...]:
    item = sourced.item
    return RANK[item.kind], item.source_time, sourced.observation, sourced.raw_id


def _row(
    scope: TenantScope, customer_id: UUID, sourced: Sourced[Customer], stamp: Stamp
) -> tuple[Any, ...]:
    customer = sourced.item
    registered = customer.kind is CustomerKind.registered
    personal = {
        "email": customer.email,
        "first_name": customer.first_name,
        "last_name": customer.last_name,
        "company": customer.company,
        "phone": customer.phone,
    }
    content = content_digest(
        scope,
        "customer",
        [
            customer.kind.value,
            sourced.connection_id,
            customer.source_id if registered else None,
            customer.registered_at,
            list(personal.values()),
            [address.model_dump() for address in customer.addresses],
            customer.flags,
        ],
    )
    return (
        customer_id,
        sourced.connection_id,
        customer.kind.value,
        customer.source_id if registered else None,
        customer.registered_at,
        True,
        seal_fields(scope, "customers", str(customer_id), personal),
        *version_values(
            sourced,
            stamp,
            rank=RANK[customer.kind],
            content=content,
            schema_version=CUSTOMER_SCHEMA,
        ),
    )


def _write_addresses(scope: TenantScope, changed: dict[UUID, Customer]) -> None:
    if not changed:
        return
    gone = stage(scope.connection, addresses, ("customer_id",), [(key,) for key in changed])
    scope.connection.execute(
        delete(addresses).where(
            addresses.c.tenant_id == scope.tenant,
            addresses.c.customer_id.in_(select(gone.c.customer_id)),
        )
    )
    columns = ("tenant_id", "customer_id", "kind", "country", "sealed")
    rows = [
        (scope.tenant, key, address.kind, address.country, _sealed_address(scope, key, address))
        for key, customer in changed.items()
        for address in customer.addresses
    ]
    staged = stage(scope.connection, addresses, columns, rows)
    scope.connection.execute(insert(addresses).from_select(columns, select(*staged.c)))


def _sealed_address(scope: TenantScope, customer_id: UUID, address: Address) -> bytes:
    row = f"{customer_id}/{address.kind}"
    return seal_fields(scope, "addresses", row, address.model_dump(exclude={"kind"}))


def _customers_of(scope: TenantScope, keys: Sequence[IdentityKey]) -> dict[IdentityKey, UUID]:
    table = customer_identities
    names = ("connection_id", "kind", "source_id")
    asked = stage(
        scope.connection, table, names, [(k.connection_id, k.kind, k.source_id) for k in keys]
    )
    rows = scope.connection.execute(
        select(*(table.c[name] for name in names), table.c.customer_id).join_from(
            asked,
            table,
            (table.c.tenant_id == scope.tenant)
            & (table.c.connection_id == asked.c.connection_id)
            & (table.c.kind == asked.c.kind)
            & (table.c.source_id == asked.c.source_id),
        )
    )
    return {
        IdentityKey(row.connection_id, row.kind, row.source_id): row.customer_id for row in rows
    }


def _insert_provisional(
    scope: TenantScope,
    founded: dict[IdentityKey, UUID],
    claimants: dict[IdentityKey, Claimant],
    stamp: Stamp,
) -> None:
    epoch = "1970-01-01T00:00:00+00:00"
    names = (
        *("tenant_id", "customer_id", "connection_id", "kind", "known", "rank", "source_time"),
        *("observation", "raw_id", "content_digest", "schema_version", "rules_version", "run_id"),
    )
    staged = stage(
        scope.connection,
        customers,
        names,
        [
            (scope.tenant, customer_id, key.connection_id, key.kind, False, PROVISIONAL_RANK, epoch)
            + (0, claimants[key].raw_id, b"", CUSTOMER_SCHEMA, stamp.rules_version, stamp.run_id)
            for key, customer_id in founded.items()
        ],
    )
    scope.connection.execute(
        insert(customers).from_select(names, select(*staged.c)).on_conflict_do_nothing()
    )


def _repoint(scope: TenantScope, resolution: Resolution) -> tuple[IdentityKey, ...]:
    """Orders and refunds follow identities that moved; the customers they left and those they
    came to take their content afresh. Returns the identities that have to tell it."""
    if not resolution.moved:
        return ()
    names = ("connection_id", "kind", "source_id", "customer_id")
    moved = stage(
        scope.connection,
        customer_identities,
        names,
        [
            (key.connection_id, key.kind, key.source_id, customer_id)
            for key, customer_id in resolution.moved.items()
        ],
    )
    for table in (orders, refunds):
        scope.connection.execute(
            update(table)
            .where(
                table.c.tenant_id == scope.tenant,
                table.c.connection_id == moved.c.connection_id,
                table.c.customer_kind == moved.c.kind,
                table.c.customer_source_id == moved.c.source_id,
            )
            .values(customer_id=moved.c.customer_id, needs_projection=True)
        )
    _retell_refunds(scope, moved)
    for loser, winner, _ in resolution.merged:
        scope.connection.execute(
            update(customers)
            .where(customers.c.tenant_id == scope.tenant, customers.c.customer_id == loser)
            .values(merged_into=winner, needs_projection=True)
        )
    # A customer that somebody came to lives, also if it had been merged away before.
    _judge_afresh(scope, resolution.left)
    _judge_afresh(scope, set(resolution.moved.values()), merged_into=None)
    return (*resolution.moved, *_staying(scope, resolution.left))


def _retell_refunds(scope: TenantScope, moved: Table) -> None:
    """A refund with an order names no customer: its order does."""
    theirs = select(orders.c.order_id).where(
        orders.c.tenant_id == scope.tenant,
        orders.c.connection_id == moved.c.connection_id,
        orders.c.customer_kind == moved.c.kind,
        orders.c.customer_source_id == moved.c.source_id,
    )
    scope.connection.execute(
        update(refunds)
        .where(refunds.c.tenant_id == scope.tenant, refunds.c.order_id.in_(theirs))
        .values(needs_projection=True)
    )


def _judge_afresh(scope: TenantScope, ids: set[UUID], **values: None) -> None:
    scope.connection.execute(
        update(customers)
        .where(customers.c.tenant_id == scope.tenant, customers.c.customer_id.in_(ids))
        .values(rank=PROVISIONAL_RANK, needs_projection=True, **values)
    )


def _staying(scope: TenantScope, left: set[UUID]) -> list[IdentityKey]:
    """Who is still at a customer that others left: its content may have been theirs."""
    table = customer_identities
    rows = scope.connection.execute(
        select(table.c.connection_id, table.c.kind, table.c.source_id).where(
            table.c.tenant_id == scope.tenant, table.c.customer_id.in_(left)
        )
    )
    return [IdentityKey(*row) for row in rows]
