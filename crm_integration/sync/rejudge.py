"""Rows that wait to be sent, but passed the rules only as they were before.

Prevents the merchant whose rules were changed from going quiet: a row is written only if it
passed the rules that count now (promise 8), so what wants to be sent is judged by them, whatever
its window. What nobody wants to send stays as it is until its window is replayed.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection

from sqlalchemy import and_, or_, select

from crm_integration.canonical.identity import lock_identities
from crm_integration.intake.raw_reading import newest_of
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.derive import CHUNK, Derived, Deriver, derive_records
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS
from crm_integration.tenancy.scope import Tenancy, TenantScope

_UNSENT = (State.pending, State.retry, State.unknown, State.parked, State.held)


def rejudge(
    tenancy: Tenancy, tenant: str, derive: Deriver, entities: Collection[str], done: Derived
) -> None:
    """Derive the rows of these entities again that wait under an earlier rules version."""
    for entity in sorted(entities):
        after = -1
        while True:
            with tenancy.scope(tenant) as scope:
                lock_identities(scope)
                stale = _stale(scope, derive, entity, after)
                _derive(scope, derive, stale, done)
            if len(stale) < CHUNK:
                break
            after = stale[-1][0]


def _stale(
    scope: TenantScope, derive: Deriver, entity: str, after: int
) -> list[tuple[int, str, str]]:
    """(raw id, object type, source id) of what the next rows were derived from, by raw id."""
    table, key = VIEWS[entity].table, VIEWS[entity].key
    wanted = (
        select(ledger.c.object_id)
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.object_id == key,
            ledger.c.state.in_(_UNSENT),
            ledger.c.rules_version != derive.stamp.rules_version,
        )
        .exists()
    )
    rows = scope.connection.execute(
        select(raw_records.c.raw_id, raw_records.c.object_type, raw_records.c.source_id)
        .distinct()
        .join_from(
            table,
            raw_records,
            and_(
                raw_records.c.tenant_id == table.c.tenant_id,
                raw_records.c.raw_id == table.c.raw_id,
            ),
        )
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.rules_version != derive.stamp.rules_version,
            raw_records.c.connection_id == derive.connection.connection_id,
            raw_records.c.raw_id > after,
            or_(table.c.needs_projection, wanted),
        )
        .order_by(raw_records.c.raw_id)
        .limit(CHUNK)
    )
    return [(row.raw_id, row.object_type, row.source_id) for row in rows]


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
