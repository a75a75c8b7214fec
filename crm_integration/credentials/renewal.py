"""Renewing a login that runs out: once, whoever asks, in whatever process.

Prevents the race that logs a merchant out: of two processes that refresh at once a vendor that
rotates its tokens honours one, and the other's answer ends both. Whoever renews has the row locked
until the new tokens are committed; who comes meanwhile uses the old token while it lasts, or waits
and finds the new one.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crm_integration.credentials import standing, token_requests, vault
from crm_integration.credentials.logins import ACCESS, OAuthLogin
from crm_integration.credentials.standing import LoginState
from crm_integration.credentials.vault import Credential
from crm_integration.errors import NeedsReconnect, RemoteError, Transient
from crm_integration.tenancy.scope import Tenancy, TenantScope

COOLS = "login_cools"
"""Code of the Transient that says renewing failed a moment ago."""


@dataclass(frozen=True)
class Login:
    """One connection's login: whose it is, and how its platform gives tokens."""

    tenancy: Tenancy = field(repr=False)
    tenant: str
    connection_id: str
    base_url: str
    way: OAuthLogin | None
    """None: nothing runs out here, and nothing is renewed."""

    def fresh(self, known: Credential) -> Credential:
        """This credential, or a renewed one where it runs out. Raises as `renewed`."""
        return self.renewed() if known.due and self.way is not None else known

    def renewed(self, refused: str | None = None) -> Credential:
        """The login with a token that works: renewed, unless somebody did it meanwhile.

        `refused` is the access token that the account did not take; without it the one that is
        about to run out is meant. The tokens are committed before anybody uses them.

        Raises NeedsReconnect where the login was taken back, Transient where the vendor gives no
        token for now and the old one is of no use, Permanent where it does not know our app.
        """
        if self.way is None:
            raise NeedsReconnect(
                f"{self.connection_id} of {self.tenant}: the account refuses our key; connect it "
                "again"
            )
        # A connection of its own: what is open elsewhere neither waits for a vendor nor is lost.
        with self.tenancy.apart().scope(self.tenant) as scope:
            found, failure = self._renewed(scope, self.way, refused)
        # What was learned is committed; only now is it raised.
        if failure is not None:
            raise failure
        return found

    def _renewed(
        self, scope: TenantScope, way: OAuthLogin, refused: str | None
    ) -> tuple[Credential, RemoteError | None]:
        place = (scope, self.connection_id)
        seen = vault.open_credential(*place)
        held = vault.locked_credential(*place, wait=seen.over or refused is not None)
        if held is None:
            return seen, None  # somebody is renewing it, and the old token lasts until then
        if not _wanted(held, refused):
            return held, None
        usable = refused is None and not held.over
        if held.rests > 0:
            return held, None if usable else _cooling(held)
        try:
            tokens = token_requests.renew(way, self.base_url, held.secrets)
        except NeedsReconnect as error:
            standing.refused(*place, error)
            return held, error
        except RemoteError as error:
            standing.change(*place, LoginState.expiring, error.code or type(error).__name__)
            standing.rest(*place)
            return held, None if usable else error
        vault.store_secrets(*place, tokens.into(held.secrets), lives=tokens.lives)
        standing.works(*place)
        return vault.open_credential(*place), None


def _wanted(held: Credential, refused: str | None) -> bool:
    """Whether it is still to be renewed, now that nobody else can."""
    return held.due if refused is None else held.secrets.get(ACCESS) == refused


def _cooling(held: Credential) -> RemoteError:
    if held.state in standing.RESTING:
        return NeedsReconnect(
            "this login was refused: connect the account again",
            code=held.reason or held.state.value,
        )
    return Transient(
        "renewing this login failed a moment ago", retry_after=held.rests, code=COOLS
    )
