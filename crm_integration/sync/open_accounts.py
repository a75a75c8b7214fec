"""Clients of stores and CRMs that stay open from one pass of a run to the next.

Prevents the call that only asks an account for its name, before every single event. It is asked
again after each change of a token, and every few minutes: a client is used again only with the
secrets and the settings that it was opened with.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Lock
from typing import Generic, Protocol, TypeVar

import orjson

from crm_integration.tenancy.connections import StoredConnection

CHECK_AGAIN = 300.0
"""Seconds after which an account is asked for its name again."""

MOST_OPEN = 256
"""Clients one run keeps; those unused for longest are closed."""


class Closable(Protocol):
    """What is kept open."""

    def close(self) -> None: ...


T = TypeVar("T", bound=Closable)


@dataclass(frozen=True)
class _Kept(Generic[T]):
    made_of: bytes
    opened: float
    client: T = field(repr=False)


@dataclass
class OpenAccounts(Generic[T]):
    """Clients by tenant and connection. A tenant's are used by one pass at a time."""

    _kept: OrderedDict[tuple[str, str], _Kept[T]] = field(
        default_factory=lambda: OrderedDict[tuple[str, str], _Kept[T]]()
    )
    _lock: Lock = field(default_factory=Lock)

    def find(
        self, tenant: str, connection: StoredConnection, secrets: Mapping[str, str]
    ) -> T | None:
        """The open client of this very account, or None: open one and `keep` it."""
        key = (tenant, connection.connection_id)
        with self._lock:
            found = self._kept.get(key)
            fresh = found is not None and time.monotonic() - found.opened < CHECK_AGAIN
            if found is not None and fresh and found.made_of == _made_of(connection, secrets):
                self._kept.move_to_end(key)
                return found.client
        self.forget(tenant, connection.connection_id)
        return None

    def keep(
        self, tenant: str, connection: StoredConnection, secrets: Mapping[str, str], client: T
    ) -> None:
        """Keep a client that has shown to be the right account."""
        made = _Kept(_made_of(connection, secrets), time.monotonic(), client)
        with self._lock:
            self._kept[tenant, connection.connection_id] = made
            surplus = len(self._kept) - MOST_OPEN
            closed = [self._kept.popitem(last=False)[1] for _ in range(surplus)]
        for one in closed:
            one.client.close()

    def forget(self, tenant: str, connection_id: str) -> None:
        """Close a client: its account answered as it should not."""
        with self._lock:
            found = self._kept.pop((tenant, connection_id), None)
        if found is not None:
            found.client.close()

    def close(self) -> None:
        """Close all."""
        for tenant, connection_id in list(self._kept):
            self.forget(tenant, connection_id)


def _made_of(connection: StoredConnection, secrets: Mapping[str, str]) -> bytes:
    """A digest: the secrets themselves are not kept once more."""
    told = [connection.base_url, connection.account_id, connection.known(), dict(secrets)]
    return sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).digest()
