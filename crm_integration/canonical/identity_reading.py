"""Reads the neighbourhood of identities: all personas that could be one customer with them.

Prevents two kinds of slowness: the query per record, and the mailbox of thousands that is read
again with every chunk. Personas come grouped by the database; a key is followed only while few
hold it, and those are counted first.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    and_,
    exists,
    func,
    or_,
    select,
    true,
    union,
    union_all,
)
from sqlalchemy.dialects.postgresql import aggregate_order_by

from crm_integration.canonical.identity_keys import nameless_holder
from crm_integration.canonical.identity_resolution import Decision, Persona
from crm_integration.canonical.names import PersonName, person_name
from crm_integration.canonical.sourced import open_fields
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customer_identities, identity_decisions
from crm_integration.tenancy.scope import TenantScope

MAX_HOLDERS = 5
"""A key that more people than this hold is a shared mailbox or a reception, not a person."""

_KEYS = ("email_key", "place_key")
_LEADS = ("persona_key", *_KEYS, "customer_id")
_PERSONA = ("persona_key", "kind", "customer_id", "email_key", "place_key", "holder_key")


@dataclass
class Neighbourhood:
    """Personas by key, and the keys among theirs that too many hold; `settled` are those of the
    personas that have rows beside the incoming ones."""

    personas: dict[bytes, Persona] = field(default_factory=lambda: dict[bytes, Persona]())
    no_keys: set[bytes] = field(default_factory=lambda: set[bytes]())
    settled: set[bytes] = field(default_factory=lambda: set[bytes]())


@dataclass
class _Frontier:
    """Keys and customers whose personas have not been read so far; each is a column's values."""

    persona_key: set[bytes] = field(default_factory=lambda: set[bytes]())
    email_key: set[bytes] = field(default_factory=lambda: set[bytes]())
    place_key: set[bytes] = field(default_factory=lambda: set[bytes]())
    customer_id: set[UUID] = field(default_factory=lambda: set[UUID]())

    def __bool__(self) -> bool:
        return any(getattr(self, name) for name in _LEADS)

    def of(self, persona: Persona) -> None:
        """Add whatever leads on from a persona."""
        if persona.email is not None:
            self.email_key.add(persona.email)
        self.place_key |= persona.places
        self.customer_id |= persona.homes.keys()

    def without(self, seen: _Frontier) -> _Frontier:
        return _Frontier(*(getattr(self, name) - getattr(seen, name) for name in _LEADS))

    def add(self, other: _Frontier) -> None:
        for name in _LEADS:
            getattr(self, name).update(getattr(other, name))

    def rows(self) -> Iterator[tuple[Any, ...]]:
        """One row for each lead, with its value in its own column."""
        for number, name in enumerate(_LEADS):
            for value in getattr(self, name):
                yield (*[None] * number, value, *[None] * (len(_LEADS) - number - 1))


def neighbourhood(
    scope: TenantScope,
    asked: FromClause,
    incoming: Iterable[Persona],
    *,
    former_emails: Collection[bytes] = (),
    former_places: Collection[bytes] = (),
    customers: Collection[UUID] = (),
) -> Neighbourhood:
    """All personas that keys or customers connect with `incoming`, those included.

    `asked` (a staged table with `identity_id`) holds the identities behind `incoming`: their rows
    are out of date. The `former_…` are what these rows said.
    """
    found = Neighbourhood()
    for persona in incoming:
        add(found.personas, persona)
    holders = _holders(found.personas.values(), nameless_holder(scope))
    former = set(former_emails), set(former_places), set(customers)
    ahead = _Frontier(set(found.personas), *former)
    for persona in found.personas.values():
        ahead.of(persona)
    seen = _Frontier()
    while ahead := ahead.without(seen):
        seen.add(ahead)
        staged = _without_crowded(scope, asked, ahead, holders, found.no_keys)
        ahead = _read(scope, asked, staged, found) if ahead else _Frontier()
    return found


def add(personas: dict[bytes, Persona], one: Persona) -> None:
    """Add a persona, or what is new of one that is known."""
    known = personas.setdefault(one.key, one)
    if known is one:
        return
    known.anchor = min(known.anchor, one.anchor)
    known.oldest = min(known.oldest, one.oldest)
    known.places |= one.places
    for home, oldest in one.homes.items():
        known.homes[home] = min(oldest, known.homes.get(home, oldest))


def names_of(scope: TenantScope, personas: Iterable[Persona]) -> dict[bytes, PersonName]:
    """The full names of these personas, as one identity of each says them."""
    keys = {persona.anchor: persona.key for persona in personas}
    if not keys:
        return {}
    table = customer_identities
    asked = stage(scope.connection, table, ("identity_id",), [(key,) for key in keys])
    rows = scope.connection.execute(
        select(table.c.identity_id, table.c.sealed)
        .join_from(asked, table, table.c.identity_id == asked.c.identity_id)
        .where(table.c.tenant_id == scope.tenant)
    )
    found: dict[bytes, PersonName] = {}
    for identity_id, sealed in rows:
        said = open_fields(scope, "customer_identities", str(identity_id), sealed)
        name = person_name(said.get("first_name", ""), said.get("last_name", ""))
        if name.is_full:
            found[keys[identity_id]] = name
    return found


