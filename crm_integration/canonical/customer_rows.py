"""Writes customers: identities first, then the row of everyone whom that touched.

Prevents a guest checkout from overwriting what the same person's account says, and content that
did not change from being sent again.

Callers hold the tenant's identity lock (`identity.lock_identities`).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.canonical.activities import Activity
from crm_integration.canonical.carts import Cart
from crm_integration.canonical.company_rows import recount_companies
from crm_integration.canonical.customer_content import contents
from crm_integration.canonical.customer_merge import follow, look_at_carts_again
from crm_integration.canonical.customer_upsert import write_contents
from crm_integration.canonical.customers import CUSTOMER_SCHEMA, Customer
from crm_integration.canonical.identity import IdentityKey, own_id
from crm_integration.canonical.identity_keys import nameless_holder
from crm_integration.canonical.identity_resolution import EXTERNAL_ID
from crm_integration.canonical.identity_rows import Resolution, resolve
from crm_integration.canonical.identity_said import said, stored_identities
from crm_integration.canonical.not_keys import NotKeys
from crm_integration.canonical.not_keys import not_keys as not_keys_of
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.sourced import Sourced, Stamp
from crm_integration.canonical.upsert import Upserted
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customer_identities, customers
from crm_integration.storage.tables.tenancy import connections
from crm_integration.tenancy.scope import TenantScope

PROVISIONAL_RANK = -1
"""Of a customer that only an order has named so far."""


@dataclass(frozen=True)
class CustomersWritten:
    """`regrouped` are the customers that somebody left or came to: their orders changed;
    `touched` are those and all of whom an identity said something, news to a CRM or not."""

    upserted: Upserted
    customer_of_raw: dict[int, UUID]
    regrouped: frozenset[UUID] = frozenset()
    touched: frozenset[UUID] = frozenset()


def write_customers(
    scope: TenantScope,
    batch: Sequence[Sourced[Customer]],
    stamp: Stamp,
    stores: Sequence[str] = (),
    not_keys: Sequence[str] = (),
) -> CustomersWritten:
    """Resolve a batch of customers and bring the rows of all whom it touches up to date.

    `stores` are connection ids, the one whose word counts first; `not_keys` are addresses and
    domains of the merchant's that join nobody.
    """
    no = _no_keys(scope, not_keys) if batch else NotKeys()
    people = [said(scope, sourced, no) for sourced in batch]
    resolution = resolve(scope, people, stamp, no)
    upserted = settle(scope, resolution, stamp, stores)
    customer_of_raw = {one.sourced.raw_id: resolution.customers[one.key] for one in people}
    news = {resolution.customers[one.key] for one in people if one.key not in resolution.older}
    # Who says something new that changes nothing of the customer's row has still been heard.
    upserted.same |= (news & resolution.touched) - upserted.changed
    older = {resolution.customers[key] for key in resolution.older}
    upserted.older |= older - news - upserted.changed - upserted.same
    return CustomersWritten(
        upserted,
        customer_of_raw,
        frozenset(resolution.regrouped()),
        frozenset(resolution.touched),
    )


def settle(
    scope: TenantScope, resolution: Resolution, stamp: Stamp, stores: Sequence[str]
) -> Upserted:
    """What follows a resolution: orders go along, rows are computed afresh, and what hangs on
    who is whose is judged and counted anew."""
    follow(scope, resolution)
    if not resolution.touched:
        return Upserted()
    found = contents(scope, resolution.touched, stores, resolution.words)
    upserted = write_contents(scope, found, stamp)
    regrouped = resolution.regrouped()
    recount_companies(scope, regrouped)
    look_at_carts_again(scope, regrouped)
    return upserted


def recompute_customers(
    scope: TenantScope, customer_ids: Collection[UUID], stamp: Stamp, stores: Sequence[str] = ()
) -> Upserted:
    """Compute the rows of these customers from their identities, and write those that differ."""
    return settle(scope, Resolution(touched=set(customer_ids)), stamp, stores)


def name_customers(
    scope: TenantScope, keys: Sequence[tuple[IdentityKey, int]], stamp: Stamp
) -> dict[IdentityKey, UUID]:
    """The customers of identities that orders name; unknown ones get a provisional row.

    An order may come before its customer. The provisional customer is not sent to the CRM; the
    order waits for it there.
    """
    named = dict(keys)
    found = {key: row.customer_id for key, row in stored_identities(scope, named).items()}
    absent = {key: own_id(scope, key) for key in named if key not in found}
    if absent:
        _insert_silent(scope, absent)
        _insert_provisional(scope, absent, named, stamp)
    return found | absent


def customers_of(
    scope: TenantScope,
    batch: Sequence[Sourced[Refund] | Sourced[Cart] | Sourced[Activity]],
    stamp: Stamp,
) -> list[UUID | None]:
    """The customer that each object names, None for one that names nobody (its order does)."""
    keys = [_named_by(one) for one in batch]
    raw = [(key, one.raw_id) for key, one in zip(keys, batch, strict=True) if key is not None]
    named = name_customers(scope, raw, stamp)
    return [None if key is None else named[key] for key in keys]


def _named_by(sourced: Sourced[Refund] | Sourced[Cart] | Sourced[Activity]) -> IdentityKey | None:
    said = sourced.item
    if said.customer_kind is None or said.customer_source_id is None:
        return None
    return IdentityKey(sourced.connection_id, said.customer_kind, said.customer_source_id)


_STORES = select(connections.c.base_url, connections.c.account_id).where(
    connections.c.tenant_id == bindparam("tenant"), connections.c.side == "store"
)


def _no_keys(scope: TenantScope, listed: Sequence[str]) -> NotKeys:
    rows = scope.connection.execute(_STORES, {"tenant": scope.tenant})
    return not_keys_of([text for row in rows for text in row], listed)


def _insert_silent(scope: TenantScope, absent: Mapping[IdentityKey, UUID]) -> None:
    """Identities that have said nothing so far: no keys, a customer of their own."""
    names = ("tenant_id", "connection_id", "kind", "source_id", "identity_id", "customer_id",
             "holder_key", "rule")  # fmt: skip
    nobody = nameless_holder(scope)
    rows = [
        (scope.tenant, key.connection_id, key.kind, key.source_id, own, own, nobody, EXTERNAL_ID)
        for key, own in absent.items()
    ]
    staged = stage(scope.connection, customer_identities, names, rows)
    scope.connection.execute(
        insert(customer_identities)
        .from_select(names, select(*(staged.c[name] for name in names)))
        .on_conflict_do_nothing()
    )


def _insert_provisional(
    scope: TenantScope,
    absent: Mapping[IdentityKey, UUID],
    named: Mapping[IdentityKey, int],
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
            (scope.tenant, own, key.connection_id, key.kind, False, PROVISIONAL_RANK, epoch)
            + (0, named[key], b"", CUSTOMER_SCHEMA, stamp.rules_version, stamp.run_id)
            for key, own in absent.items()
        ],
    )
    scope.connection.execute(
        insert(customers).from_select(names, select(*staged.c)).on_conflict_do_nothing()
    )
