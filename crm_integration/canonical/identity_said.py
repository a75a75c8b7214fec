"""One identity's row: what a store object said about a person, with its match keys.

Prevents a join that cannot be taken back: every identity keeps its own words, so that who is one
customer, and what that customer looks like, can be computed anew without a raw record.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import FromClause, Row, Select, bindparam, case, func, select
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.canonical.customers import CUSTOMER_SCHEMA, Customer, CustomerKind
from crm_integration.canonical.identity import IdentityKey, own_id
from crm_integration.canonical.identity_keys import Keys, keys_of
from crm_integration.canonical.not_keys import NotKeys
from crm_integration.canonical.sourced import Sourced, Stamp, content_digest, seal_fields
from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.canonical import customer_identities
from crm_integration.tenancy.scope import TenantScope

_KEY = ("connection_id", "kind", "source_id")
_STORED = (
    *("customer_id", "persona_key", "email_key", "place_key", "holder_key", "email_is_key", "rule"),
    *("known", "source_time", "observation", "raw_id", "content_digest", "rules_version"),
    "schema_version",
)
_SPOKEN = (
    *("identity_id", "customer_id", "persona_key", "email_key", "place_key", "holder_key"),
    *("email_is_key", "rule", "known", "trusted", "registered_at", "email_verified", "sealed"),
    *("source_time", "observation", "raw_id", "content_digest", "schema_version"),
    *("rules_version", "flags", "run_id"),
)


@dataclass(frozen=True)
class Said:
    """What one identity says: `personal` is what is sealed, `content` the digest of all."""

    key: IdentityKey
    identity_id: UUID
    sourced: Sourced[Customer]
    personal: dict[str, Any]
    content: bytes

    def version(self) -> tuple[Any, ...]:
        """Its place in the order of versions."""
        one = self.sourced
        return one.item.source_time, one.observation, one.raw_id


@dataclass(frozen=True)
class Spoken(Said):
    """What one identity says, with its match keys."""

    keys: Keys


def said(scope: TenantScope, sourced: Sourced[Customer], no: NotKeys) -> Said:
    """What a store object says; its keys are made only where it says something new."""
    item = sourced.item
    key = IdentityKey(sourced.connection_id, item.kind.value, item.source_id)
    personal = _personal(item)
    parts = [no.version, item.kind.value, list(personal.values()), item.email_verified,
             item.registered_at, item.flags]  # fmt: skip
    content = content_digest(scope, "identity", parts)
    return Said(key, own_id(scope, key), sourced, personal, content)


def spoken(scope: TenantScope, one: Said, row: Row[Any] | None, no: NotKeys) -> Spoken:
    """With the keys that its words give; the same words give the same keys."""
    if (
        row is not None
        and row.content_digest == one.content
        and row.schema_version == CUSTOMER_SCHEMA
    ):
        keys = Keys(row.persona_key, row.email_key, row.place_key, row.holder_key, row.email_is_key)
    else:
        keys = keys_of(scope, one.key, one.sourced.item, no)
    return Spoken(one.key, one.identity_id, one.sourced, one.personal, one.content, keys)


def stored_identities(
    scope: TenantScope, keys: Iterable[IdentityKey]
) -> dict[IdentityKey, Row[Any]]:
    """Rows with the columns `_STORED`, for those identities that are known."""
    named = [(key.connection_id, key.kind, key.source_id) for key in keys]
    asked = hand(scope.connection, "asked", customer_identities, _KEY, named)
    rows = scope.connection.execute(
        _as_stored(asked.source), {"tenant": scope.tenant, **asked.values}
    )
    return {IdentityKey(row.connection_id, row.kind, row.source_id): row for row in rows}


@lru_cache(maxsize=16)
def _as_stored(asked: FromClause) -> Select[Any]:
    table = customer_identities
    return select(*(table.c[name] for name in (*_KEY, *_STORED))).join_from(
        asked,
        table,
        (table.c.tenant_id == bindparam("tenant"))
        & (table.c.connection_id == asked.c.connection_id)
        & (table.c.kind == asked.c.kind)
        & (table.c.source_id == asked.c.source_id),
    )


def is_older(one: Said, row: Row[Any] | None) -> bool:
    if row is None or not row.known:
        return False
    return one.version() < (row.source_time, row.observation, row.raw_id)


def is_rekeyed(one: Spoken, row: Row[Any] | None) -> bool:
    """Only what has other keys than before can belong elsewhere than before."""
    if row is None or not row.known:
        return True
    keys = one.keys
    said = (keys.persona, keys.email, keys.place, keys.holder)
    return said != (row.persona_key, row.email_key, row.place_key, row.holder_key)


def differs(one: Spoken, row: Row[Any], home: UUID, rule: str, stamp: Stamp) -> bool:
    """True when the row would not be the same again."""
    sourced, keys = one.sourced, one.keys
    now = (home, rule, one.content, sourced.raw_id, sourced.item.source_time, sourced.observation)
    judged = (keys.persona, keys.email_is_key, stamp.rules_version, CUSTOMER_SCHEMA)
    return (*now, *judged) != (
        row.customer_id, row.rule, row.content_digest, row.raw_id, row.source_time,
        row.observation, row.persona_key, row.email_is_key, row.rules_version, row.schema_version,
    )  # fmt: skip


def row_of(scope: TenantScope, one: Spoken, home: UUID, rule: str, stamp: Stamp) -> tuple[Any, ...]:
    """Values of tenant, key and `_SPOKEN`."""
    item, keys = one.sourced.item, one.keys
    trusted = item.kind is CustomerKind.registered and item.email_verified is not False
    return (
        scope.tenant, one.key.connection_id, one.key.kind, one.key.source_id,
        one.identity_id, home, keys.persona, keys.email, keys.place, keys.holder,
        keys.email_is_key, rule, True, trusted, item.registered_at, item.email_verified,
        seal_fields(scope, "customer_identities", str(one.identity_id), one.personal),
        item.source_time, one.sourced.observation, one.sourced.raw_id, one.content, CUSTOMER_SCHEMA,
        stamp.rules_version, list(item.flags), stamp.run_id,
    )  # fmt: skip


def _personal(item: Customer) -> dict[str, Any]:
    """What `customer_content.py` reads again."""
    return {
        "email": item.email,
        "first_name": item.first_name,
        "last_name": item.last_name,
        "company": item.company,
        "phone": item.phone,
        "addresses": [address.model_dump() for address in item.addresses],
    }


def write_identities(scope: TenantScope, rows: Sequence[tuple[Any, ...]]) -> None:
    table = customer_identities
    names = ("tenant_id", *_KEY, *_SPOKEN)
    spoken = hand(scope.connection, "spoken", table, names, rows)
    scope.connection.execute(_write(spoken.source), spoken.values)


@lru_cache(maxsize=16)
def _write(spoken: FromClause) -> Insert:
    table, names = customer_identities, ("tenant_id", *_KEY, *_SPOKEN)
    statement = insert(table).from_select(names, select(*(spoken.c[name] for name in names)))
    new = statement.excluded
    updates: dict[str, Any] = {name: new[name] for name in _SPOKEN}
    # Consent moves with the identity, so when it came to its customer is kept exactly.
    stays = table.c.customer_id == new.customer_id
    updates["linked_at"] = case((stays, table.c.linked_at), else_=func.now())
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=updates)
