"""The CRM records of customers who became another one, where the tenant wants them archived.

Prevents the contact that goes on getting letters beside the one it was merged into, and the
archived record that still held orders: a record leaves only when nothing of ours is tied to it,
and only one that we made and nobody merged. It goes where a person can restore it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import ARRAY, ColumnElement, Uuid, any_, func, literal, select, update

from crm_integration.crms._contract import Adapter, CrmRecord
from crm_integration.errors import RemoteError
from crm_integration.storage.tables.canonical import customers
from crm_integration.storage.tables.sync import bindings, ledger
from crm_integration.sync import attempts
from crm_integration.sync.attempts import Attempt
from crm_integration.sync.bindings import unbind
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import Tenancy, TenantScope

OBJECT_TYPE = "contact"
BATCH = 100
"""Records that are archived in one transaction; a run archives all that may go."""


def leaving(scope: TenantScope, connection_id: str) -> dict[UUID, str]:
    """At most a batch of the merged customers' records that we made and that nothing of ours is
    tied to any more."""
    mine = (bindings.c.tenant_id == scope.tenant, bindings.c.connection_id == connection_id)
    rows = scope.connection.execute(
        select(bindings.c.object_id, bindings.c.crm_record_id)
        .join(
            ledger,
            (ledger.c.tenant_id == bindings.c.tenant_id)
            & (ledger.c.connection_id == bindings.c.connection_id)
            & (ledger.c.object_type == bindings.c.object_type)
            & (ledger.c.object_id == bindings.c.object_id),
        )
        .join(
            customers,
            (customers.c.tenant_id == bindings.c.tenant_id)
            & (customers.c.customer_id == bindings.c.object_id),
        )
        .where(
            *mine,
            bindings.c.object_type == OBJECT_TYPE,
            ~bindings.c.adopted,
            ledger.c.state == State.skipped.value,
            customers.c.merged_into.is_not(None),
        )
        .order_by(bindings.c.object_id)
    )
    found = {row.object_id: row.crm_record_id for row in rows}
    held = _still_tied(scope, connection_id, found) if found else set[UUID]()
    free = [(key, record) for key, record in found.items() if key not in held]
    return dict(free[:BATCH])


def _still_tied(scope: TenantScope, connection_id: str, objects: Collection[UUID]) -> set[UUID]:
    """Those that a record of ours is tied to, or is to be."""
    asked = literal(list(objects), ARRAY(Uuid))
    ties = (ledger.c.associated, ledger.c.needs)
    found: set[UUID] = set()
    for tie in ties:
        rows = scope.connection.execute(
            select(func.unnest(tie).label("one"))
            .distinct()
            .where(
                ledger.c.tenant_id == scope.tenant,
                ledger.c.connection_id == connection_id,
                _overlaps(tie, asked),
            )
        )
        found |= set(rows.scalars())
    return found & set(objects)


def _overlaps(tie: ColumnElement[Any], asked: ColumnElement[Any]) -> ColumnElement[bool]:
    return tie.op("&&", is_comparison=True)(asked)


def archive(
    tenancy: Tenancy, tenant: str, connection_id: str, adapter: Adapter, *, run_id: str
) -> int:
    """Archive all that may go, batch after batch; returns how many records left.

    Raises the error of a record that could not be archived, after the others are noted.
    """
    gone = 0
    while True:
        with tenancy.scope(tenant) as scope:
            found = leaving(scope, connection_id)
        if not found:
            return gone
        live = adapter.read(OBJECT_TYPE, list(found.values()), [])
        ours = [key for key, record in found.items() if _is_ours(key, record, live)]
        errors = adapter.archive(OBJECT_TYPE, [found[key] for key in ours]) if ours else []
        failed = {key: error for key, error in zip(ours, errors, strict=True) if error}
        with tenancy.scope(tenant) as scope:
            _note(scope, connection_id, ours, failed, run_id)
            _let_go(scope, connection_id, [key for key in found if key not in failed])
        gone += len(ours) - len(failed)
        if failed:
            raise next(iter(failed.values()))


def _is_ours(key: UUID, record_id: str, live: Mapping[str, CrmRecord]) -> bool:
    """Still there, not merged into another one by people, and with our key on it."""
    record = live.get(record_id)
    return record is not None and record.record_id == record_id and record.key == str(key)


def _let_go(scope: TenantScope, connection_id: str, objects: Sequence[UUID]) -> None:
    """They have no record any more: one that comes back is looked for, and made anew."""
    unbind(scope, connection_id, OBJECT_TYPE, objects)
    scope.connection.execute(
        update(ledger)
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.object_type == OBJECT_TYPE,
            ledger.c.object_id == any_(literal(list(objects), ARRAY(Uuid))),
        )
        .values(associated=literal([], ARRAY(Uuid)))
    )


def _note(
    scope: TenantScope,
    connection_id: str,
    objects: Sequence[UUID],
    failed: Mapping[UUID, RemoteError],
    run_id: str,
) -> None:
    """An attempt for each, as for every write."""
    rows = scope.connection.execute(
        select(ledger.c.object_id, ledger.c.mapping_id, ledger.c.raw_id).where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            ledger.c.object_type == OBJECT_TYPE,
            ledger.c.object_id == any_(literal(list(objects), ARRAY(Uuid))),
        )
    )
    one_claim = uuid4()
    tries = [
        Attempt(
            row.object_id,
            one_claim,
            "archive",
            State.retry.value if row.object_id in failed else State.skipped.value,
            failed[row.object_id].status if row.object_id in failed else 204,
            failed[row.object_id].code if row.object_id in failed else None,
            row.mapping_id,
            row.raw_id,
            {},
        )
        for row in rows
    ]
    attempts.record(scope, connection_id, OBJECT_TYPE, tries, run_id=run_id)
