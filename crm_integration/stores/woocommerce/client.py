"""Authenticated reads from one WooCommerce shop.

Prevents a hiccup of a shared host from failing a whole listing (GETs are tried again, bounded),
and a shop's misconfigured own address from leading us away: Link headers are never followed.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import stamina

from crm_integration.errors import BadInput, Transient
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.woocommerce.answers import refuse
from crm_integration.stores.woocommerce.oauth1 import OAuth1
from crm_integration.transport.http import http_client, send

_ATTEMPTS = 4
_LONGEST_WAIT = 20.0
"""Seconds a Retry-After may keep this process waiting; beyond it the caller comes back."""
API = "wp-json/wc/v3/"
INDEX = "wp-json/"


class Client:
    """One shop. Usable as a context manager; not safe for use by two threads."""

    def __init__(self, access: StoreAccess) -> None:
        """Raises BadInput for a missing credential and for plain http off loopback."""
        key, secret = _secret(access, "consumer_key"), _secret(access, "consumer_secret")
        over_tls = urlsplit(access.base_url).scheme == "https"
        auth = httpx.BasicAuth(key, secret) if over_tls else OAuth1(key, secret)
        self.settings: Mapping[str, Any] = access.settings
        self._http = http_client(access.base_url, auth=auth)

    def get(self, path: str, params: Mapping[str, str] | None = None) -> httpx.Response:
        """A usable 200 for `path` below `wp-json/wc/v3/`.

        Transient answers are tried up to four times with growing pauses or as the shop asks.
        Raises NeedsReconnect, MissingScope, Transient, Permanent (`answers.refuse`).
        """
        return self._get(API + path, params or {})

    def index(self) -> httpx.Response:
        """The public self-description of the site; needs no permission."""
        return self._get(INDEX, {"_fields": "name,home,timezone_string,gmt_offset"})

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _get(self, path: str, params: Mapping[str, str]) -> httpx.Response:
        for attempt in stamina.retry_context(
            on=_again, attempts=_ATTEMPTS, timeout=90.0, wait_initial=0.2, wait_max=5.0
        ):
            with attempt:
                response = send(self._http, self._http.build_request("GET", path, params=params))
                refuse(response)
                return response
        raise Transient("the shop was not asked")  # stamina always raises or returns first


def _again(error: Exception) -> bool | float:
    """Whether to try again here, and after how many seconds where the shop said so."""
    if not isinstance(error, Transient):
        return False
    if error.retry_after is None:
        return True
    return max(error.retry_after, 0.05) if error.retry_after <= _LONGEST_WAIT else False


def _secret(access: StoreAccess, name: str) -> str:
    value = access.secrets.get(name, "")
    if not value:
        raise BadInput(f"the connection has no {name}: make a REST API key in the shop's settings")
    return value
