"""How one logs in to a platform by OAuth 2, as its manifest declares it.

Prevents the vendor's token endpoint from being written into code: where tokens are asked for, by
which grant and for how long they live is data of the connector, and the address belongs to the
vendor or to the connection's own host, never to whatever an answer names.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from pydantic import BaseModel, ConfigDict

ACCESS, REFRESH = "access_token", "refresh_token"
"""Names of the two tokens among a connection's secrets."""

Grant = Literal["refresh_token", "client_credentials"]


class OAuthLogin(BaseModel):
    """One way to log in, from a connector's manifest."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    token: str
    """Where tokens are asked for; `{base_url}` stands for the connection's own address."""
    authorize: str | None = None
    """Where a person allows it; None where nobody is asked (client credentials)."""
    grant: Grant = "refresh_token"
    """How a new access token is asked for."""
    scopes: tuple[str, ...] = ()
    """Permissions that are asked for, as the vendor names them."""
    optional_scopes: tuple[str, ...] = ()
    """Those that an account may lack without the whole authorization being refused."""
    scopes_between: str = " "
    """What stands between them in the address that a person opens (RFC 6749: a space)."""
    secrets: tuple[str, ...] = ("client_id", "client_secret")
    """What a person gives; the tokens come from the vendor."""
    asked_with: Mapping[str, str] = {}
    """What else each token request holds."""
    lifetime_seconds: float | None = None
    """How long an access token lives where answers do not say."""

    def token_address(self, base_url: str) -> str:
        """The token endpoint of one connection."""
        return self.token.replace("{base_url}", base_url.rstrip("/"))

    def authorize_address(self, base_url: str) -> str | None:
        """Where a person allows it, for one connection."""
        if self.authorize is None:
            return None
        return self.authorize.replace("{base_url}", base_url.rstrip("/"))
