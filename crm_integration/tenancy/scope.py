"""TenantScope: the only way to tenant data.

Prevents the query that forgets its tenant: a scope is one transaction of role `crm_app` with
`app.tenant_id` set for this transaction only (a session-level SET leaks through a pool), and
row level security hides everything else. There is no global tenant.
"""

from __future__ import annotations

import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlalchemy import Connection, Engine, select, text

from crm_integration.errors import NotFound
from crm_integration.storage.sealing import MasterKey, TenantKeys
from crm_integration.storage.tables.tenancy import tenants
from crm_integration.tenancy.joint import Joint
from crm_integration.transport.slots import before_waiting, let_others


@dataclass(frozen=True)
class TenantScope:
    """One tenant, one transaction, that tenant's keys. First parameter of all that touches data."""

    tenant: str
    connection: Connection = field(repr=False)
    keys: TenantKeys = field(repr=False)
    locks: set[int] = field(default_factory=set[int], repr=False)
    """Advisory locks that this transaction holds."""


@dataclass(frozen=True)
class Tenancy:
    """Opens scopes. One per process; keys are unwrapped once and kept in memory."""

    engine: Engine = field(repr=False)
    master: MasterKey = field(repr=False)
    _keys: dict[str, TenantKeys] = field(
        default_factory=lambda: dict[str, TenantKeys](), repr=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)
    connection: Connection | None = field(default=None, repr=False)
    """The one connection of `on_one_connection`."""
    joint: Joint | None = field(default=None, repr=False)
    """The transaction that scopes of `on_one_connection` may share."""

    @contextmanager
    def scope(self, tenant: str, *, durable: bool = True) -> Generator[TenantScope]:
        """A transaction inside the tenant's walls; commits at the end, rolls back on an error.

        One that is not `durable` does not wait for the disk: if the database's machine dies within
        the second it may be gone, with everything that came after it and never without. That is
        enough wherever nobody outside is told on the strength of it: what is made of raw records
        is made again, and the next durable commit, anybody's, makes it durable as well. On a
        joined connection it is committed with what comes next.

        Raises NotFound for a tenant that does not exist.
        """
        if self.joint is not None and not self.joint.inside:
            with self.joint.part(durable=durable) as begun:
                connection, locks = self.joint.connection, self.joint.locks
                if begun:
                    enter_walls(connection, tenant, durable=durable)
                yield TenantScope(tenant, connection, self._keys_of(connection, tenant), locks)
            return
        with self._transaction() as connection:
            enter_walls(connection, tenant, durable=durable)
            yield TenantScope(tenant, connection, self._keys_of(connection, tenant))

    def apart(self) -> Tenancy:
        """The same walls over connections of their own, whatever `on_one_connection` shares."""
        return replace(self, connection=None, joint=None)

    @contextmanager
    def on_one_connection(self, *, joined: bool = False) -> Generator[Tenancy]:
        """The same scopes, one after another on one connection: for many short transactions.

        Taking a connection from the pool costs as much as a small statement. For one thread.
        `joined`, for one tenant: scopes that are not durable share a transaction (`joint.py`).
        """
        with self.engine.connect() as connection:
            if not joined:
                yield replace(self, connection=connection)
                return
            joint = Joint(connection)
            with before_waiting(joint.commit):
                yield replace(self, connection=connection, joint=joint)
                joint.commit()

    def commit(self) -> None:
        """Commit now what joined scopes have done; elsewhere each has committed already."""
        if self.joint is not None:
            self.joint.commit()

    @contextmanager
    def _transaction(self) -> Generator[Connection]:
        """A transaction; of its own where the one connection has one already."""
        if self.connection is None or self.connection.in_transaction():
            with self.engine.begin() as connection:
                yield connection
        else:
            let_others()  # nothing of ours is locked now
            with self.connection.begin():
                yield self.connection

    def _keys_of(self, connection: Connection, tenant: str) -> TenantKeys:
        with self._lock:
            if tenant not in self._keys:
                self._keys[tenant] = self._unwrap(connection, tenant)
            return self._keys[tenant]

    def _unwrap(self, connection: Connection, tenant: str) -> TenantKeys:
        row = connection.execute(
            select(tenants.c.key_version, tenants.c.wrapped_keys).where(
                tenants.c.tenant_id == tenant
            )
        ).one_or_none()
        if row is None:
            raise NotFound(f"there is no tenant {tenant!r}; see: crm-integration tenant list")
        return self.master.unwrap(tenant, row.key_version, row.wrapped_keys)


_ENTER = text("select set_config('app.tenant_id', :tenant, true)")
_ENTER_LIGHTLY = text(
    "select set_config('app.tenant_id', :tenant, true),"
    " set_config('synchronous_commit', 'off', true)"
)


def enter_walls(connection: Connection, tenant: str, *, durable: bool = True) -> None:
    """Set the tenant for this transaction only; the policies compare every row with it."""
    connection.execute(_ENTER if durable else _ENTER_LIGHTLY, {"tenant": tenant})
