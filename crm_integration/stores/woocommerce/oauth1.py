"""Signs requests as OAuth 1.0a (RFC 5849), HMAC-SHA256, everything in the query.

Prevents the 401 of a WooCommerce shop on plain http (loopback only), where Basic auth is
ignored: over http the shop accepts nothing but a signature.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
import time
from collections.abc import Generator, Iterable
from urllib.parse import quote

import httpx

_METHOD = "HMAC-SHA256"


def signature(method: str, url: str, params: Iterable[tuple[str, str]], secret: str) -> str:
    """RFC 5849 §3.4 over `url` without its query; `secret` is the consumer's, tokens unused."""
    encoded = sorted((_encode(name), _encode(value)) for name, value in params)
    joined = "&".join(f"{name}={value}" for name, value in encoded)
    base = "&".join((method.upper(), _encode(url), _encode(joined)))
    digest = hmac.new(f"{secret}&".encode(), base.encode(), hashlib.sha256).digest()
    return base64.b64encode(digest).decode("ascii")


def _encode(text: str) -> str:
    return quote(text, safe="-._~")


class OAuth1(httpx.Auth):
    """Adds a fresh nonce and signature at every send: a repeated nonce is refused by the shop."""

    def __init__(self, key: str, secret: str) -> None:
        self._key, self._secret = key, secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """The same request with the six oauth_* parameters in its query."""
        params = request.url.params.multi_items()
        params += [
            ("oauth_consumer_key", self._key),
            ("oauth_nonce", secrets.token_hex(16)),
            ("oauth_signature_method", _METHOD),
            ("oauth_timestamp", str(int(time.time()))),
            ("oauth_version", "1.0"),
        ]
        base = str(request.url.copy_with(query=None, fragment=None))
        signed = signature(request.method, base, params, self._secret)
        query = httpx.QueryParams([*params, ("oauth_signature", signed)])
        request.url = request.url.copy_with(params=query)
        yield request
