"""Checks OAuth 1.0a signatures as WooCommerce does over plain http.

Prevents the failure where a client signs wrongly for months because the emulator let it in:
every signature, timestamp and nonce here is verified, and Basic over http is refused.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, unquote

from starlette.requests import Request

_HASHES = {"HMAC-SHA1": hashlib.sha1, "HMAC-SHA256": hashlib.sha256}
_NEEDED = (
    "oauth_consumer_key", "oauth_timestamp", "oauth_nonce", "oauth_signature",
    "oauth_signature_method",
)  # fmt: skip
#: WooCommerce takes timestamps within 15 minutes and remembers nonces that long.
_WINDOW_SECONDS = 15 * 60


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not let in; always a 401 with WooCommerce's own code."""

    code: str
    message: str


#: Recorded for a wrong key, and for Basic over http (it is simply not looked at).
CANNOT_VIEW = Refusal("woocommerce_rest_cannot_view", "Sorry, you cannot list resources.")


def _failed(message: str) -> Refusal:
    return Refusal("woocommerce_rest_authentication_error", message)


class OAuthGate:
    """One shop's key and secret, and the nonces it has seen."""

    def __init__(self, key: str, secret: str, clock: Callable[[], float] = time.time) -> None:
        self._key, self._secret, self._clock = key, secret, clock
        self._nonces: dict[str, int] = {}

    def refusal(self, request: Request) -> Refusal | None:
        """None if the request is signed by this shop's key, else why not."""
        query = parse_qsl(request.url.query, keep_blank_values=True)
        given = dict(query) | _header_parameters(request.headers)
        if not any(name in given for name in _NEEDED):
            return CANNOT_VIEW
        missing = [name for name in _NEEDED if not given.get(name)]
        if missing:
            return Refusal(
                "woocommerce_rest_authentication_missing_parameter",
                f"Missing OAuth parameters {', '.join(missing)}",
            )
        if given["oauth_consumer_key"] != self._key:
            return CANNOT_VIEW
        if given["oauth_signature_method"] not in _HASHES:
            return _failed("Invalid signature - signature method is invalid.")
        return self._signature(request, query, given) or self._replay(given)

    def _signature(
        self, request: Request, query: list[tuple[str, str]], given: Mapping[str, str]
    ) -> Refusal | None:
        pairs = [*query, *((k, v) for k, v in given.items() if (k, v) not in query)]
        url = f"{request.url.scheme}://{request.url.netloc}{request.url.path}"
        method = given["oauth_signature_method"]
        expected = signature(request.method, url, pairs, self._secret, method)
        if not hmac.compare_digest(expected.encode(), given["oauth_signature"].encode()):
            return _failed("Invalid signature - provided signature does not match.")
        return None

    def _replay(self, given: Mapping[str, str]) -> Refusal | None:
        now, stamp = self._clock(), given["oauth_timestamp"]
        if not stamp.isdigit() or abs(now - int(stamp)) > _WINDOW_SECONDS:
            return _failed("Invalid timestamp.")
        if given["oauth_nonce"] in self._nonces:
            return _failed("Invalid nonce - nonce has already been used.")
        if len(self._nonces) > 5_000:
            oldest = now - _WINDOW_SECONDS
            self._nonces = {n: at for n, at in self._nonces.items() if at > oldest}
        self._nonces[given["oauth_nonce"]] = int(stamp)
        return None


def signature(
    method: str, url: str, pairs: list[tuple[str, str]], secret: str, algorithm: str
) -> str:
    """RFC 5849 §3.4 for a request without token; `oauth_signature` and `realm` are left out."""
    encoded = sorted(
        (_encode(name), _encode(value))
        for name, value in pairs
        if name not in {"oauth_signature", "realm"}
    )
    parameters = "&".join(f"{name}={value}" for name, value in encoded)
    text = "&".join((method.upper(), _encode(url), _encode(parameters)))
    digest = hmac.new(f"{secret}&".encode(), text.encode(), _HASHES[algorithm]).digest()
    return base64.b64encode(digest).decode()


def _encode(text: str) -> str:
    return quote(text, safe="~")


def _header_parameters(headers: Mapping[str, str]) -> dict[str, str]:
    kind, _, rest = headers.get("authorization", "").partition(" ")
    if kind.lower() != "oauth":
        return {}
    pairs = (part.strip().partition("=") for part in rest.split(","))
    return {name: unquote(value.strip('"')) for name, _, value in pairs if name != "realm"}
