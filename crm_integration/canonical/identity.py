"""Identity: the keys by which a store's account or guest is found, and the lock around them.

Prevents two runs from making two customers of one person: whoever resolves identities or writes
canonical rows of a tenant holds its lock. Which identities are one customer is decided in
`identity_resolution.py`, from the keys that `identity_keys.py` makes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from uuid import UUID

from sqlalchemy import BigInteger, bindparam, func, select

from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class IdentityKey:
    """A store customer (`registered`, the account's id), a guest (`guest`, the order's id) or a
    lead (`lead`, a cart's or form's id)."""

    connection_id: str
    kind: str
    source_id: str


@lru_cache(maxsize=8_192)
def normal_email(email: str) -> str | None:
    """Lower-cased, with an ASCII domain; None for text that is no deliverable address.

    The local part is folded too: RFC 5321 allows case to matter there, no large provider lets it.
    """
    from email_validator import EmailNotValidError, validate_email

    try:
        checked = validate_email(
            email.strip(), check_deliverability=False, test_environment=True, strict=False
        )
    except EmailNotValidError:
        return None
    return f"{checked.local_part}@{checked.ascii_domain}".lower()


def email_key(scope: TenantScope, email: str | None) -> bytes | None:
    """The keyed match key of an address; None where there is none to match by."""
    normal = normal_email(email) if email else None
    return None if normal is None else scope.keys.digest("email", normal.encode())


def lock_identities(scope: TenantScope) -> None:
    """One transaction at a time resolves a tenant's identities and writes its canonical rows."""
    number = int.from_bytes(scope.keys.digest("lock", b"identity")[:8], "big", signed=True)
    if number not in scope.locks:
        scope.connection.execute(_LOCK, {"number": number})
        scope.locks.add(number)


_LOCK = select(func.pg_advisory_xact_lock(bindparam("number", type_=BigInteger)))


def object_id(scope: TenantScope, entity: str, connection_id: str, source_id: str) -> UUID:
    """The canonical id of a store object: the same one whenever it is derived again."""
    named = "\x1f".join((entity, connection_id, source_id)).encode()
    return UUID(bytes=scope.keys.digest("id", named)[:16], version=4)


def own_id(scope: TenantScope, key: IdentityKey) -> UUID:
    """The id of an identity, and of the customer that it founds when nobody joins it."""
    return object_id(scope, f"customer.{key.kind}", key.connection_id, key.source_id)
