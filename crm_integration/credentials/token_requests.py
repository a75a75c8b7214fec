"""Asking a vendor for tokens, and what its answers mean for whoever asked.

Prevents both mistakes with a refused refresh: to try for ever with a login that a person has taken
back, and to call a person because a server hiccuped. Sources of the words: RFC 6749 §5.2, and what
HubSpot, Zoho (200 with an error inside) and Salesforce say in its place.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast

import httpx

from crm_integration.credentials.logins import ACCESS, REFRESH, OAuthLogin
from crm_integration.credentials.standing import LoginState
from crm_integration.errors import NeedsReconnect, Permanent, Transient
from crm_integration.transport.http import http_client, retry_after, send

WITHIN = 15.0
"""Seconds a token request may take: others wait behind it."""

REVOKED = LoginState.revoked.value
"""Code of the NeedsReconnect that says the login itself was taken back."""

_TAKEN_BACK = frozenset({
    "invalid_grant",         # RFC 6749
    "bad_refresh_token",     # HubSpot
    "invalid_token",         # HubSpot, as subCategory
    "invalid_code",          # Zoho, with status 200
    "invalid_refresh_token",
})  # fmt: skip
_OUR_FAULT = frozenset({"invalid_client", "unauthorized_client", "invalid_client_secret"})


@dataclass(frozen=True)
class Tokens:
    """What a vendor gave: new tokens, and the seconds that the access token lives."""

    access: str = field(repr=False)
    refresh: str | None = field(default=None, repr=False)
    """A new one where the vendor rotates them; None: the old one stays good."""
    lives: float | None = None
    """Counted from before the request left, by our clock; None: for ever."""

    def into(self, secrets: Mapping[str, str]) -> dict[str, str]:
        """The connection's secrets with these tokens in place of the old ones."""
        kept = {**secrets, ACCESS: self.access}
        return {**kept, REFRESH: self.refresh} if self.refresh else kept


def renew(login: OAuthLogin, base_url: str, secrets: Mapping[str, str]) -> Tokens:
    """A new access token by the login's own grant.

    Raises NeedsReconnect (code `revoked`) when the login was taken back, Permanent for an app that
    the vendor does not know, Transient for all that may pass.
    """
    asked: dict[str, str] = {"grant_type": login.grant}
    if login.grant == "refresh_token":
        if not secrets.get(REFRESH):
            raise NeedsReconnect("there is no refresh token: connect the account again")
        asked[REFRESH] = secrets[REFRESH]
    return _asked(login, base_url, secrets, asked)


def exchange(
    login: OAuthLogin,
    base_url: str,
    secrets: Mapping[str, str],
    *,
    code: str,
    verifier: str,
    redirect: str,
) -> Tokens:
    """The first tokens for the code that a person's consent brought. Raises as `renew`."""
    asked = {"grant_type": "authorization_code", "code": code, "code_verifier": verifier}
    return _asked(login, base_url, secrets, {**asked, "redirect_uri": redirect})


def _asked(
    login: OAuthLogin, base_url: str, secrets: Mapping[str, str], asked: Mapping[str, str]
) -> Tokens:
    address = login.token_address(base_url)
    form = {name: secrets[name] for name in login.secrets if name in secrets}
    began = time.monotonic()
    with http_client(address) as client:
        # In the body: what stands in an address ends in somebody's log.
        request = client.build_request("POST", address, data={**form, **login.asked_with, **asked})
        answer = send(client, request, within=WITHIN)
    said = _object(answer)
    if not answer.is_success or "error" in said or not said.get(ACCESS):
        raise _refusal(answer, said)
    lives = said.get("expires_in", login.lifetime_seconds)
    passed = time.monotonic() - began
    return Tokens(
        str(said[ACCESS]),
        str(said[REFRESH]) if said.get(REFRESH) else None,
        None if lives is None else max(0.0, float(lives) - passed),
    )


def _object(answer: httpx.Response) -> Mapping[str, Any]:
    try:
        said: object = answer.json()
    except ValueError:
        return {}
    return cast(Mapping[str, Any], said) if isinstance(said, dict) else {}


def _refusal(answer: httpx.Response, said: Mapping[str, Any]) -> Exception:
    """What to do next; only the vendor's short words are looked at, and none is repeated."""
    host, status = answer.url.host, answer.status_code
    words = {str(said.get(one, "")).lower() for one in ("error", "status", "subCategory")}
    if words & _TAKEN_BACK:
        return NeedsReconnect(
            f"{host} no longer knows this login: the merchant removed the app or its access ended; "
            "connect the account again",
            status=status,
            code=REVOKED,
        )
    if words & _OUR_FAULT:
        return Permanent(
            f"{host} does not know our app: check its client id and secret, then connect again",
            status=status,
            code="unknown_app",
        )
    return Transient(
        f"{host} gave no token ({status})", retry_after=retry_after(answer), status=status
    )
