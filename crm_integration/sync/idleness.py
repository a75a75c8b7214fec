"""Whether anything at all is to be done for a tenant of whom no store told anything new.

Prevents the hourly poll of a thousand quiet shops from asking three hundred questions for each:
one statement tells that every canonical row is projected, by the mappings and rules that count
now, and that every row of the ledger is at rest.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Exists, and_, or_, select

from crm_integration.mapping.model import CompiledMapping
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync.transitions import State
from crm_integration.sync.views import VIEWS
from crm_integration.sync.waiting import WITHOUT
from crm_integration.tenancy.scope import TenantScope

_AT_REST = (State.synced, State.skipped, State.dead)


def is_idle(
    scope: TenantScope,
    connection_id: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
) -> bool:
    """True if neither projecting nor sending could change a row of this CRM connection."""
    tables = {VIEWS[one.entity].table for one in mappings.values()}
    changed = [
        select(table.c.tenant_id)
        .where(table.c.tenant_id == scope.tenant, table.c.needs_projection)
        .exists()
        for table in sorted(tables, key=lambda one: one.name)
    ]
    restless = _restless(scope, connection_id, mappings, rules_version)
    return not scope.connection.execute(select(or_(*changed, restless))).scalar_one()


def _restless(
    scope: TenantScope,
    connection_id: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
) -> Exists:
    """Rows that wait for something, and rows that other mappings or rules made."""
    digests = [one.rules_digest for one in mappings.values()]
    lacking = and_(ledger.c.state == State.synced.value, ledger.c.reason.startswith(WITHOUT))
    unsent = ledger.c.state.not_in([state.value for state in _AT_REST])
    outdated = and_(
        ledger.c.object_type.in_(list(mappings)),
        or_(ledger.c.mapping_digest.not_in(digests), ledger.c.rules_version != rules_version),
        ledger.c.state != State.skipped.value,
    )
    return (
        select(ledger.c.object_id)
        .where(
            ledger.c.tenant_id == scope.tenant,
            ledger.c.connection_id == connection_id,
            or_(unsent, lacking, outdated),
        )
        .exists()
    )
