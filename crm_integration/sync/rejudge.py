"""Rows that wait to be sent, but passed the rules only as they were before.

Prevents the merchant whose rules were changed from going quiet: a row is written only if it
passed the rules that count now (promise 8), so what wants to be sent is judged by them, whatever
its window. What nobody wants to send stays as it is until its window is replayed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import Subquery, and_, bindparam, select, union, update

from crm_integration.canonical.identity import lock_identities
from crm_integration.intake.raw_reading import newest_of
from crm_integration.storage.tables.canonical import customer_identities, customers
from crm_integration.storage.tables.commerce import companies
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.derive import CHUNK, Derived, Deriver, derive_records
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS
from crm_integration.tenancy.scope import Tenancy, TenantScope

_UNSENT = ((State.pending, State.retry, State.unknown, State.parked), (State.held,))
"""States of rows that want to be sent, as the ledger's partial indexes hold them."""


def rejudge(
    tenancy: Tenancy, tenant: str, derive: Deriver, entities: Collection[str], done: Derived
) -> None:
    """Derive the rows of these entities again that wait under an earlier rules version."""
    for entity in sorted(set(entities) & set(VIEWS) - {"company"}):
        after = -1
        while True:
            with tenancy.scope(tenant) as scope:
                lock_identities(scope)
                stale = _stale(scope, derive, entity, after)
                _derive(scope, derive, stale, done)
            if len(stale) < CHUNK:
                break
            after = stale[-1][0]
    if "company" in entities:
        with tenancy.scope(tenant) as scope:
            _pass_companies(scope, derive)


def _stale(
    scope: TenantScope, derive: Deriver, entity: str, after: int
) -> list[tuple[int, str, str]]:
    """(raw id, object type, source id) of what the next rows were derived from, by raw id."""
    table, key = VIEWS[entity].table, VIEWS[entity].key
    waiting, made_from = _waiting(scope, derive, entity), _made_from(scope, derive, entity)
    rows = scope.connection.execute(
        select(raw_records.c.raw_id, raw_records.c.object_type, raw_records.c.source_id)
        .distinct()
        .join_from(waiting, table, key == waiting.c.key)
        .join(made_from, made_from.c.key == key)
        .join(
            raw_records,
            and_(
                raw_records.c.tenant_id == table.c.tenant_id,
                raw_records.c.raw_id == made_from.c.raw_id,
            ),
        )
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.rules_version != derive.stamp.rules_version,
            raw_records.c.connection_id == derive.connection.connection_id,
            raw_records.c.raw_id > after,
        )
        .order_by(raw_records.c.raw_id)
        .limit(CHUNK)
    )
    return [(row.raw_id, row.object_type, row.source_id) for row in rows]


def _waiting(scope: TenantScope, derive: Deriver, entity: str) -> Subquery:
    """(key): what wants to be sent, before its wish and after.

    A union, for each part has a partial index of its own: with "or" the whole table is read at
    every run, however little waits.
    """
    table, key = VIEWS[entity].table, VIEWS[entity].key
    to_wish = select(key.label("key")).where(
        table.c.tenant_id == scope.tenant,
        table.c.needs_projection,
        table.c.rules_version != derive.stamp.rules_version,
    )
    to_send = [
        select(ledger.c.object_id).where(
            ledger.c.tenant_id == scope.tenant,
            # Written out: a planner that is not told the states cannot tell which index serves.
            ledger.c.state.in_(bindparam(None, states, expanding=True, literal_execute=True)),
            ledger.c.rules_version != derive.stamp.rules_version,
        )
        for states in _UNSENT
    ]
    return union(to_wish, *to_send).subquery()


def _made_from(scope: TenantScope, derive: Deriver, entity: str) -> Subquery:
    """(key, raw id): a customer is made of what all its identities said, a row of one record."""
    if entity == "customer":
        identities = customer_identities.c
        return (
            select(identities.customer_id.label("key"), identities.raw_id)
            .where(
                identities.tenant_id == scope.tenant,
                identities.rules_version != derive.stamp.rules_version,
            )
            .subquery()
        )
    table, key = VIEWS[entity].table, VIEWS[entity].key
    return (
        select(key.label("key"), table.c.raw_id).where(table.c.tenant_id == scope.tenant).subquery()
    )


def _pass_companies(scope: TenantScope, derive: Deriver) -> None:
    """A company is only a name that a customer gave: it passes when one of them has."""
    passed = (
        select(customers.c.customer_id)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.company_id == companies.c.company_id,
            customers.c.rules_version == derive.stamp.rules_version,
        )
        .exists()
    )
    scope.connection.execute(
        update(companies)
        .where(
            companies.c.tenant_id == scope.tenant,
            companies.c.rules_version != derive.stamp.rules_version,
            passed,
        )
        .values(rules_version=derive.stamp.rules_version, needs_projection=True)
    )


def _derive(
    scope: TenantScope, derive: Deriver, stale: list[tuple[int, str, str]], done: Derived
) -> None:
    by_type: dict[str, list[str]] = defaultdict(list)
    for _, object_type, source_id in stale:
        by_type[object_type].append(source_id)
    parents = derive.connector.manifest.parents
    for object_type, source_ids in by_type.items():
        records = newest_of(
            scope,
            derive.connection.connection_id,
            object_type,
            source_ids,
            parent_type=parents.get(object_type),
        )
        derive_records(scope, derive, object_type, records, done)
