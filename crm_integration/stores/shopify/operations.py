"""Starts bulk operations and waits for them, bounded.

Prevents a run that hangs for the ten days an operation may take, and a half file that is taken
for a whole one: only a completed operation's own address is ever used, never its partial data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from crm_integration.errors import MissingScope, Permanent, RemoteError, Transient
from crm_integration.stores._contract import JsonObject
from crm_integration.stores._payload import block_if_any
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify.client import Client
from crm_integration.stores.shopify.objects import ObjectType

LONGEST_RUN = 900.0
"""Seconds one process waits for an operation; the next one goes on waiting."""
LONGEST_QUEUE = 300.0
"""Seconds to wait for others' operations to end before ours can start."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 10.0
_UNDER_WAY = ("CREATED", "RUNNING")
_BUSY = ("OPERATION_IN_PROGRESS", "LIMIT_REACHED")
_SCOPES = {
    "customer": "read_customers",
    "product": "read_products",
    "order": "read_orders",
    "cart": "read_orders",
}


@dataclass(frozen=True)
class Operation:
    """What the shop says of one operation. `url` is None while it runs and for an empty result."""

    gid: str
    status: str
    error_code: str
    objects: int
    roots: int
    url: str | None

    @property
    def under_way(self) -> bool:
        return self.status in _UNDER_WAY

    @property
    def usable(self) -> bool:
        """Still running, or completed: another process may go on with it."""
        return self.under_way or self.status == "COMPLETED"


def start(client: Client, kind: ObjectType, search: str) -> str:
    """The gid of a new operation. Waits while the shop runs as many as it allows.

    Raises Transient when that takes long, Permanent for a query that the shop refuses.
    """
    waited, pause = 0.0, _FIRST_PAUSE
    while True:
        asked = {"query": kind.bulk_text(search)}
        answer = client.query(gql.BULK_RUN, asked, repeatable=False)
        payload = block_if_any(answer.data, "bulkOperationRunQuery")
        codes = _codes(payload)
        gid = block_if_any(payload, "bulkOperation").get("id")
        if isinstance(gid, str) and not codes:
            return gid
        if not codes or not set(codes) <= set(_BUSY):
            raise Permanent(
                f"the shop refuses a bulk query ({', '.join(codes) or 'no code'})",
                code=codes[0] if codes else "",
            )
        if waited >= LONGEST_QUEUE:
            raise Transient(
                "the shop runs other bulk operations: ours waits", retry_after=60.0, code=codes[0]
            )
        client.throttle.sleep(pause)
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)


def look(client: Client, gid: str) -> Operation | None:
    """The operation as it stands; None for one that the shop has forgotten."""
    found = client.query(gql.BULK_STATE, {"id": gid}).data.get("bulkOperation")
    if not isinstance(found, dict):
        return None
    state = cast(JsonObject, found)
    url = state.get("url")
    return Operation(
        gid=gid,
        status=str(state.get("status")),
        error_code=str(state.get("errorCode") or ""),
        objects=_count(state, "objectCount"),
        roots=_count(state, "rootObjectCount"),
        url=url if isinstance(url, str) and url else None,
    )


def finished(client: Client, kind: ObjectType, gid: str) -> Operation:
    """The completed operation.

    Raises Transient while it still runs after 15 minutes and where it failed or was cancelled,
    MissingScope where it was denied.
    """
    waited, pause = 0.0, _FIRST_PAUSE
    while True:
        operation = look(client, gid)
        if operation is None:
            raise Transient("the bulk operation is gone: it is started anew", code="bulk_gone")
        if operation.status == "COMPLETED":
            return operation
        if not operation.under_way:
            raise _failed(kind, operation)
        if waited >= LONGEST_RUN:
            raise Transient(
                "the bulk operation still runs: the next run goes on waiting for it",
                retry_after=60.0,
                code="bulk_running",
            )
        client.throttle.sleep(pause)
        waited, pause = waited + pause, min(2 * pause, _LONGEST_PAUSE)


def _failed(kind: ObjectType, operation: Operation) -> RemoteError:
    if operation.error_code == "ACCESS_DENIED":
        scope = _SCOPES[kind.name]
        return MissingScope(
            f"a bulk query of {kind.root} is denied: grant the app {scope}",
            scope=scope,
            code=operation.error_code,
        )
    return Transient(
        f"the bulk operation ended as {operation.status} ({operation.error_code or 'no code'}): "
        "it is started anew",
        retry_after=60.0,
        code=operation.error_code or operation.status,
    )


def _codes(payload: JsonObject) -> list[str]:
    listed: Any = payload.get("userErrors")
    errors = cast(list[Any], listed) if isinstance(listed, list) else []
    return [str(cast(JsonObject, error).get("code") or "UNKNOWN") for error in errors]


def _count(state: JsonObject, name: str) -> int:
    """UnsignedInt64 comes as a text. Raises Permanent for what is no number."""
    value = str(state.get(name))
    if not value.isdigit():
        raise Permanent(f"a bulk operation states no {name}", code="no_count")
    return int(value)
