"""How all logins of a tenant stand.

Prevents the second place that puts states into words: command line, checks and alerts say the same.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import select

from crm_integration.credentials.standing import TO_TELL, LoginState
from crm_integration.storage.tables.tenancy import connections, credentials
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class LoginStands:
    """One connection's login."""

    connection_id: str
    platform: str
    state: LoginState
    reason: str | None
    since: datetime

    @property
    def tell(self) -> str:
        """What support tells the merchant."""
        return TO_TELL[self.state]


def logins_of(scope: TenantScope) -> tuple[LoginStands, ...]:
    """All of them, by connection id; one that is being renewed this moment is `refreshing`."""
    free = set(scope.connection.scalars(_FREE))
    rows = scope.connection.execute(_ALL)
    return tuple(
        LoginStands(
            row.connection_id,
            row.platform,
            LoginState(row.state) if row.connection_id in free else LoginState.refreshing,
            row.reason,
            row.state_since,
        )
        for row in rows
    )


# The weakest lock there is: only a row that somebody renews is passed over.
_FREE = select(credentials.c.connection_id).with_for_update(
    read=True, key_share=True, skip_locked=True
)
_ALL = (
    select(
        credentials.c.connection_id,
        connections.c.platform,
        credentials.c.state,
        credentials.c.reason,
        credentials.c.state_since,
    )
    .join_from(
        credentials,
        connections,
        credentials.c.connection_id == connections.c.connection_id,
    )
    .order_by(credentials.c.connection_id)
)
