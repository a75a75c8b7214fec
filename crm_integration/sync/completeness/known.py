"""What we know of a store's objects: the newest raw record of each, and its canonical row.

Prevents the query per record: a type of one connection is read with one query a stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import ColumnElement, Table, lateral, select, true, union, union_all

from crm_integration.storage.bulk import join_by_hash, stage
from crm_integration.storage.tables.canonical import (
    customer_identities,
    customers,
    orders,
    products,
    refunds,
)
from crm_integration.storage.tables.commerce import (
    activities,
    carts,
    companies,
    consent_events,
    shipments,
)
from crm_integration.storage.tables.intake import raw_records
from crm_integration.storage.tables.quality import quarantine
from crm_integration.sync.completeness.frames import frame
from crm_integration.sync.completeness.model import Frame
from crm_integration.sync.completeness.scan import Scan
from crm_integration.tenancy.scope import TenantScope

RAW = (
    *("id", "raw_id", "source_time", "raw_digest", "raw_shape", "flags", "outcome", "raw_day"),
    "known",
)
ROWS = ("id", "row_raw_id", "row_time", "row_gone", "has_row")

TABLES: dict[str, Table] = {
    "customer": customer_identities,
    "product": products,
    "order": orders,
    "refund": refunds,
    "cart": carts,
    "shipment": shipments,
    "consent": consent_events,
    "company": companies,
    "activity": activities,
}
"""Entity -> the table whose rows name the raw record they were made of."""

_REGISTERED = "registered"
"""Kind of the identity that an account of a store is."""


def newest_raw(
    scope: TenantScope,
    scan: Scan,
    connection_id: str,
    object_type: str,
    source_ids: Iterable[str],
    *,
    whole: bool,
) -> Frame:
    """The newest raw record of these objects, and of all that have one in the window.

    `whole`: of all there are, whatever the window (a type that is swept).
    """
    asked = stage(scope.connection, raw_records, ("source_id",), [(one,) for one in source_ids])
    mine = (
        raw_records.c.tenant_id == scope.tenant,
        raw_records.c.connection_id == connection_id,
        raw_records.c.object_type == object_type,
    )
    days = scan.request.days
    window: list[ColumnElement[bool]] = []
    if days is not None and not whole:
        window = [raw_records.c.day >= days.start, raw_records.c.day < days.end]
    ids = union(
        select(asked.c.source_id), select(raw_records.c.source_id).where(*mine, *window)
    ).subquery()
    newest = lateral(
        select(
            raw_records.c.source_id.label("id"),
            raw_records.c.raw_id,
            raw_records.c.source_time,
            raw_records.c.digest,
            raw_records.c.shape,
            raw_records.c.flags,
            raw_records.c.outcome,
            raw_records.c.day,
        )
        .where(*mine, raw_records.c.source_id == ids.c.source_id)
        .order_by(
            raw_records.c.source_time.desc(),
            raw_records.c.observation.desc(),
            raw_records.c.raw_id.desc(),
        )
        .limit(1)
    )
    rows = scope.connection.execute(select(newest).join_from(ids, newest, true()))
    return frame(((*row, True) for row in rows), RAW, times=("source_time",))


def own_rows(
    scope: TenantScope, connection_id: str, object_type: str, source_ids: Sequence[str]
) -> Frame:
    """The canonical rows that stand for these objects under their own entity."""
    table = TABLES[object_type]
    asked = stage(scope.connection, raw_records, ("source_id",), [(one,) for one in source_ids])
    join_by_hash(scope.connection)
    statement = (
        select(table.c.source_id, table.c.raw_id, table.c.source_time, table.c.deleted_raw_id)
        .join_from(asked, table, table.c.source_id == asked.c.source_id)
        .where(table.c.tenant_id == scope.tenant, table.c.connection_id == connection_id)
    )
    if table is customer_identities:
        statement = statement.where(table.c.kind == _REGISTERED, table.c.raw_id.is_not(None))
    rows = scope.connection.execute(statement)
    made = ((one[0], one[1], one[2], one[3] is not None, True) for one in rows)
    return frame(made, ROWS, times=("row_time",))


def other_rows(scope: TenantScope, entities: Sequence[str], raw_ids: Iterable[int]) -> set[int]:
    """Those of these raw records that rows of these entities were made of."""
    asked = stage(scope.connection, raw_records, ("raw_id",), [(one,) for one in raw_ids])
    parts = [
        select(TABLES[entity].c.raw_id)
        .join_from(asked, TABLES[entity], TABLES[entity].c.raw_id == asked.c.raw_id)
        .where(TABLES[entity].c.tenant_id == scope.tenant)
        for entity in entities
    ]
    return set(scope.connection.execute(union_all(*parts)).scalars()) if parts else set()


def kept_back(scope: TenantScope, connection_id: str, entity: str) -> set[str]:
    """Ids of all objects of a type that wait in quarantine."""
    rows = scope.connection.execute(
        select(quarantine.c.source_id)
        .distinct()
        .where(
            quarantine.c.tenant_id == scope.tenant,
            quarantine.c.connection_id == connection_id,
            quarantine.c.entity == entity,
            quarantine.c.released_at.is_(None),
        )
    )
    return set(rows.scalars())


def canonical_ids(scope: TenantScope, scan: Scan, table: Table, key: Any) -> Frame:
    """Ids of an entity's rows whose raw record lies in the window, with its day.

    `merged`: the customer became another one; `unknown`: nobody has said anything of them so far,
    so that they are in no CRM.
    """
    same = (raw_records.c.tenant_id == table.c.tenant_id) & (raw_records.c.raw_id == table.c.raw_id)
    columns: list[Any] = [key, raw_records.c.day, table.c.rules_version, table.c.changed_at]
    if table is customers:
        columns += [customers.c.merged_into.is_not(None), ~customers.c.known]
    days = scan.request.days
    statement = select(*columns).join_from(table, raw_records, same, isouter=True)
    statement = statement.where(table.c.tenant_id == scope.tenant)
    if days is not None:
        statement = statement.where(raw_records.c.day >= days.start, raw_records.c.day < days.end)
    join_by_hash(scope.connection)
    rows = scope.connection.execute(statement.order_by(key))
    names = ("object_id", "raw_day", "row_rules", "changed_at", "merged", "unknown")
    width = len(columns)
    made = (tuple(row) if width == len(names) else (*row, False, False) for row in rows)
    return frame(made, names, times=("changed_at",))
