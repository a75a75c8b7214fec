"""Finds customers who may be one person, and keeps them for somebody to decide.

Prevents duplicates that no key joins from staying unseen, at a cost that does not grow with the
square of the customers: only who changed is compared, and only with whom they share a block.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from sqlalchemy import Row, delete, func, select, true, update
from sqlalchemy.dialects.postgresql import insert

from crm_integration.canonical.identity import lock_identities
from crm_integration.canonical.identity_keys import e164
from crm_integration.canonical.likeness import (
    MAX_BLOCK,
    THRESHOLD,
    Likeness,
    Person,
    blocks,
    person,
    score,
)
from crm_integration.canonical.sourced import open_fields
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import (
    addresses,
    customers,
    identity_blocks,
    identity_suggestions,
)
from crm_integration.tenancy.scope import Tenancy, TenantScope

CHUNK = 500
LIKENESS = "likeness"


@dataclass
class Suggested:
    """What a run came to: customers looked at, pairs compared, suggestions that are new."""

    customers: int = 0
    pairs: int = 0
    suggestions: int = 0


def suggest(
    tenancy: Tenancy, tenant: str, *, on_chunk: Callable[[int], None] | None = None
) -> Suggested:
    """Compare the customers that changed since the last time; a chunk is a transaction."""
    done = Suggested()
    while True:
        with tenancy.scope(tenant) as scope:
            lock_identities(scope)
            changed = _changed(scope)
            _compare(scope, changed, done)
        done.customers += len(changed)
        if on_chunk is not None:
            on_chunk(done.customers)
        if len(changed) < CHUNK:
            return done


def _changed(scope: TenantScope) -> list[UUID]:
    rows = scope.connection.execute(
        select(customers.c.customer_id)
        .where(customers.c.tenant_id == scope.tenant, customers.c.needs_likeness)
        .limit(CHUNK)
    )
    return [row.customer_id for row in rows]


def _compare(scope: TenantScope, changed: Sequence[UUID], done: Suggested) -> None:
    if not changed:
        return
    people = _people(scope, changed)
    _write_blocks(scope, changed, people)
    pairs = _sharing(scope, people)
    others = {one for pair in pairs for one in pair} - people.keys()
    everyone = {**people, **_people(scope, sorted(others))}
    found: dict[tuple[UUID, UUID], Likeness] = {}
    for one, other in pairs:
        if one in everyone and other in everyone:
            likeness = score(everyone[one], everyone[other])
            if likeness.score >= THRESHOLD:
                found[min(one, other), max(one, other)] = likeness
    done.pairs += len(pairs)
    done.suggestions += _keep(scope, found)
    scope.connection.execute(
        update(customers)
        .where(customers.c.tenant_id == scope.tenant, customers.c.customer_id.in_(changed))
        .values(needs_likeness=False)
    )


def _people(scope: TenantScope, ids: Collection[UUID]) -> dict[UUID, Person]:
    """Living customers as comparable people."""
    if not ids:
        return {}
    asked = stage(scope.connection, customers, ("customer_id",), [(one,) for one in ids])
    rows = scope.connection.execute(
        select(customers.c.customer_id, customers.c.sealed)
        .join_from(asked, customers, customers.c.customer_id == asked.c.customer_id)
        .where(
            customers.c.tenant_id == scope.tenant,
            customers.c.known,
            customers.c.merged_into.is_(None),
        )
    ).all()
    places = _places(scope, asked)
    return {row.customer_id: _person(scope, row, places.get(row.customer_id, {})) for row in rows}


def _places(scope: TenantScope, asked: Any) -> dict[UUID, dict[str, Any]]:
    """Each customer's billing address, else the shipping one."""
    rows = scope.connection.execute(
        select(addresses)
        .join_from(asked, addresses, addresses.c.customer_id == asked.c.customer_id)
        .where(addresses.c.tenant_id == scope.tenant)
        .order_by(addresses.c.kind.desc())
    )
    return {
        row.customer_id: open_fields(
            scope, "addresses", f"{row.customer_id}/{row.kind}", row.sealed
        )
        for row in rows
    }


