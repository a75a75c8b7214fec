"""A customer's row, computed from what its identities said and from nothing else.

Prevents the customer that keeps the name of somebody who left: after a merge or a split the row
is computed afresh. Field by field the first who said anything wins: an account before a guest
before a lead, then the merchant's order of stores, then the newest.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import FromClause, Row, Select, Subquery, and_, bindparam, func, select

from crm_integration.canonical.identity_resolution import RANK, SHARED_MAILBOX
from crm_integration.canonical.sourced import content_digest, open_fields
from crm_integration.storage.bulk import hand
from crm_integration.storage.tables.canonical import customer_identities, customers
from crm_integration.tenancy.scope import TenantScope

NEWEST = 5
"""Identities of one kind and store that a customer's row is computed from, the newest of them: a
guest of three thousand checkouts is not unsealed three thousand times."""

_FIELDS = ("first_name", "last_name", "company", "phone")
_READ = (
    *("customer_id", "identity_id", "connection_id", "kind", "source_id", "registered_at"),
    *("email_is_key", "rule", "sealed", "source_time", "observation", "raw_id", "rules_version"),
    *("flags", "deleted_at"),
)


@dataclass(frozen=True)
class Content:
    """What a customer's row says; `leader` is the identity that says most, `digest` covers all
    that a CRM could be told."""

    leader: Row[Any]
    email: str | None
    email_is_key: bool
    fields: Mapping[str, str]
    registered_at: Any
    addresses: tuple[dict[str, Any], ...]
    rules_version: str
    digest: bytes

    @property
    def store_customer_id(self) -> str | None:
        """The leader's account id; None for who only ever was a guest."""
        return self.leader.source_id if self.leader.kind == "registered" else None


Words = dict[str, Any]
"""What one identity said, as it is sealed in its row."""


def contents(
    scope: TenantScope,
    customer_ids: Collection[UUID],
    stores: Sequence[str],
    just_said: Mapping[UUID, Words],
) -> dict[UUID, Content]:
    """The content of each of these customers that has an identity with words of its own.

    What its store deleted is a source no more, while anybody else says something; the last one's
    words stand, for the person did not end with the account.

    `just_said` are the words of identities by their ids that need not be unsealed.
    """
    said: dict[UUID, list[Row[Any]]] = defaultdict(list)
    order = {name: number for number, name in enumerate(stores)}
    for row in _leading(scope, customer_ids):
        said[row.customer_id].append(row)
    for customer_id, rows in said.items():
        said[customer_id] = [row for row in rows if row.deleted_at is None] or rows
    return {
        customer_id: _merged(scope, sorted(rows, key=lambda row: _standing(row, order)), just_said)
        for customer_id, rows in said.items()
    }


def _leading(scope: TenantScope, customer_ids: Collection[UUID]) -> Sequence[Row[Any]]:
    """The newest identities of each kind and store of these customers."""
    ids = [(one,) for one in customer_ids]
    asked = hand(scope.connection, "asked", customers, ("customer_id",), ids)
    said = {"tenant": scope.tenant, **asked.values}
    return scope.connection.execute(_leaders(asked.source), said).all()


@lru_cache(maxsize=16)
def _leaders(asked: FromClause) -> Select[Any]:
    table, ranked = customer_identities, _ranked(asked)
    return (
        select(*(table.c[name] for name in _READ))
        .join_from(
            ranked,
            table,
            and_(
                table.c.tenant_id == bindparam("tenant"),
                *(
                    table.c[name] == ranked.c[name]
                    for name in ("connection_id", "kind", "source_id")
                ),
            ),
        )
        .where(ranked.c.number <= NEWEST)
    )


def _ranked(asked: FromClause) -> Subquery:
    """Keys of the identities with words, numbered from the newest of each kind and store."""
    table = customer_identities
    number = func.row_number().over(
        partition_by=(table.c.customer_id, table.c.kind, table.c.connection_id),
        order_by=(
            table.c.deleted_at.is_not(None),
            table.c.source_time.desc(),
            table.c.observation.desc(),
            table.c.raw_id.desc(),
            table.c.source_id,
        ),
    )
    return (
        select(table.c.connection_id, table.c.kind, table.c.source_id, number.label("number"))
        .join_from(asked, table, table.c.customer_id == asked.c.customer_id)
        .where(table.c.tenant_id == bindparam("tenant"), table.c.known)
        .subquery()
    )


def _standing(row: Row[Any], order: Mapping[str, int]) -> tuple[Any, ...]:
    """Whose word counts first: smallest first."""
    return (
        -RANK[row.kind],
        order.get(row.connection_id, len(order)),
        row.connection_id,
        -row.source_time.timestamp(),
        -row.observation,
        -row.raw_id,
    )


def _merged(
    scope: TenantScope, rows: Sequence[Row[Any]], just_said: Mapping[UUID, Words]
) -> Content:
    """Field by field the first that says something; address blocks as a whole."""
    said = [just_said.get(row.identity_id) or _opened(scope, row) for row in rows]
    gave = {0}
    fields = {name: _first(said, name, gave) or "" for name in _FIELDS}
    email = _first(said, "email", gave)
    mailbox = next((row for row, one in zip(rows, said, strict=True) if one["email"]), rows[0])
    registered = next((n for n, row in enumerate(rows) if row.registered_at is not None), 0)
    blocks = [_block(said, kind, gave) for kind in ("billing", "shipping")]
    leader = rows[0]
    versions = [rows[number].rules_version for number in sorted(gave | {registered})]
    content = Content(
        leader=leader,
        email=email,
        email_is_key=mailbox.email_is_key and mailbox.rule != SHARED_MAILBOX,
        fields=fields,
        registered_at=rows[registered].registered_at,
        addresses=tuple(block for block in blocks if block is not None),
        # One that was not judged anew holds the whole row back.
        rules_version=next((one for one in versions if one != versions[0]), versions[0]),
        digest=b"",
    )
    return replace(content, digest=_digest(scope, content))


def _opened(scope: TenantScope, row: Row[Any]) -> Words:
    return open_fields(scope, "customer_identities", str(row.identity_id), row.sealed)


def _first(said: Sequence[Words], name: str, gave: set[int]) -> Any:
    for number, one in enumerate(said):
        if one[name]:
            gave.add(number)
            return one[name]
    return None


def _block(said: Sequence[Words], kind: str, gave: set[int]) -> dict[str, Any] | None:
    for number, one in enumerate(said):
        for address in one["addresses"]:
            if address["kind"] == kind:
                gave.add(number)
                return address
    return None


def _digest(scope: TenantScope, content: Content) -> bytes:
    leader = content.leader
    parts = [
        leader.kind,
        leader.connection_id,
        content.store_customer_id,
        content.registered_at,
        content.email,
        content.email_is_key,
        list(content.fields.values()),
        content.addresses,
        leader.flags,
    ]
    return content_digest(scope, "customer", parts)
