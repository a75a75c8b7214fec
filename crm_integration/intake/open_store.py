"""Opening a store: its login, renewed where it runs out, and proof that it is the right account.

Prevents the call to another merchant's shop: whenever a token is new the account is asked for its
own id, before anything is read with it. And the shop that took our access back from being asked by
every run: what was refused rests (`credentials/standing.py`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlalchemy import Engine

from crm_integration.credentials import standing, vault
from crm_integration.credentials.logins import ACCESS
from crm_integration.credentials.renewal import Login
from crm_integration.credentials.standing import OTHER_ACCOUNT, LoginState
from crm_integration.errors import NeedsReconnect, RemoteError
from crm_integration.stores._contract import Client, Gate, StoreAccess, unmetered
from crm_integration.stores._registry import StoreConnector, StoreManifest, connector
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.transport.budget import BudgetGate, agreed_budgets
from crm_integration.transport.quota import Purpose


@dataclass(frozen=True)
class OpenStore:
    """A store connection with a client that has shown to be the right account."""

    tenant: str
    connection: StoredConnection
    connector: StoreConnector
    client: Client
    secrets: Mapping[str, str] = field(default_factory=dict[str, str], repr=False)
    """Those that it was opened with."""

    def close(self) -> None:
        """Give the client back."""
        self.client.close()


def open_store(
    tenancy: Tenancy,
    ops: Engine,
    tenant: str,
    connection: StoredConnection,
    purpose: Purpose = "reconcile",
) -> OpenStore:
    """Open a client and compare the account's own id before the first call that matters.

    `purpose` says how much of the account's budget its calls may use.
    Raises NeedsReconnect when another account answers or the login rests, and what the client's
    check raises.
    """
    with tenancy.scope(tenant) as scope:
        known = vault.open_credential(scope, connection.connection_id)
    known.refuse_resting(tenant, connection.connection_id)
    door = _Door(tenancy, ops, tenant, connection, purpose)
    known = door.login.fresh(known)
    try:
        store = door.opened(known.secrets)
    except RemoteError as error:
        with tenancy.scope(tenant) as scope:
            standing.refused(scope, connection.connection_id, error)
        raise
    if known.state is not LoginState.active:
        with tenancy.scope(tenant) as scope:
            standing.works(scope, connection.connection_id)
    return store


@dataclass(frozen=True)
class _Door:
    """The way into one store."""

    tenancy: Tenancy
    ops: Engine
    tenant: str
    connection: StoredConnection
    purpose: Purpose

    @property
    def _platform(self) -> StoreConnector:
        return connector(self.connection.platform)

    @property
    def login(self) -> Login:
        """How its tokens are renewed."""
        way = self._platform.manifest.logins.get(self.connection.login)
        one = self.connection
        return Login(self.tenancy, self.tenant, one.connection_id, one.base_url, way)

    def opened(self, secrets: Mapping[str, str], *, renewable: bool = True) -> OpenStore:
        """With a client that has shown to be the right account."""
        one, platform = self.connection, self._platform
        gate = _gate(self.tenancy, self.ops, platform.manifest, one, secrets)
        if isinstance(gate, BudgetGate):
            gate.tenant, gate.purpose = self.tenant, self.purpose
        renew = self._renewed if renewable and self.login.way is not None else None
        client = platform.open(StoreAccess(one.base_url, secrets, one.known(), gate, renew))
        store = OpenStore(self.tenant, one, platform, client, secrets)
        try:
            refuse_another(store)
        except RemoteError:
            client.close()
            raise
        return store

    def _renewed(self, refused: str) -> str:
        """A token in place of one that ran out under way; it has to open the same account."""
        found = self.login.renewed(refused)
        self.opened(found.secrets, renewable=False).close()
        return found.secrets[ACCESS]


def refuse_another(store: OpenStore) -> None:
    """Raises NeedsReconnect where another account answers, and what the client's check raises."""
    account = store.connector.extract.check(store.client)
    if account.account_id != store.connection.account_id:
        raise NeedsReconnect(
            f"connection {store.connection.connection_id} of {store.tenant} answers as another "
            "account than the one it was made for: no call was made; reconnect it",
            code=OTHER_ACCOUNT,
        )


def _gate(
    tenancy: Tenancy,
    ops: Engine,
    manifest: StoreManifest,
    connection: StoredConnection,
    secrets: Mapping[str, str],
) -> Gate:
    """The budget of whoever the vendor meters: this connection, or all who share one key."""
    budgets = {**manifest.budgets, **agreed_budgets(connection.settings)}
    if not budgets:
        return unmetered
    holder = connection.account_id
    if manifest.metered_secret is not None:
        holder = secrets[manifest.metered_secret]
    account = tenancy.master.digest("budget", f"{manifest.platform}/{holder}".encode())
    return BudgetGate(ops, manifest.platform, account, budgets, "store")
