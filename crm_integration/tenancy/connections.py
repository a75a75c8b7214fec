"""Connections: one configured store or CRM account of a tenant.

Prevents the wrong account from being written to: the account's own id is stored when the
connection is made, belongs to one tenant only, and is compared before the first call of a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from sqlalchemy import Text, and_, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY, insert
from sqlalchemy.exc import IntegrityError

from crm_integration.audit import trail
from crm_integration.credentials import standing, vault
from crm_integration.errors import BadInput, NotFound
from crm_integration.storage.tables.tenancy import connections
from crm_integration.tenancy.scope import TenantScope

Side = Literal["store", "crm"]


@dataclass(frozen=True)
class StoredConnection:
    """A connection as kept; secrets are asked for when a client is opened."""

    connection_id: str
    side: Side
    platform: str
    base_url: str
    account_id: str
    currency: str | None = None
    timezone: str | None = None
    settings: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())

    @property
    def login(self) -> str:
        """Which of the manifest's `logins` it was connected by; empty for keys that run not out."""
        return str(self.settings.get("login", ""))

    def known(self) -> dict[str, Any]:
        """The settings, and the zone that the account stated when it was connected: some stores
        write times without one, and a replay must read them as the first look did."""
        zone = {"timezone": self.timezone} if self.timezone else {}
        return {**zone, **self.settings}


def save_connection(
    scope: TenantScope,
    connection: StoredConnection,
    secrets: Mapping[str, str],
    *,
    actor: str,
    lives: float | None = None,
) -> None:
    """Keep a connection and its secrets, replacing an earlier state of the same connection: a
    login that was refused works again. `lives`: seconds until its access token runs out.

    Raises BadInput when the account belongs to another tenant or another connection, and when
    this connection was made for another account: all that is bound under it is that one's.
    """
    values = {name: getattr(connection, name) for name in _COLUMNS}
    statement = insert(connections).values(tenant_id=scope.tenant, **values)
    try:
        saved = scope.connection.scalar(
            statement.on_conflict_do_update(
                index_elements=[connections.c.tenant_id, connections.c.connection_id],
                set_={name: statement.excluded[name] for name in _COLUMNS[1:]},
                where=and_(
                    *(connections.c[name] == statement.excluded[name] for name in _IDENTITY)
                ),
            ).returning(connections.c.connection_id)
        )
    except IntegrityError as error:
        raise BadInput(
            f"this {connection.platform} account is connected already: one account belongs to "
            "one tenant; disconnect it there first"
        ) from error
    if saved is None:
        raise BadInput(
            f"connection {connection.connection_id} was made for another account: make a new "
            "connection for this one"
        )
    vault.store_secrets(scope, connection.connection_id, secrets, lives=lives)
    standing.works(scope, connection.connection_id)
    trail.record(
        scope,
        actor=actor,
        action="connection.save",
        subject=connection.connection_id,
        platform=connection.platform,
    )


def connections_of(scope: TenantScope, *sides: Side) -> tuple[StoredConnection, ...]:
    """All connections of these sides, by id."""
    rows = scope.connection.execute(_CONNECTIONS, {"sides": list(sides)})
    return tuple(StoredConnection(**row) for row in rows.mappings())


def crm_connection(scope: TenantScope) -> StoredConnection:
    """The tenant's CRM account. Raises NotFound when none is connected."""
    return the_crm(scope.tenant, connections_of(scope, "crm"))


def the_crm(tenant: str, found: Sequence[StoredConnection]) -> StoredConnection:
    """The CRM account among a tenant's connections. Raises NotFound when there is none."""
    for one in found:
        if one.side == "crm":
            return one
    raise NotFound(f"tenant {tenant} has no CRM: connect one first")


_IDENTITY = ("side", "platform", "account_id")
_COLUMNS = (
    "connection_id",
    "side",
    "platform",
    "base_url",
    "account_id",
    "currency",
    "timezone",
    "settings",
)
_CONNECTIONS = (
    select(*(connections.c[name] for name in _COLUMNS))
    .where(connections.c.side == any_(bindparam("sides", type_=ARRAY(Text))))
    .order_by(connections.c.connection_id)
)