def decisions_about(
    scope: TenantScope, personas: Collection[bytes], moved: Mapping[UUID, bytes]
) -> list[Decision]:
    """What persons decided about pairs of these personas.

    `moved` tells the persona of identities whose rows are out of date.
    """
    table = identity_decisions
    mine = table.c.tenant_id == scope.tenant
    if not scope.connection.scalar(select(exists().where(mine))):
        return []
    left, right = customer_identities.alias(), customer_identities.alias()
    rows = scope.connection.execute(
        select(table.c.left_id, left.c.persona_key, table.c.right_id, right.c.persona_key)
        .add_columns(table.c.together)
        .join_from(table, left, _is_identity(scope, left, table.c.left_id))
        .join(right, _is_identity(scope, right, table.c.right_id))
        .where(mine, _concerns(scope, left, personas, moved))
    )
    found = [
        Decision(moved.get(left_id, left_key), moved.get(right_id, right_key), together)
        for left_id, left_key, right_id, right_key, together in rows
    ]
    return [one for one in found if one.left in personas and one.right in personas]


def _is_identity(scope: TenantScope, side: Any, identity_id: ColumnElement[UUID]) -> Any:
    return and_(side.c.tenant_id == scope.tenant, side.c.identity_id == identity_id)


def _concerns(
    scope: TenantScope, side: Any, personas: Collection[bytes], moved: Mapping[UUID, bytes]
) -> ColumnElement[bool]:
    table = customer_identities
    keys = stage(scope.connection, table, ("persona_key",), [(one,) for one in personas])
    ids = stage(scope.connection, table, ("identity_id",), [(one,) for one in moved])
    return or_(
        side.c.persona_key.in_(select(keys.c.persona_key)),
        side.c.identity_id.in_(select(ids.c.identity_id)),
    )


def _holders(personas: Iterable[Persona], nameless: bytes) -> dict[bytes, set[bytes]]:
    """Who of the incoming holds a key."""
    found: dict[bytes, set[bytes]] = defaultdict(set)
    for persona in personas:
        if persona.holder == nameless:
            continue
        for key in (persona.email, *persona.places):
            if key is not None:
                found[key].add(persona.holder)
    return found


def _without_crowded(
    scope: TenantScope,
    asked: FromClause,
    ahead: _Frontier,
    incoming: Mapping[bytes, set[bytes]],
    no_keys: set[bytes],
) -> FromClause:
    """Note the keys that too many hold; those that did without the incoming lead nowhere.

    Returns the frontier that is left, staged.
    """
    staged = _staged(scope, ahead)
    if not ahead.email_key and not ahead.place_key:
        return staged
    counted = union_all(*(_few_holders(scope, asked, staged, name) for name in _KEYS))
    there: dict[bytes, set[bytes]] = defaultdict(set)
    for row in scope.connection.execute(counted):
        there[row[0]].add(row[1])
    crowded = False
    for keys in (ahead.email_key, ahead.place_key):
        for key in list(keys):
            if len(there[key] | incoming.get(key, set())) > MAX_HOLDERS:
                no_keys.add(key)
            if len(there[key]) > MAX_HOLDERS:
                keys.discard(key)
                crowded = True
    return _staged(scope, ahead) if crowded else staged


def _few_holders(
    scope: TenantScope, asked: FromClause, staged: FromClause, name: str
) -> Select[Any, Any]:
    """Key and holder, one more than a key may have at most; nameless ones do not count."""
    table = customer_identities
    some = (
        select(table.c.holder_key)
        .distinct()
        .where(
            _settled(scope, asked),
            table.c[name] == staged.c[name],
            table.c.holder_key != nameless_holder(scope),
        )
        .limit(MAX_HOLDERS + 1)
        .lateral()
    )
    return select(staged.c[name], some.c.holder_key).join_from(staged, some, true())


def _settled(scope: TenantScope, asked: FromClause) -> ColumnElement[bool]:
    """Rows that have spoken and are not about to be replaced."""
    table = customer_identities
    return and_(
        table.c.tenant_id == scope.tenant,
        table.c.persona_key.is_not(None),
        table.c.identity_id.not_in(select(asked.c.identity_id)),
    )


def _read(
    scope: TenantScope, asked: FromClause, staged: FromClause, found: Neighbourhood
) -> _Frontier:
    """Add the personas that the frontier leads to; returns where those lead."""
    further = _Frontier()
    table = customer_identities
    reached = union(
        *(
            select(table.c.persona_key)
            .join_from(staged, table, table.c[name] == staged.c[name])
            .where(_settled(scope, asked))
            for name in _LEADS
        )
    ).subquery()
    for row in scope.connection.execute(_grouped(scope, asked, reached)):
        one = Persona(
            row.persona_key,
            row.kind,
            row.anchor,
            row.email_key,
            row.holder_key,
            set() if row.place_key is None else {row.place_key},
            {row.customer_id: row.oldest},
            row.oldest,
        )
        further.of(one)
        add(found.personas, one)
        found.settled.add(one.key)
    return further


def _grouped(scope: TenantScope, asked: FromClause, reached: Any) -> Select[Any]:
    """All rows of the reached personas, one for each of their homes and places."""
    table = customer_identities
    ordered = func.array_agg(aggregate_order_by(table.c.identity_id, table.c.identity_id))
    parts = [table.c[name] for name in _PERSONA]
    return (
        select(*parts, ordered[1].label("anchor"), func.min(table.c.raw_id).label("oldest"))
        .join_from(reached, table, table.c.persona_key == reached.c.persona_key)
        .where(_settled(scope, asked))
        .group_by(*parts)
    )


def _staged(scope: TenantScope, ahead: _Frontier) -> FromClause:
    return stage(scope.connection, customer_identities, _LEADS, ahead.rows())
