"""Authenticated calls to one WooCommerce shop.

Prevents a hiccup of a shared host from failing a whole listing (GETs are tried again, bounded),
and a shop's misconfigured own address from leading us away: Link headers are never followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx

from crm_integration.errors import Transient
from crm_integration.stores._client import StoreClient, secret
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.woocommerce.answers import refuse
from crm_integration.stores.woocommerce.oauth1 import OAuth1
from crm_integration.transport.budget import refused
from crm_integration.transport.http import send
from crm_integration.transport.retry import repeated

API = "wp-json/wc/v3/"
INDEX = "wp-json/"
_FIX = "make a REST API key in the shop's settings"


class Client(StoreClient):
    """One shop."""

    def __init__(self, access: StoreAccess) -> None:
        """Raises BadInput for a missing credential and for plain http off loopback."""
        names = ("consumer_key", "consumer_secret")
        consumer, own = (secret(access, name, fix=_FIX) for name in names)
        over_tls = urlsplit(access.base_url).scheme == "https"
        auth = httpx.BasicAuth(consumer, own) if over_tls else OAuth1(consumer, own)
        super().__init__(access, auth=auth)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """A usable 200 for `path` below `wp-json/wc/v3/`.

        Transient answers are tried up to four times with growing pauses or as the shop asks.
        Raises NeedsReconnect, MissingScope, Transient, Permanent (`answers.refuse`).
        """
        return self._get(API + path, params or {})

    def write(self, method: str, path: str, body: Any, params: Mapping[str, str]) -> None:
        """Change something below `wp-json/wc/v3/`, once: a second try could do it twice.

        Raises NeedsReconnect, MissingScope, Transient, Permanent (`answers.refuse`).
        """
        request = self._http.build_request(method, API + path, params=params, json=body)
        self._refuse(self._send(request), created=True)

    def index(self) -> httpx.Response:
        """The public self-description of the site; needs no permission."""
        return self._get(INDEX, {"_fields": "name,home,timezone_string,gmt_offset"})

    def _get(self, path: str, params: Mapping[str, str]) -> httpx.Response:
        return repeated(lambda: self._once(path, params))

    def _once(self, path: str, params: Mapping[str, str]) -> httpx.Response:
        response = self._send(self._http.build_request("GET", path, params=params))
        self._refuse(response)
        return response

    def _send(self, request: httpx.Request) -> httpx.Response:
        """WooCommerce meters nobody; a host may, and the connection's settings then say how."""
        self._gate("all")
        return send(self._http, request)

    def _refuse(self, response: httpx.Response, *, created: bool = False) -> None:
        try:
            refuse(response, created=created)
        except Transient as error:
            if error.status == 429:
                refused(self._gate, "all", error)
            raise
