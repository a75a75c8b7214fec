"""Authenticated reads from one store behind API2Cart.

Prevents one tenant's calls from using up what all tenants share: the API key is one metered
account, so the gate is asked right before each HTTP call, retries included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import Any, cast

import stamina

from crm_integration.errors import BadInput, Transient
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.api2cart.answers import Answer, usable
from crm_integration.stores.api2cart.dates import zone_of
from crm_integration.stores.api2cart.methods import STORE_FIELDS
from crm_integration.stores.api2cart.shop import timezone_of
from crm_integration.transport.http import http_client, send

VERSION = "v1.1"
_ATTEMPTS = 4
_LONGEST_WAIT = 20.0
"""Seconds a pause may keep this process waiting; beyond it the caller comes back."""


_UNKNOWN = object()


class Client:
    """One store. Usable as a context manager; not safe for use by two threads."""

    def __init__(self, access: StoreAccess) -> None:
        """Raises BadInput for a missing credential and for plain http off loopback."""
        keys = {
            "x-api-key": _secret(access, "api_key"),
            "x-store-key": _secret(access, "store_key"),
        }
        self.settings: Mapping[str, Any] = access.settings
        self._gate = access.gate
        self._zone: object = _UNKNOWN
        self._http = http_client(access.base_url)
        self._http.headers.update(keys)

    def call(self, method: str, params: Mapping[str, str] | None = None) -> Answer:
        """A usable answer of a reading method such as `order.list`.

        Transient answers are tried up to four times with growing pauses or as they ask. Raises
        NeedsReconnect, Transient, RefusedParameter, Permanent (`answers.usable`), and what the
        budget's gate raises.
        """
        for attempt in stamina.retry_context(
            on=_again, attempts=_ATTEMPTS, timeout=90.0, wait_initial=0.2, wait_max=5.0
        ):
            with attempt:
                return self._once(method, params or {})
        raise Transient("API2Cart was not asked")  # stamina always raises or returns first

    def zone(self) -> tzinfo | None:
        """The store's zone for dates that state none: the connection's setting, else cart.info,
        asked once. None where neither knows."""
        if self._zone is _UNKNOWN:
            given = self.settings.get("timezone")
            if not given:
                given = timezone_of(self.call("cart.info", {"params": STORE_FIELDS}).result)
            self._zone = zone_of(given)
        return cast("tzinfo | None", self._zone)

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _once(self, method: str, params: Mapping[str, str]) -> Answer:
        path = f"{VERSION}/{method}.json"
        request = self._http.build_request("GET", path, params=dict(params))
        self._gate("all")
        return usable(send(self._http, request))


def _again(error: Exception) -> bool | float:
    """Whether to try again here, and after how many seconds where the answer said so."""
    if not isinstance(error, Transient) or error.code in ("budget", "claim_nearly_over"):
        return False
    if error.retry_after is None:
        return True
    return max(error.retry_after, 0.05) if error.retry_after <= _LONGEST_WAIT else False


def _secret(access: StoreAccess, name: str) -> str:
    value = access.secrets.get(name, "")
    if not value:
        raise BadInput(f"the connection has no {name}: copy it from the API2Cart account")
    return value
