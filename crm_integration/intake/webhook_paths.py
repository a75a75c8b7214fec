"""Where a store sends its deliveries, and what it signs them with: made, rotated, told about.

Prevents an address that is guessed, read from a backup, or lost in a rotation: a path is 160
random bits of which only a keyed hash is kept, and an old path or secret stays valid for a while
beside the new one, so that no delivery on its way is refused.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import uuid4

from sqlalchemy import ColumnElement, Table, func, insert, or_, select, update

from crm_integration.audit import trail
from crm_integration.errors import BadInput, NotFound
from crm_integration.intake.signatures import is_usable
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.tables.intake import webhook_paths, webhook_secrets
from crm_integration.storage.tables.tenancy import connections
from crm_integration.stores._registry import connector
from crm_integration.stores._signing import WebhookSigning
from crm_integration.tenancy.scope import TenantScope

PREFIX = "/webhooks/"
OVERLAP = timedelta(hours=24)
"""How long an old path or secret stays valid: what a store sends again it sends within hours."""

SECRETS_TABLE = "webhook_secrets"
SHORTEST_SECRET = 16
_RANDOM_BYTES, _CHECK_BYTES = 20, 8


@dataclass(frozen=True)
class Validity:
    """One path or secret; `valid_until` is None for the one in use."""

    made_at: datetime
    valid_until: datetime | None


@dataclass(frozen=True)
class WebhookState:
    """What is valid now, newest first."""

    platform: str
    signing: WebhookSigning
    paths: tuple[Validity, ...]
    secrets: tuple[Validity, ...]


def new_token(master: MasterKey) -> str:
    """The secret part of a path: random bytes, and a check by which a guess is told at once."""
    chosen = secrets.token_bytes(_RANDOM_BYTES)
    return base64.urlsafe_b64encode(chosen + _check(master, chosen)).decode().rstrip("=")


def path_digest(master: MasterKey, token: str) -> bytes | None:
    """The keyed hash under which a path is kept; None for a token that we never made."""
    try:
        found = base64.b64decode(f"{token}{'=' * (-len(token) % 4)}", b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    chosen, check = found[:_RANDOM_BYTES], found[_RANDOM_BYTES:]
    for one in master.each():
        if hmac.compare_digest(check, _check(one, chosen)):
            return one.digest("webhook path", chosen)
    return None


def _check(master: MasterKey, chosen: bytes) -> bytes:
    return master.digest("webhook path check", chosen)[:_CHECK_BYTES]


def make_path(
    scope: TenantScope,
    master: MasterKey,
    connection_id: str,
    *,
    actor: str,
    overlap: timedelta = OVERLAP,
) -> str:
    """A new path for this store connection; earlier ones end after `overlap`.

    It is told this once and never again. Raises NotFound, BadInput.
    """
    _signing_of(scope, connection_id)
    token = new_token(master)
    digest = path_digest(master, token)
    _end(scope, webhook_paths, connection_id, overlap)
    scope.connection.execute(
        insert(webhook_paths).values(
            tenant_id=scope.tenant, connection_id=connection_id, digest=digest
        )
    )
    _note(scope, "webhook.path", connection_id, overlap, actor)
    return f"{PREFIX}{token}"


def new_secret() -> str:
    """A secret that we choose, in the form of Standard Webhooks; any store takes it as text."""
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


def add_secret(
    scope: TenantScope,
    connection_id: str,
    secret: str,
    *,
    actor: str,
    overlap: timedelta = OVERLAP,
) -> None:
    """Take deliveries signed with this secret from now on; earlier ones end after `overlap`.

    Raises NotFound, and BadInput for a secret that cannot serve.
    """
    _, signing = _signing_of(scope, connection_id)
    if signing.chosen_by == "nobody":
        raise BadInput("this platform signs nothing: its path is the secret; make a new path")
    if len(secret) < SHORTEST_SECRET or not is_usable(signing, secret):
        raise BadInput(
            f"this is no webhook secret: it needs {SHORTEST_SECRET} characters or more"
            + (", in base64" if signing.key_form == "base64" else "")
        )
    secret_id = uuid4()
    _end(scope, webhook_secrets, connection_id, overlap)
    scope.connection.execute(
        insert(webhook_secrets).values(
            tenant_id=scope.tenant,
            connection_id=connection_id,
            secret_id=secret_id,
            sealed=scope.keys.seal(
                SECRETS_TABLE, str(secret_id), secret.encode("utf-8", "surrogatepass")
            ),
        )
    )
    _note(scope, "webhook.secret", connection_id, overlap, actor)


def newest_secret(scope: TenantScope, connection_id: str) -> str | None:
    """What a store is to sign with from now on; None where nothing is kept or the platform
    chooses by itself."""
    _, signing = _signing_of(scope, connection_id)
    row = scope.connection.execute(
        select(webhook_secrets.c.secret_id, webhook_secrets.c.sealed)
        .where(
            webhook_secrets.c.connection_id == connection_id,
            webhook_secrets.c.valid_until.is_(None),
        )
        .order_by(webhook_secrets.c.made_at.desc())
        .limit(1)
    ).one_or_none()
    if row is None or signing.chosen_by != "us":
        return None
    opened = scope.keys.open(SECRETS_TABLE, str(row.secret_id), row.sealed)
    return opened.decode("utf-8", "surrogatepass")


def webhook_state(scope: TenantScope, connection_id: str) -> WebhookState:
    """What is valid now. Raises NotFound, and BadInput for a platform without webhooks."""
    platform, signing = _signing_of(scope, connection_id)
    paths = _valid(scope, webhook_paths, connection_id)
    return WebhookState(platform, signing, paths, _valid(scope, webhook_secrets, connection_id))


def _signing_of(scope: TenantScope, connection_id: str) -> tuple[str, WebhookSigning]:
    """The row is locked: of two rotations at once the second ends what the first one made."""
    row = scope.connection.execute(
        select(connections.c.platform, connections.c.side)
        .where(connections.c.connection_id == connection_id)
        .with_for_update()
    ).one_or_none()
    if row is None or row.side != "store":
        raise NotFound(
            f"there is no store connection {connection_id!r}; see: crm-integration connection "
            f"list {scope.tenant}"
        )
    signing = connector(row.platform).manifest.webhooks
    if signing is None:
        raise BadInput(f"{row.platform} sends no webhooks that could be taken: its store is polled")
    return row.platform, signing


def _end(scope: TenantScope, table: Table, connection_id: str, overlap: timedelta) -> None:
    end = func.now() + overlap
    scope.connection.execute(
        update(table)
        .where(
            table.c.connection_id == connection_id,
            or_(table.c.valid_until.is_(None), table.c.valid_until > end),
        )
        .values(valid_until=end)
    )


def _valid(scope: TenantScope, table: Table, connection_id: str) -> tuple[Validity, ...]:
    in_time: ColumnElement[bool] = table.c.valid_until > func.clock_timestamp()
    rows = scope.connection.execute(
        select(table.c.made_at, table.c.valid_until)
        .where(table.c.connection_id == connection_id, or_(table.c.valid_until.is_(None), in_time))
        .order_by(table.c.made_at.desc())
    )
    return tuple(Validity(row.made_at, row.valid_until) for row in rows)


def _note(
    scope: TenantScope, action: str, connection_id: str, overlap: timedelta, actor: str
) -> None:
    trail.record(
        scope,
        actor=actor,
        action=action,
        subject=connection_id,
        overlap_seconds=int(overlap.total_seconds()),
    )
