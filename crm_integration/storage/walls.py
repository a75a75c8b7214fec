"""Policies and grants: who may see and do what in which table.

Prevents a table without a policy: the migrations call `wall_in` for every table they make, and
a test goes through the catalogue and fails for one that was left out.

`crm_app` works inside one tenant. `crm_intake` drops deliveries and reads nothing but what the
function `webhook_address` tells of one path whose keyed hash it knows. `crm_ops` moves the queue,
meters calls and reads what is never personal. The owner is bound by its own policies too (FORCE):
it sees what that function needs, of one path and then of one tenant. Superusers are refused at
start (`roles.assert_safe_role`).
"""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy import Connection, Table
from sqlalchemy.sql.compiler import IdentifierPreparer

INSIDE = "tenant_id = (select nullif(current_setting('app.tenant_id', true), ''))"
"""The sub-select is evaluated once per statement, not per row (platform-facts)."""

APP_GRANTS = {
    "tenants": "SELECT, INSERT, UPDATE (wrapped_keys)",
    "audit_trail": "SELECT, INSERT",
    "credential_changes": "SELECT, INSERT",
    "webhook_drop": "SELECT",
    "raw_records": "SELECT, INSERT, UPDATE (seen_again, seen_at, outcome)",
    "attempts": "SELECT, INSERT",
    "verdicts": "SELECT, INSERT",
    "proofs": "SELECT, INSERT",
    "approvals": "SELECT, INSERT, UPDATE (used_at, used_by)",
    "webhook_paths": "SELECT, INSERT, UPDATE (valid_until)",
    "webhook_secrets": "SELECT, INSERT, UPDATE (valid_until)",
}
"""Tables in which not even the tenant's own scope may change what was written."""

APP_DEFAULT = "SELECT, INSERT, UPDATE, DELETE"

OPS_READS = {
    "tenants": "tenant_id, started_on, created_at",
    "verdicts": "tenant_id, verdict_id, entity, check_name, window_start, window_end, passed, "
    "rows, failed, highest_raw_id, rules_version, details, run_id, decided_at",
    "ledger": "tenant_id, connection_id, object_type, state, next_try_at, claim_expires_at, "
    "waiting_since",
    "credential_changes": "tenant_id, change_id, connection_id, before, state, reason, changed_at",
    "proofs": "tenant_id, proof_id, entity, day, passed, counts, problem, highest_raw_id, run_id, "
    "proven_at",
    "carts": "tenant_id, cart_changed_at, completed_at, customer_id, settled",
    "holds": "tenant_id, hold_id, object_type, check_name, reason, fix, records, opened_at, "
    "released_at, released_by",
}

ONE_PATH = "digest = (select decode(nullif(current_setting('app.webhook_path', true), ''), 'hex'))"
ADDRESS_READS = {
    "webhook_paths": ONE_PATH,
    "webhook_secrets": INSIDE,
    "connections": INSIDE,
    "tenants": INSIDE,
}
"""What the owner sees, so that its function `webhook_address` can tell of one path."""


def wall_in(connection: Connection, tables: Iterable[Table]) -> None:
    """Give each table its policies and grants, by what its `info` says it holds."""
    quote = connection.dialect.identifier_preparer
    for table in tables:
        for statement in _statements(table, quote):
            connection.exec_driver_sql(statement)


def _statements(table: Table, quote: IdentifierPreparer) -> list[str]:
    name = quote.format_table(table)
    if table.info.get("tenant"):
        return _tenant_statements(table.name, name)
    if table.info.get("queue"):
        return [
            f"GRANT INSERT ON {name} TO crm_intake",
            f"GRANT SELECT, UPDATE, DELETE ON {name} TO crm_ops",
        ]
    return [f"GRANT SELECT, INSERT, UPDATE ON {name} TO crm_ops"]


def _tenant_statements(bare: str, name: str) -> list[str]:
    statements = [
        f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY",
        f"ALTER TABLE {name} FORCE ROW LEVEL SECURITY",
        f"CREATE POLICY walls ON {name} TO crm_app USING ({INSIDE}) WITH CHECK ({INSIDE})",
        f"GRANT {APP_GRANTS.get(bare, APP_DEFAULT)} ON {name} TO crm_app",
    ]
    if bare in OPS_READS:
        statements += [
            f"CREATE POLICY overview ON {name} FOR SELECT TO crm_ops USING (true)",
            f"GRANT SELECT ({OPS_READS[bare]}) ON {name} TO crm_ops",
        ]
    if bare in ADDRESS_READS:
        statements.append(
            f"CREATE POLICY address ON {name} FOR SELECT TO crm_owner USING ({ADDRESS_READS[bare]})"
        )
    if bare == "webhook_drop":
        statements += [
            f"CREATE POLICY arrival ON {name} FOR INSERT TO crm_intake WITH CHECK (true)",
            f"GRANT INSERT ON {name} TO crm_intake",
        ]
    return statements
