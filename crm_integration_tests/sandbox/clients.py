"""Clients of the tests: a shop's caller that signs by RFC 5849, and apps without a server.

The signature is computed here a second time, by oauthlib's rules rather than by the sandbox's
own function, so that one mistake cannot hide in both.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import httpx
from starlette.types import ASGIApp

from crm_integration.sandbox.shop_state import ShopSettings

KEY, SECRET = "ck_tests", "cs_tests"


def shop_settings(**more: Any) -> ShopSettings:
    return ShopSettings(
        name="test", consumer_key=KEY, consumer_secret=SECRET,
        public_url="https://test.shop.example", **more,
    )  # fmt: skip


def signed(
    method: str, url: str, params: Mapping[str, Any], *, key: str = KEY, secret: str = SECRET,
    algorithm: str = "HMAC-SHA256",
) -> dict[str, str]:  # fmt: skip
    """The query of a call with its OAuth parameters."""
    query = {name: str(value) for name, value in params.items()}
    query |= {
        "oauth_consumer_key": key,
        "oauth_timestamp": str(int(time.time())),
        "oauth_nonce": secrets.token_hex(8),
        "oauth_signature_method": algorithm,
    }
    pairs = sorted((quote(k, safe="~"), quote(v, safe="~")) for k, v in query.items())
    text = "&".join(
        quote(part, safe="~")
        for part in (method, url, "&".join(f"{name}={value}" for name, value in pairs))
    )
    digest = {"HMAC-SHA256": hashlib.sha256, "HMAC-SHA1": hashlib.sha1}[algorithm]
    made = hmac.new(f"{secret}&".encode(), text.encode(), digest).digest()
    return {**query, "oauth_signature": base64.b64encode(made).decode()}


class _AppTransport(httpx.BaseTransport):
    """Lets a plain client call an ASGI app without a server."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        async def answer() -> httpx.Response:
            got = await httpx.ASGITransport(self._app).handle_async_request(request)
            return httpx.Response(got.status_code, headers=got.headers, content=await got.aread())

        return asyncio.run(answer())


def app_client(app: ASGIApp, base_url: str, **more: Any) -> httpx.Client:
    """A client of an app in this process."""
    return httpx.Client(transport=_AppTransport(app), base_url=base_url, **more)


class ShopCaller:
    """Signed calls to one shop, served or in-process."""

    def __init__(self, client: httpx.Client, base: str, key: str = KEY, secret: str = SECRET):
        self._client, self._base = client, f"{base}/wp-json/wc/v3"
        self._key, self._secret = key, secret

    def call(self, method: str, path: str, *, json: Any = None, **params: Any) -> httpx.Response:
        url = self._base + path
        query = signed(method, url, params, key=self._key, secret=self._secret)
        return self._client.request(method, url, params=query, json=json)

    def get(self, path: str, **params: Any) -> httpx.Response:
        return self.call("GET", path, **params)
