"""How a connection's login stands, and what support tells the merchant.

Prevents the login that dies in silence: each change of state is kept, with its reason, in the
transaction that changes it, and in the audit trail; and the one that is tried for ever: what was
refused rests, for longer each time, and is tried again by itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from sqlalchemy import bindparam, func, insert, select, text, update

from crm_integration.audit import trail
from crm_integration.errors import MissingScope, NeedsReconnect, RemoteError
from crm_integration.storage.tables.tenancy import credential_changes, credentials
from crm_integration.tenancy.scope import TenantScope

ACTOR = "engine"
"""Who is named in the audit trail where no person did it."""

OTHER_ACCOUNT = "other_account"
"""Reason and error code: the login opens an account that the connection was not made for."""

FIRST_REST, LONGEST_REST = 5.0, 3600.0
"""Seconds that a refused login rests: none after the first refusal, which may be a hiccup, then so
many, doubled each time, up to an hour."""


class LoginState(StrEnum):
    """`refreshing` is never stored: it is the row that somebody has locked."""

    active = "active"
    refreshing = "refreshing"
    expiring = "expiring"
    needs_reconnect = "needs_reconnect"
    revoked = "revoked"
    missing_scope = "missing_scope"


RESTING = frozenset({LoginState.needs_reconnect, LoginState.revoked})
"""In these no call is made before `next_try_at`."""

TO_TELL: Mapping[LoginState, str] = {
    LoginState.active: "The login works; there is nothing to do.",
    LoginState.refreshing: "The login is being renewed this moment; there is nothing to do.",
    LoginState.expiring: "Renewing the login fails for now; we keep trying. If this lasts longer "
    "than an hour, ask the platform's status page before the merchant.",
    LoginState.needs_reconnect: "The account refuses our login. The merchant connects it once more "
    "with a valid key; what waits is then written by itself.",
    LoginState.revoked: "The merchant, or somebody with rights in the account, took our access "
    "back. Connect the account again; what waits is then written by itself.",
    LoginState.missing_scope: "The login works but lacks a permission. The merchant grants it and "
    "connects again; what needs no such permission goes on meanwhile.",
}
"""What support says; the README's words for each state."""


def change(
    scope: TenantScope, connection_id: str, state: LoginState, reason: str | None = None
) -> bool:
    """Bring the login into a state; whether it was in another one, or for another reason."""
    before = scope.connection.execute(_HELD, {"connection": connection_id}).one_or_none()
    if before is None or (before.state, before.reason) == (state.value, reason):
        return False
    new = {"state": state.value, "reason": reason}
    scope.connection.execute(_CHANGE, {"connection": connection_id, **new})
    told = {"connection_id": connection_id, "before": before.state, **new}
    scope.connection.execute(insert(credential_changes).values(tenant_id=scope.tenant, **told))
    trail.record(
        scope, actor=ACTOR, action="credentials.state", subject=connection_id,
        before=before.state, state=state.value, reason=reason,
    )  # fmt: skip
    return True


def refused(scope: TenantScope, connection_id: str, error: RemoteError) -> None:
    """The account refused us, or lacks a permission; other errors are not the login's."""
    if isinstance(error, MissingScope):
        change(scope, connection_id, LoginState.missing_scope, error.scope)
        return
    if not isinstance(error, NeedsReconnect):
        return
    taken_back = error.code == LoginState.revoked
    state = LoginState.revoked if taken_back else LoginState.needs_reconnect
    change(scope, connection_id, state, error.code or None)
    certain = taken_back or error.code == OTHER_ACCOUNT
    rest(scope, connection_id, LONGEST_REST if certain else None)


def rest(scope: TenantScope, connection_id: str, seconds: float | None = None) -> None:
    """Leave the login alone: for so many seconds, or for longer with each failure in a row."""
    scope.connection.execute(
        _REST,
        {
            "connection": connection_id,
            "seconds": seconds,
            "first": FIRST_REST,
            "longest": LONGEST_REST,
        },
    )


def works(scope: TenantScope, connection_id: str) -> None:
    """The account answered as the right one."""
    change(scope, connection_id, LoginState.active)
    scope.connection.execute(_WORKS, {"connection": connection_id})


_THIS = credentials.c.connection_id == bindparam("connection")
_HELD = select(credentials.c.state, credentials.c.reason).where(_THIS).with_for_update()
_CHANGE = (
    update(credentials)
    .where(_THIS)
    .values(
        state=bindparam("state"), reason=bindparam("reason"), state_since=func.clock_timestamp()
    )
)
# Twice as long each time; from a certain power on a number is too large to be doubled.
_REST = text(
    "update credentials set failures = failures + 1, next_try_at = clock_timestamp() +"
    " make_interval(secs => coalesce(cast(:seconds as double precision), case failures"
    " when 0 then 0 else least(:longest, :first * power(2, least(failures - 1, 30))) end))"
    " where connection_id = :connection"
)
_WORKS = (
    update(credentials)
    .where(_THIS, credentials.c.failures > 0)
    .values(failures=0, next_try_at=None)
)
