"""The audit trail: a chain in which no entry can be changed or taken out unnoticed.

Prevents the silent edit: each entry's keyed digest covers its content and the digest before it,
role `crm_app` may insert but neither update nor delete. Where the chain ends is kept where not even
the table's owner can write (`storage/audit_heads.sql`), in the entry's own transaction: whoever has
no key can neither change an entry nor cut the end off.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Row, RowMapping, func, insert, select, text

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
    digest = _digest(scope, entry)
    connection.execute(insert(audit_trail).values(tenant_id=scope.tenant, **entry, digest=digest))
    moved = {"previous": entry["previous"], "next": digest}
    if not connection.scalar(_ADVANCE, moved):
        counted = connection.scalar(select(func.count()).select_from(audit_trail))
        connection.execute(_BEGIN, {"counted": counted, "last": digest})


@dataclass(frozen=True)
class Verified:
    """What `verify` found; `problem` names the first place at which the trail does not hold."""

    entries: int
    broken: int | None = None
    """The id of the entry that is not what was written there."""
    problem: str | None = None


def verify(scope: TenantScope) -> Verified:
    """Read the tenant's whole trail and compare it with its digests and its kept end.

    Entries that others write meanwhile are read as well: they lie behind the end that is compared.
    """
    head = scope.connection.execute(_HEAD).one_or_none()
    last, entries, at_head = _FIRST, 0, None
    with scope.connection.execute(_IN_ORDER, execution_options={"yield_per": 1_000}) as rows:
        for row in rows.mappings():
            if row["previous"] != last or row["digest"] != _digest(scope, _entry(row, last)):
                number = int(row["entry_id"])
                found = f"entry {number} was changed, put in, or follows one that is gone"
                return Verified(entries, number, found)
            last, entries = row["digest"], entries + 1
            at_head = last if head is not None and entries == head.entries else at_head
    return Verified(entries, problem=None if head is None else _wrong_end(head, entries, at_head))


def _entry(row: RowMapping, previous: bytes) -> dict[str, Any]:
    """What a digest covers."""
    told = {name: row[name] for name in ("at", "actor", "action", "subject", "details")}
    return {**told, "previous": previous}


def _wrong_end(head: Row[Any], entries: int, at_head: bytes | None) -> str | None:
    """What is wrong with the end of a trail whose entries hold."""
    if head.torn_at is not None:
        return f"after entry {head.torn_at} entries were taken off before new ones were written"
    if head.entries > entries:
        return f"the last {head.entries - entries} entries are gone"
    return None if head.digest == at_head else "the trail does not end as it was written"


def _digest(scope: TenantScope, entry: dict[str, Any]) -> bytes:
    at: datetime = entry["at"]
    content = {**entry, "at": at.astimezone(UTC).isoformat(), "previous": entry["previous"].hex()}
    return scope.keys.digest("audit", orjson.dumps(content, option=orjson.OPT_SORT_KEYS))


def _chain_lock(scope: TenantScope) -> int:
    return int.from_bytes(scope.keys.digest("lock", b"audit")[:8], "big", signed=True)


_IN_ORDER = select(audit_trail).order_by(audit_trail.c.entry_id)
_ADVANCE = text("select audit_heads.advance(:previous, :next)")
_BEGIN = text("select audit_heads.begin(:counted, :last)")
_HEAD = text("select entries, digest, torn_at from audit_heads.head()")
