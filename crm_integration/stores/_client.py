"""What the client of every store does alike: credentials in, connections kept, connections back.

Prevents a call with an empty key, which stores answer as if somebody else had asked, and
connections that stay open because one connector forgot to close its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import httpx

from crm_integration.errors import BadInput
from crm_integration.stores._contract import StoreAccess
from crm_integration.transport.http import http_client


class StoreClient:
    """Connections to one store's host. Usable as a context manager; not safe for two threads."""

    def __init__(
        self,
        access: StoreAccess,
        *,
        auth: httpx.Auth | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Raises BadInput for plain http off loopback."""
        self.settings: Mapping[str, Any] = access.settings
        self._gate = access.gate
        self._http = http_client(access.base_url, auth=auth)
        self._http.headers.update(headers or {})

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def secret(access: StoreAccess, name: str, *, fix: str) -> str:
    """A credential that is there. Raises BadInput, which says with `fix` where one is made."""
    value = access.secrets.get(name, "")
    if not value:
        raise BadInput(f"the connection has no {name}: {fix}")
    return value
