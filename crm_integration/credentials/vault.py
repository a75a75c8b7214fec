"""What a connection logs in with: sealed at rest, opened only inside the tenant's scope.

Prevents a secret from lying open in a table or travelling in a repr.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from random import uniform
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Select, bindparam, func, literal, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.credentials.standing import RESTING, LoginState
from crm_integration.errors import NeedsReconnect, NotFound
from crm_integration.storage.tables.tenancy import credentials
from crm_integration.tenancy.scope import TenantScope

EARLY, EARLIEST = (0.15, 0.25), 600.0
"""A token is renewed when between these shares of its life are left (each at another moment, so
that a thousand tenants connected in one hour do not ask in one second), at most so many seconds
early."""

_TABLE = "credentials"
_Stands = Select[Any, Any, Any, bool, bool, Any]


@dataclass(frozen=True)
class Credential:
    """A connection's login as it stands; times were compared by the database's clock."""

    secrets: Mapping[str, str] = field(repr=False)
    state: LoginState = LoginState.active
    reason: str | None = None
    due: bool = False
    """The access token is to be renewed."""
    over: bool = False
    """It has run out."""
    rests: float = 0.0
    """Seconds until it is to be tried again."""

    @property
    def is_resting(self) -> bool:
        """Whether no call may be made for now."""
        return self.state in RESTING and self.rests > 0

    def refuse_resting(self, tenant: str, connection_id: str) -> None:
        """Raises NeedsReconnect where no call may be made for now."""
        if self.is_resting:
            raise NeedsReconnect(
                f"{connection_id} of {tenant} was refused ({self.reason or self.state.value}): no "
                f"call is made for {self.rests:.0f} s; connect the account again",
                code=self.reason or self.state.value,
            )


def store_secrets(
    scope: TenantScope,
    connection_id: str,
    secrets: Mapping[str, str],
    *,
    lives: float | None = None,
) -> None:
    """Seal and keep the secrets of a connection, replacing what was there.

    `lives`: seconds until the access token among them runs out, None for never. How the login
    stands is `standing.works`' to say; what rested may be tried at once.
    """
    sealed = scope.keys.seal(_TABLE, connection_id, orjson.dumps(dict(secrets)))
    early = None if lives is None else min(EARLIEST, lives * uniform(*EARLY))  # noqa: S311
    new = {
        "sealed": sealed,
        "updated_at": func.now(),
        "expires_at": _in(lives),
        "renew_at": _in(None if lives is None or early is None else lives - early),
        "next_try_at": None,
        "failures": 0,
    }
    statement = insert(credentials).values(
        tenant_id=scope.tenant, connection_id=connection_id, **new
    )
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[credentials.c.tenant_id, credentials.c.connection_id], set_=new
        )
    )


def open_credential(scope: TenantScope, connection_id: str) -> Credential:
    """The login of a connection. Raises NotFound, SealBroken."""
    return _opened(scope, connection_id, _STANDS)


def locked_credential(scope: TenantScope, connection_id: str, *, wait: bool) -> Credential | None:
    """The same, locked for this transaction; None where somebody else has it and we do not `wait`.

    Raises as `open_credential`.
    """
    try:
        return _opened(scope, connection_id, _LOCKED if wait else _LOCKED_IF_FREE)
    except NotFound:
        if wait:
            raise
        return None


def open_secrets(scope: TenantScope, connection_id: str) -> Mapping[str, str]:
    """The secrets alone. Raises NotFound, SealBroken."""
    return open_credential(scope, connection_id).secrets


def _opened(scope: TenantScope, connection_id: str, statement: _Stands) -> Credential:
    row = scope.connection.execute(statement, {"connection": connection_id}).one_or_none()
    if row is None:
        raise NotFound(f"connection {connection_id!r} has no credentials: connect it again")
    secrets = orjson.loads(scope.keys.open(_TABLE, connection_id, row.sealed))
    return Credential(
        secrets, LoginState(row.state), row.reason, row.due, row.over, float(row.rests)
    )


def _in(seconds: float | None) -> ColumnElement[datetime] | None:
    """A moment by the database's clock."""
    if seconds is None:
        return None
    return func.clock_timestamp() + func.make_interval(0, 0, 0, 0, 0, 0, literal(seconds))


def _passed(column: Column[datetime]) -> ColumnElement[bool]:
    return func.coalesce(column <= func.clock_timestamp(), literal(False))


_STANDS: _Stands = select(
    credentials.c.sealed,
    credentials.c.state,
    credentials.c.reason,
    _passed(credentials.c.renew_at).label("due"),
    _passed(credentials.c.expires_at).label("over"),
    func.coalesce(
        func.greatest(
            0, func.extract("epoch", credentials.c.next_try_at - func.clock_timestamp())
        ),
        0,
    ).label("rests"),
).where(credentials.c.connection_id == bindparam("connection"))
_LOCKED = _STANDS.with_for_update()
_LOCKED_IF_FREE = _STANDS.with_for_update(skip_locked=True)
