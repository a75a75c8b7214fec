"""Authenticated calls to one store behind API2Cart.

Prevents one tenant's calls from using up what all tenants share: the API key is one metered
account, so the gate is asked right before each HTTP call, retries included.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import tzinfo
from typing import cast

from crm_integration.errors import Transient
from crm_integration.stores._client import StoreClient, secret
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.api2cart.answers import ACCOUNT_LIMIT, Answer, usable
from crm_integration.stores.api2cart.dates import zone_of
from crm_integration.stores.api2cart.methods import STORE_FIELDS
from crm_integration.stores.api2cart.shop import timezone_of
from crm_integration.transport.budget import refused
from crm_integration.transport.http import send
from crm_integration.transport.retry import repeated

VERSION = "v1.1"
_FIX = "copy it from the API2Cart account"
_UNKNOWN = object()


class Client(StoreClient):
    """One store."""

    def __init__(self, access: StoreAccess) -> None:
        """Raises BadInput for a missing credential and for plain http off loopback."""
        keys = {
            "x-api-key": secret(access, "api_key", fix=_FIX),
            "x-store-key": secret(access, "store_key", fix=_FIX),
        }
        super().__init__(access, headers=keys)
        self._zone: object = _UNKNOWN

    def call(self, method: str, params: Mapping[str, str] | None = None) -> Answer:
        """A usable answer of a reading method such as `order.list`.

        Transient answers are tried up to four times with growing pauses or as they ask. Raises
        NeedsReconnect, Transient, RefusedParameter, Permanent (`answers.usable`), and what the
        budget's gate raises.
        """
        return repeated(lambda: self._once(method, params or {}))

    def write(self, verb: str, method: str, params: Mapping[str, str]) -> None:
        """A changing method such as `webhook.create`, once: a second try could do it twice."""
        self._send(verb, method, params)

    def zone(self) -> tzinfo | None:
        """The store's zone for dates that state none: the connection's setting, else cart.info,
        asked once. None where neither knows."""
        if self._zone is _UNKNOWN:
            given = self.settings.get("timezone")
            if not given:
                given = timezone_of(self.call("cart.info", {"params": STORE_FIELDS}).result)
            self._zone = zone_of(given)
        return cast("tzinfo | None", self._zone)

    def _once(self, method: str, params: Mapping[str, str]) -> Answer:
        return self._send("GET", method, params)

    def _send(self, verb: str, method: str, params: Mapping[str, str]) -> Answer:
        path = f"{VERSION}/{method}.json"
        request = self._http.build_request(verb, path, params=dict(params))
        self._gate("all")
        try:
            return usable(send(self._http, request))
        except Transient as error:
            if error.status == 429 or error.code == ACCOUNT_LIMIT:
                refused(self._gate, "all", error)
            raise
