"""The audit trail: a chain in which no entry can be changed or taken out unnoticed.

Prevents the silent edit: each entry's keyed digest covers its content and the digest before it,
role `crm_app` may insert but neither update nor delete.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import func, insert, select, text

from crm_integration.storage.tables.tenancy import audit_trail
from crm_integration.tenancy.scope import TenantScope

_FIRST = bytes(32)


def record(scope: TenantScope, *, actor: str, action: str, subject: str, **details: Any) -> None:
    """Append one entry. `details` must hold ids and counts, never secrets or personal data."""
    connection = scope.connection
    connection.execute(select(func.pg_advisory_xact_lock(_chain_lock(scope))))
    previous = connection.scalar(
        select(audit_trail.c.digest).order_by(audit_trail.c.entry_id.desc()).limit(1)
    )
    entry = {
        "at": connection.scalar(text("select clock_timestamp()")),
        "actor": actor,
        "action": action,
        "subject": subject,
        "details": details,
        "previous": previous or _FIRST,
    }
    connection.execute(
        insert(audit_trail).values(tenant_id=scope.tenant, **entry, digest=_digest(scope, entry))
    )


def first_broken_entry(scope: TenantScope) -> int | None:
    """The entry id at which the chain does not hold, None when it holds to its end."""
    expected = _FIRST
    rows = scope.connection.execute(select(audit_trail).order_by(audit_trail.c.entry_id))
    for row in rows.mappings():
        entry = {name: row[name] for name in ("at", "actor", "action", "subject", "details")}
        entry["previous"] = expected
        if row["previous"] != expected or row["digest"] != _digest(scope, entry):
            return int(row["entry_id"])
        expected = row["digest"]
    return None


def _digest(scope: TenantScope, entry: dict[str, Any]) -> bytes:
    at: datetime = entry["at"]
    content = {**entry, "at": at.astimezone(UTC).isoformat(), "previous": entry["previous"].hex()}
    return scope.keys.digest("audit", orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def _chain_lock(scope: TenantScope) -> int:
    return int.from_bytes(scope.keys.digest("lock", b"audit")[:8], "big", signed=True)
