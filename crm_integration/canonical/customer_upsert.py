"""Writes the rows of customers whose content differs, with their addresses and companies.

Prevents a merge from looking like news: what a CRM could be told is compared by its digest, and
where it is equal only the trace to the raw record is renewed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import FromClause, Row, Select, bindparam, case, delete, func, or_, select
from sqlalchemy.dialects.postgresql import Insert, insert

from crm_integration.canonical.company_rows import CompanySaid, found_companies
from crm_integration.canonical.customer_content import Content
from crm_integration.canonical.customer_merge import look_at_carts_again
from crm_integration.canonical.customers import CUSTOMER_SCHEMA
from crm_integration.canonical.identity_resolution import RANK
from crm_integration.canonical.sourced import Stamp, seal_fields
from crm_integration.canonical.upsert import Upserted
from crm_integration.storage.bulk import Handed, hand
from crm_integration.storage.tables.canonical import addresses, customers
from crm_integration.tenancy.scope import TenantScope

_TRACE = ("rank", "source_time", "observation", "raw_id", "rules_version", "schema_version")
_STATED = (
    *("connection_id", "kind", "store_customer_id", "registered_at", "known", "email_is_key"),
    *("sealed", "content_digest", "flags"),
)
_NAMES = ("tenant_id", "customer_id", *_STATED, *_TRACE, "run_id")


def write_contents(scope: TenantScope, found: Mapping[UUID, Content], stamp: Stamp) -> Upserted:
    """Upsert the rows of these customers; `same` are those of a newer version of equal content."""
    outcome = Upserted()
    stored = _stored(scope, found)
    look_at_carts_again(scope, [key for key, row in stored.items() if not row.known])
    writes: dict[UUID, Content] = {}
    for customer_id, content in found.items():
        row = stored.get(customer_id)
        if row is None or row.merged_into is not None:
            outcome.new.add(customer_id)
            outcome.changed.add(customer_id)
        elif row.content_digest != content.digest:
            outcome.changed.add(customer_id)
        elif tuple(getattr(row, name) for name in _TRACE) != _trace(content):
            outcome.same.add(customer_id)
        else:
            continue
        writes[customer_id] = content
    if writes:
        _upsert(scope, writes, stamp)
    if outcome.changed:
        changed = {key: found[key] for key in outcome.changed}
        _write_addresses(scope, changed)
        had = {key for key, row in stored.items() if row.company_id is not None}
        _find_companies(scope, changed, had, stamp)
    return outcome


def _stored(scope: TenantScope, found: Mapping[UUID, Content]) -> dict[UUID, Row[Any]]:
    asked = _asked(scope, found)
    said = {"tenant": scope.tenant, **asked.values}
    rows = scope.connection.execute(_as_stored(asked.source), said)
    return {row.customer_id: row for row in rows}


def _asked(scope: TenantScope, ids: Iterable[UUID]) -> Handed:
    return hand(scope.connection, "asked", customers, ("customer_id",), [(one,) for one in ids])


@lru_cache(maxsize=16)
def _as_stored(asked: FromClause) -> Select[Any]:
    names = ("customer_id", "content_digest", "merged_into", "known", "company_id", *_TRACE)
    return (
        select(*(customers.c[name] for name in names))
        .join_from(asked, customers, customers.c.customer_id == asked.c.customer_id)
        .where(customers.c.tenant_id == bindparam("tenant"))
    )


def _trace(content: Content) -> tuple[Any, ...]:
    """Values of `_TRACE`: those of the identity that leads."""
    leader = content.leader
    return (RANK[leader.kind], leader.source_time, leader.observation, leader.raw_id,
            content.rules_version, CUSTOMER_SCHEMA)  # fmt: skip


def _row(scope: TenantScope, customer_id: UUID, content: Content, stamp: Stamp) -> tuple[Any, ...]:
    leader = content.leader
    personal = {"email": content.email, **content.fields}
    return (
        scope.tenant, customer_id, leader.connection_id, leader.kind, content.store_customer_id,
        content.registered_at, True, content.email_is_key,
        seal_fields(scope, "customers", str(customer_id), personal),
        content.digest, list(leader.flags), *_trace(content), stamp.run_id,
    )  # fmt: skip


def _upsert(scope: TenantScope, writes: Mapping[UUID, Content], stamp: Stamp) -> None:
    rows = [_row(scope, key, content, stamp) for key, content in writes.items()]
    computed = hand(scope.connection, "computed", customers, _NAMES, rows)
    scope.connection.execute(_write(computed.source), computed.values)


@lru_cache(maxsize=16)
def _write(computed: FromClause) -> Insert:
    table = customers
    statement = insert(table).from_select(_NAMES, select(*(computed.c[name] for name in _NAMES)))
    new = statement.excluded
    differs = or_(table.c.content_digest != new.content_digest, table.c.merged_into.is_not(None))
    judged_anew = table.c.rules_version != new.rules_version
    updates: dict[str, Any] = {name: new[name] for name in _NAMES[2:]}
    # Somebody is at this customer, so it lives, also if it had been merged away before.
    updates["merged_into"] = None
    updates["needs_projection"] = or_(table.c.needs_projection, differs, judged_anew)
    updates["needs_likeness"] = or_(table.c.needs_likeness, differs)
    updates["changed_at"] = case((differs, func.now()), else_=table.c.changed_at)
    return statement.on_conflict_do_update(index_elements=list(table.primary_key), set_=updates)


_ADDRESS = ("tenant_id", "customer_id", "kind", "country", "sealed")


def _write_addresses(scope: TenantScope, changed: Mapping[UUID, Content]) -> None:
    asked = _asked(scope, changed)
    rows = [
        (scope.tenant, key, block["kind"], block["country"], _sealed_block(scope, key, block))
        for key, content in changed.items()
        for block in content.addresses
    ]
    fresh = hand(scope.connection, "fresh", addresses, _ADDRESS, rows)
    said = {"tenant": scope.tenant, **asked.values, **fresh.values}
    scope.connection.execute(_replace(asked.source, fresh.source), said)


@lru_cache(maxsize=16)
def _replace(asked: FromClause, fresh: FromClause) -> Insert:
    """Addresses of the asked customers are the fresh ones, and no others, in one statement."""
    stays = select(fresh.c.kind).where(
        fresh.c.customer_id == addresses.c.customer_id, fresh.c.kind == addresses.c.kind
    )
    gone = delete(addresses).where(
        addresses.c.tenant_id == bindparam("tenant"),
        addresses.c.customer_id.in_(select(asked.c.customer_id)),
        ~stays.exists(),
    )
    statement = insert(addresses).from_select(_ADDRESS, select(*fresh.c))
    new = {name: statement.excluded[name] for name in ("country", "sealed")}
    return statement.on_conflict_do_update(
        index_elements=list(addresses.primary_key), set_=new
    ).add_cte(gone.cte("gone"))


def _sealed_block(scope: TenantScope, customer_id: UUID, block: Mapping[str, Any]) -> bytes:
    personal = {name: value for name, value in block.items() if name != "kind"}
    return seal_fields(scope, "addresses", f"{customer_id}/{block['kind']}", personal)


def _find_companies(
    scope: TenantScope, changed: Mapping[UUID, Content], had: Set[UUID], stamp: Stamp
) -> None:
    """Tie the customers to the firms they name; who `had` one and names none is untied."""
    said = {
        key: _company_said(content)
        for key, content in changed.items()
        if content.fields["company"] or key in had
    }
    if said:
        found_companies(scope, said, stamp)


def _company_said(content: Content) -> CompanySaid:
    block: Mapping[str, Any] = content.addresses[0] if content.addresses else {}
    leader = content.leader
    return CompanySaid(
        content.fields["company"],
        block.get("city", ""),
        block.get("country"),
        leader.connection_id,
        leader.raw_id,
        leader.source_time,
        leader.observation,
    )
