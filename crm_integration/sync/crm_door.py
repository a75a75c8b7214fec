"""The way into one CRM account: its login, renewed where it runs out, and proof that it is the one.

Prevents the call to another merchant's CRM: whenever a token is new, at the start or in mid-batch,
the account is asked for its own id before anything is read or written with it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from crm_integration.credentials import standing, vault
from crm_integration.credentials.logins import ACCESS
from crm_integration.credentials.renewal import Login
from crm_integration.credentials.standing import OTHER_ACCOUNT
from crm_integration.credentials.vault import Credential
from crm_integration.crms._contract import Adapter, CrmAccess
from crm_integration.crms._registry import CrmConnector, crm_connector
from crm_integration.errors import NeedsReconnect, RemoteError
from crm_integration.sync.engines import Engines
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.scope import TenantScope
from crm_integration.transport.budget import BudgetGate, agreed_budgets
from crm_integration.transport.quota import Purpose


@dataclass(frozen=True)
class CrmAccount:
    """A CRM account that has shown to be the right one, and the gate of its calls."""

    adapter: Adapter
    gate: BudgetGate

    def close(self) -> None:
        """Give the client back."""
        self.adapter.close()


@dataclass
class CrmDoor:
    """Of one tenant's CRM connection."""

    engines: Engines
    tenant: str
    connection: StoredConnection
    purpose: Purpose
    gate: BudgetGate | None = field(default=None, repr=False)
    """Counts also the calls of an account that turned out to be another one."""

    def credential(self, scope: TenantScope) -> Credential:
        """The login as it is kept."""
        return vault.open_credential(scope, self.connection.connection_id)

    def usable(self, known: Credential) -> Credential:
        """The login, renewed where it runs out. Raises NeedsReconnect, without a call, for one
        that rests, and as `Login.renewed`."""
        known.refuse_resting(self.tenant, self.connection.connection_id)
        return self._login.fresh(known)

    def open(self, known: Credential) -> CrmAccount:
        """The account. Raises NeedsReconnect where another one answers, and what it answers."""
        adapter = self._proven(known, renewable=True)
        if known.state in standing.RESTING:
            with self.engines.tenancy.scope(self.tenant) as scope:
                standing.works(scope, self.connection.connection_id)
        return CrmAccount(adapter, self._gate)

    def learn(self, scope: TenantScope, refusal: RemoteError | None) -> None:
        """Keep what the account said of our login; None: it took all that was asked of it."""
        if refusal is None:
            standing.works(scope, self.connection.connection_id)
        else:
            standing.refused(scope, self.connection.connection_id, refusal)

    @property
    def _platform(self) -> CrmConnector:
        return crm_connector(self.connection.platform)

    @property
    def _login(self) -> Login:
        one = self.connection
        way = self._platform.manifest.logins.get(one.login)
        return Login(self.engines.tenancy, self.tenant, one.connection_id, one.base_url, way)

    @property
    def _gate(self) -> BudgetGate:
        if self.gate is None:
            account = f"{self.connection.platform}/{self.connection.account_id}".encode()
            self.gate = BudgetGate(
                self.engines.ops,
                self.connection.platform,
                self.engines.tenancy.master.digest("budget", account),
                {**self._platform.manifest.budgets, **agreed_budgets(self.connection.settings)},
                purpose=self.purpose,
                tenant=self.tenant,
            )
        return self.gate

    def _proven(self, known: Credential, *, renewable: bool) -> Adapter:
        """A client whose account has shown to be the one the connection was made for."""
        one = self.connection
        renew = self._renewed if renewable and self._login.way is not None else None
        access = CrmAccess(one.base_url, known.secrets, one.settings, renew)
        adapter = self._platform.open(access, self._gate)
        try:
            self._refuse_another(adapter)
        except RemoteError:
            adapter.close()
            raise
        return adapter

    def _renewed(self, refused: str) -> str:
        """A token in place of one that ran out under way; it has to open the same account."""
        found = self._login.renewed(refused)
        self._proven(found, renewable=False).close()
        # Renewing took a while, and the gate was asked before it: what is sent again is a call too.
        self._gate.refuse_late()
        return found.secrets[ACCESS]

    def _refuse_another(self, adapter: Adapter) -> None:
        if adapter.account_id() != self.connection.account_id:
            raise NeedsReconnect(
                f"the CRM of {self.tenant} answers as another account than the one it was "
                "connected to: nothing was written; reconnect it",
                code=OTHER_ACCOUNT,
            )