def _person(scope: TenantScope, row: Row[Any, Any], place: Mapping[str, Any]) -> Person:
    said = open_fields(scope, "customers", str(row.customer_id), row.sealed)
    country = place.get("country")
    return person(
        given=said["first_name"],
        surname=said["last_name"],
        line1=place.get("line1", ""),
        line2=place.get("line2", ""),
        city=place.get("city", ""),
        postcode=place.get("postcode", ""),
        region=place.get("region", ""),
        country=country or "",
        phone=e164(said["phone"] or place.get("phone", ""), country) or "",
        email=said["email"] or "",
    )


def _write_blocks(
    scope: TenantScope, changed: Sequence[UUID], people: Mapping[UUID, Person]
) -> None:
    table = identity_blocks
    scope.connection.execute(
        delete(table).where(table.c.tenant_id == scope.tenant, table.c.customer_id.in_(changed))
    )
    names = ("tenant_id", "block", "customer_id")
    rows = {
        (scope.tenant, scope.keys.digest("block", "\x1f".join(block).encode()), customer_id)
        for customer_id, one in people.items()
        for block in blocks(one)
    }
    staged = stage(scope.connection, table, names, sorted(rows))
    scope.connection.execute(insert(table).from_select(names, select(*staged.c)))


def _sharing(scope: TenantScope, people: Mapping[UUID, Person]) -> list[tuple[UUID, UUID]]:
    """Pairs of a changed customer and another one in a block that is not too large."""
    asked = stage(scope.connection, customers, ("customer_id",), [(one,) for one in people])
    mine, theirs = identity_blocks.alias(), identity_blocks.alias()
    few = (
        select(theirs.c.customer_id)
        .where(theirs.c.tenant_id == scope.tenant, theirs.c.block == mine.c.block)
        .limit(MAX_BLOCK + 1)
        .lateral()
    )
    together = (
        select(
            mine.c.customer_id.label("one"),
            few.c.customer_id.label("other"),
            func.count().over(partition_by=(mine.c.block, mine.c.customer_id)).label("size"),
        )
        .join_from(asked, mine, mine.c.customer_id == asked.c.customer_id)
        .join(few, true())
        .where(mine.c.tenant_id == scope.tenant)
        .subquery()
    )
    rows = scope.connection.execute(
        select(together.c.one, together.c.other)
        .distinct()
        .where(together.c.size <= MAX_BLOCK, together.c.one != together.c.other)
    )
    return sorted({(min(row.one, row.other), max(row.one, row.other)) for row in rows})


def _keep(scope: TenantScope, found: Mapping[tuple[UUID, UUID], Likeness]) -> int:
    """New pairs are open; known ones keep what was decided, and get their score of today."""
    table = identity_suggestions
    names = ("tenant_id", "left_customer", "right_customer", "rule", "score", "reasons", "evidence")
    rows = [
        (scope.tenant, left, right, LIKENESS, one.score, list(one.reasons), b"")
        for (left, right), one in found.items()
    ]
    if not rows:
        return 0
    staged = stage(scope.connection, table, names, rows)
    statement = insert(table).from_select(names, select(*(staged.c[name] for name in names)))
    before = scope.connection.scalar(_count(scope)) or 0
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=["tenant_id", "left_customer", "right_customer"],
            set_={"score": statement.excluded.score, "reasons": statement.excluded.reasons},
            where=(table.c.state == "open") & (table.c.rule == LIKENESS),
        )
    )
    return (scope.connection.scalar(_count(scope)) or 0) - before


def _count(scope: TenantScope) -> Any:
    table = identity_suggestions
    return select(func.count()).select_from(table).where(table.c.tenant_id == scope.tenant)
