"""A person's consent: the address they open, and what comes back of it.

Prevents the login that somebody else slips in: what comes back must carry the state that was given
(RFC 6749, 10.12), and a code is worth nothing without the verifier that never left this process
(PKCE, RFC 7636). The answer is awaited on loopback, or pasted where the person sits elsewhere.
"""

from __future__ import annotations

import hmac
import secrets
import time
from base64 import urlsafe_b64encode
from dataclasses import dataclass, field
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, HTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

from crm_integration.credentials import token_requests
from crm_integration.credentials.logins import OAuthLogin
from crm_integration.credentials.token_requests import Tokens
from crm_integration.errors import BadInput, Transient

PATH = "/callback"
WITHIN = 600.0
"""Seconds a person has."""

_DONE = b"<!doctype html><title>crm_integration</title><p>Done. You can close this window.</p>"


@dataclass(frozen=True)
class Consent:
    """One consent that was asked for and not yet given."""

    login: OAuthLogin
    base_url: str
    client_id: str
    redirect: str
    """Where the vendor sends the person back to; registered with the app."""
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24), repr=False)
    verifier: str = field(default_factory=lambda: secrets.token_urlsafe(48), repr=False)

    @property
    def address(self) -> str:
        """What the person opens. Raises BadInput where nobody is to be asked."""
        start = self.login.authorize_address(self.base_url)
        if start is None:
            raise BadInput("this way to log in asks nobody: give client id and secret alone")
        digest = sha256(self.verifier.encode()).digest()
        between = self.login.scopes_between
        asked = {
            "response_type": "code",
            "client_id": self.client_id,
            "redirect_uri": self.redirect,
            "scope": between.join(self.login.scopes),
            "optional_scope": between.join(self.login.optional_scopes),
            "state": self.state,
            "code_challenge": urlsafe_b64encode(digest).rstrip(b"=").decode(),
            "code_challenge_method": "S256",
        }
        return f"{start}?{urlencode({name: one for name, one in asked.items() if one})}"

    def code(self, returned: str) -> str:
        """The code in the address that the person was sent back to.

        Raises BadInput for another consent's answer, a refusal, and what holds no code.
        """
        said = {name: one[0] for name, one in parse_qs(urlsplit(returned).query).items()}
        if not hmac.compare_digest(said.get("state", ""), self.state):
            raise BadInput("this answer belongs to another consent: start again from the address")
        if "error" in said:
            raise BadInput("the account's owner did not allow it: ask them, then start again")
        if not said.get("code"):
            raise BadInput("the address holds no code: paste all of it, from https:// to the end")
        return said["code"]

    def tokens(self, returned: str, given: dict[str, str]) -> Tokens:
        """The first tokens. `given`: client id and secret. Raises as `code` and `exchange`."""
        return token_requests.exchange(
            self.login, self.base_url, given,
            code=self.code(returned), verifier=self.verifier, redirect=self.redirect,
        )  # fmt: skip


class Callback:
    """Waits on loopback for one person to be sent back; usable as a context manager."""

    def __init__(self, port: int = 0) -> None:
        self._server = HTTPServer(("127.0.0.1", port), _Answer)
        self._server.timeout = 1.0

    @property
    def address(self) -> str:
        """To be registered with the app as its redirect address."""
        return f"http://127.0.0.1:{self._server.server_port}{PATH}"

    def returned(self, within: float = WITHIN) -> str:
        """The path and query that the person came with. Raises Transient when nobody comes."""
        until = time.monotonic() + within
        while time.monotonic() < until:
            self._server.handle_request()
            came: str | None = getattr(self._server, "came", None)
            if came is not None:
                return came
        raise Transient("nobody gave consent in time: start again", code="timeout")

    def __enter__(self) -> Callback:
        return self

    def __exit__(self, *_: object) -> None:
        self._server.server_close()


class _Answer(BaseHTTPRequestHandler):
    timeout = 5.0

    def do_GET(self) -> None:
        """A browser asks for icons as well: only the callback counts."""
        found = urlsplit(self.path).path == PATH
        if found:
            self.server.came = self.path  # type: ignore[attr-defined]
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.send_header("Content-Length", str(len(_DONE) if found else 0))
        self.end_headers()
        if found:
            self.wfile.write(_DONE)

    def log_message(self, format: str, *args: object) -> None:
        """Says nothing: the address holds the code."""
