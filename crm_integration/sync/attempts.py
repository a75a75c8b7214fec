"""Attempts: every try to write a CRM object, with request and answer sealed.

Prevents the guess: support sees what was sent and what the CRM said, for each record of a batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from uuid import UUID, uuid4

import orjson
from sqlalchemy import FromClause, select
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.sync import attempts
from crm_integration.sync.retry_policy import VERSION
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class Attempt:
    """One try, with the mapping and the raw record its fields came from.

    `kind`: create, update, adopt, associate, or look (nothing was sent); `outcome`: the state it
    led to.
    """

    object_id: UUID
    claim_id: UUID
    kind: str
    outcome: str
    status: int
    code: str | None
    mapping_id: str
    raw_id: int
    exchange: dict[str, Any] | None = field(default=None, repr=False)


def record(
    scope: TenantScope,
    connection_id: str,
    object_type: str,
    tries: Sequence[Attempt],
    *,
    run_id: str,
) -> None:
    """Append attempts; they are never changed."""
    if not tries:
        return
    rows = (_row(scope, connection_id, object_type, one, run_id) for one in tries)
    tried = hand(scope.connection, "tried", attempts, _NAMES, rows)
    scope.connection.execute(_append(tried.source), tried.values)


_NAMES = (
    *("tenant_id", "uid", "connection_id", "object_type", "object_id", "claim_id", "kind"),
    *("outcome", "status", "code", "mapping_id", "raw_id", "retry_policy", "run_id"),
    "exchange",
)


@lru_cache(maxsize=16)
def _append(tried: FromClause) -> Insert:
    return insert(attempts).from_select(_NAMES, select(*(tried.c[name] for name in _NAMES)))


def _row(
    scope: TenantScope, connection_id: str, object_type: str, one: Attempt, run_id: str
) -> tuple[Any, ...]:
    uid = uuid4()
    exchange = None
    if one.exchange is not None:
        plain = orjson.dumps(one.exchange, default=str)
        exchange = scope.keys.seal("attempts", str(uid), plain)
    return (
        *(scope.tenant, uid, connection_id, object_type, one.object_id, one.claim_id, one.kind),
        *(one.outcome, one.status, one.code, one.mapping_id, one.raw_id, VERSION, run_id),
        exchange,
    )
