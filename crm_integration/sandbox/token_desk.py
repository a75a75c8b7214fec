"""An account's OAuth 2: consent, codes with PKCE, tokens that run out and that rotate.

Prevents the failure where a login was never seen running out, being taken back, or being refreshed
by two at once: a desk that rotates ends the whole login when a refresh token comes a second time,
as vendors do (RFC 9700, 4.14.2).
"""

from __future__ import annotations

import secrets
import time
from base64 import urlsafe_b64encode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any
from urllib.parse import parse_qsl, urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response


@dataclass
class TokenDesk:
    """One account's desk; `seconds` an access token lives."""

    client_id: str
    client_secret: str = field(repr=False)
    seconds: float = 1800.0
    rotates: bool = False
    grace: bool = False
    """Whether a replaced refresh token stays good until its successor's access token is used."""
    clock: Callable[[], float] = time.monotonic
    renewals: int = 0
    """Refresh grants that were answered with tokens."""
    refused: int = 0
    reused: int = 0
    """Refresh tokens that came a second time: each ended a login."""
    broken: int = 0
    """So many token requests are answered with 503."""
    after_renewal: Callable[[], None] = lambda: None
    _codes: dict[str, tuple[str, str]] = field(default_factory=dict[str, tuple[str, str]])
    _access: dict[str, float] = field(default_factory=dict[str, float], repr=False)
    _refresh: set[str] = field(default_factory=set[str], repr=False)
    """One for each consent."""
    _replaced: dict[str, str] = field(default_factory=dict[str, str], repr=False)
    """A replaced refresh token -> the access token that came with its successor."""

    def knows(self, token: str) -> bool:
        """Whether an access token is good now; its use ends what it replaced."""
        good = self._access.get(token, 0.0) > self.clock()
        if good and self.grace:
            self._replaced = {old: new for old, new in self._replaced.items() if new != token}
        return good

    def first(self) -> dict[str, str]:
        """Tokens as a person's consent brings them, without the dance."""
        given = self._given()
        return {one: str(given[one]) for one in ("access_token", "refresh_token")}

    def end(self) -> None:
        """The merchant removes the app: no token is good any more."""
        self._access.clear()
        self._replaced.clear()
        self._refresh.clear()

    async def authorize(self, request: Request) -> Response:
        """The person who is asked always says yes."""
        asked = request.query_params
        code = secrets.token_urlsafe(16)
        self._codes[code] = (asked.get("code_challenge", ""), asked.get("redirect_uri", ""))
        back = urlencode({"code": code, "state": asked.get("state", "")})
        return RedirectResponse(f"{asked.get('redirect_uri', '')}?{back}", 302)

    async def token(self, request: Request) -> Response:
        """The token endpoint (RFC 6749)."""
        form = dict(parse_qsl((await request.body()).decode()))
        if self.broken > 0:
            self.broken -= 1
            return JSONResponse({"message": "try later"}, 503)
        known = (form.get("client_id"), form.get("client_secret"))
        if known != (self.client_id, self.client_secret):
            return self._refuse("invalid_client", 401)
        match form.get("grant_type"):
            case "authorization_code":
                return self._for_code(form)
            case "refresh_token":
                return self._for_refresh(form.get("refresh_token", ""))
            case "client_credentials":
                return JSONResponse(self._given())
            case _:
                return self._refuse("unsupported_grant_type")

    def _for_code(self, form: Mapping[str, str]) -> Response:
        challenge, redirect = self._codes.pop(form.get("code", ""), ("", ""))
        digest = sha256(form.get("code_verifier", "").encode()).digest()
        proven = challenge and urlsafe_b64encode(digest).rstrip(b"=").decode() == challenge
        if not proven or redirect != form.get("redirect_uri"):
            return self._refuse("invalid_grant")
        return JSONResponse(self._given())

    def _for_refresh(self, token: str) -> Response:
        if token in self._refresh or (self.grace and token in self._replaced):
            self.renewals += 1
            self.after_renewal()
            return JSONResponse(self._again(token))
        if token in self._replaced:
            self.reused += 1
            self.end()
        return self._refuse("invalid_grant")

    def _again(self, token: str) -> dict[str, Any]:
        if not self.rotates:
            return self._given(token)
        given = self._given()
        self._refresh.discard(token)
        self._replaced[token] = given["access_token"]
        return given

    def _given(self, refresh: str | None = None) -> dict[str, Any]:
        access, refresh = secrets.token_urlsafe(24), refresh or secrets.token_urlsafe(24)
        self._access[access] = self.clock() + self.seconds
        self._refresh.add(refresh)
        return {
            "token_type": "bearer",
            "access_token": access,
            "refresh_token": refresh,
            "expires_in": self.seconds,
        }

    def _refuse(self, error: str, status: int = 400) -> Response:
        self.refused += 1
        return JSONResponse({"error": error, "error_description": "no"}, status)
