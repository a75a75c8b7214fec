"""What a connection logs in with: sealed at rest, opened only inside the tenant's scope.

Prevents a secret from lying open in a table or travelling in a repr.
"""

from __future__ import annotations

from collections.abc import Mapping

import orjson
from sqlalchemy import bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.errors import NotFound
from crm_integration.storage.tables.tenancy import credentials
from crm_integration.tenancy.scope import TenantScope

_TABLE = "credentials"


def store_secrets(scope: TenantScope, connection_id: str, secrets: Mapping[str, str]) -> None:
    """Seal and keep the secrets of a connection, replacing what was there."""
    sealed = scope.keys.seal(_TABLE, connection_id, orjson.dumps(dict(secrets)))
    statement = insert(credentials).values(
        tenant_id=scope.tenant, connection_id=connection_id, sealed=sealed
    )
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=[credentials.c.tenant_id, credentials.c.connection_id],
            set_={"sealed": sealed, "updated_at": func.now()},
        )
    )


_SEALED = select(credentials.c.sealed).where(
    credentials.c.connection_id == bindparam("connection")
)


def open_secrets(scope: TenantScope, connection_id: str) -> dict[str, str]:
    """The secrets of a connection. Raises NotFound, SealBroken."""
    sealed = scope.connection.scalar(_SEALED, {"connection": connection_id})
    if sealed is None:
        raise NotFound(f"connection {connection_id!r} has no credentials: connect it again")
    return orjson.loads(scope.keys.open(_TABLE, connection_id, sealed))
