"""Brings identities to their customers: reads who is around, decides, and writes what moved.

Prevents a customer that depends on the order of arrival: whatever an identity newly says, it and
all that it is connected with are placed anew, by rules that know no history.

Callers hold the tenant's identity lock (`lock_identities`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from sqlalchemy import Row, case, func, or_, select, update

from crm_integration.canonical.identity import IdentityKey
from crm_integration.canonical.identity_reading import (
    Neighbourhood,
    decisions_about,
    names_of,
    neighbourhood,
)
from crm_integration.canonical.identity_resolution import (
    LEFT,
    Arrival,
    Grouping,
    Link,
    Persona,
    Placement,
    place,
)
from crm_integration.canonical.identity_said import (
    Said,
    Spoken,
    differs,
    is_older,
    is_rekeyed,
    row_of,
    spoken,
    stored_identities,
    write_identities,
)
from crm_integration.canonical.names import PersonName, person_name
from crm_integration.canonical.not_keys import NotKeys
from crm_integration.canonical.sourced import Stamp
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.canonical import customer_identities
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class Moved:
    """A persona that went from one customer to another."""

    persona: bytes
    old: UUID
    new: UUID


@dataclass
class Resolution:
    """Where every identity belongs, and what changed with that.

    `touched` are customers whose content is to be computed anew; `words` what was just said, by
    the identity's id; `older` are identities of which a newer version was known already.
    """

    customers: dict[IdentityKey, UUID] = field(default_factory=lambda: dict[IdentityKey, UUID]())
    moved: list[Moved] = field(default_factory=lambda: list[Moved]())
    arrivals: list[Arrival] = field(default_factory=lambda: list[Arrival]())
    doubts: list[tuple[UUID, UUID, Link]] = field(
        default_factory=lambda: list[tuple[UUID, UUID, Link]]()
    )
    touched: set[UUID] = field(default_factory=lambda: set[UUID]())
    words: dict[UUID, dict[str, Any]] = field(default_factory=lambda: dict[UUID, dict[str, Any]]())
    older: set[IdentityKey] = field(default_factory=lambda: set[IdentityKey]())

    def regrouped(self) -> set[UUID]:
        """Customers that somebody left or came to."""
        return {one for moved in self.moved for one in (moved.old, moved.new)}


def resolve(scope: TenantScope, many: Iterable[Said], stamp: Stamp, no: NotKeys) -> Resolution:
    """Keep what these identities say, and bring them and all they are connected with to their
    customers."""
    newest: dict[IdentityKey, Said] = {}
    for one in many:
        if one.key not in newest or one.version() >= newest[one.key].version():
            newest[one.key] = one
    if not newest:
        return Resolution()
    stored = stored_identities(scope, newest)
    resolution = Resolution(customers={key: row.customer_id for key, row in stored.items()})
    resolution.older = {key for key, one in newest.items() if is_older(one, stored.get(key))}
    fresh = [
        spoken(scope, one, stored.get(key), no)
        for key, one in newest.items()
        if key not in resolution.older
    ]
    resolution.words = {one.identity_id: one.personal for one in fresh}
    rekeyed = [one for one in fresh if is_rekeyed(one, stored.get(one.key))]
    regrouped = _regroup(scope, rekeyed, stored, (), resolution)
    _keep(scope, fresh, stored, regrouped, stamp, resolution)
    for key in resolution.older:
        home = regrouped.placement.homes.get(stored[key].persona_key)
        resolution.customers[key] = home or stored[key].customer_id
    return resolution


def regroup(scope: TenantScope, customers: Collection[UUID]) -> Resolution:
    """Bring the identities of these customers to where they belong by what is known now."""
    resolution = Resolution()
    _settle(scope, _regroup(scope, [], {}, customers, resolution), resolution)
    return resolution


@dataclass
class _Regrouped:
    """The neighbourhood and where its personas are placed."""

    around: Neighbourhood = field(default_factory=Neighbourhood)
    placement: Placement = field(default_factory=Placement)


def _regroup(
    scope: TenantScope,
    rekeyed: Sequence[Spoken],
    stored: Mapping[IdentityKey, Row[Any]],
    customers: Collection[UUID],
    resolution: Resolution,
) -> _Regrouped:
    if not rekeyed and not customers:
        return _Regrouped()
    asked = stage(
        scope.connection, customer_identities, ("identity_id",), [(o.identity_id,) for o in rekeyed]
    )
    former = [stored[one.key] for one in rekeyed if one.key in stored]
    around = neighbourhood(
        scope,
        asked,
        [_persona(one, stored.get(one.key)) for one in rekeyed],
        former_emails=[row.email_key for row in former if row.email_key is not None],
        former_places=[row.place_key for row in former if row.place_key is not None],
        customers=customers,
    )
    moved = {one.identity_id: one.keys.persona for one in rekeyed}
    grouping = Grouping(
        around.personas, around.no_keys, decisions_about(scope, around.personas.keys(), moved)
    )
    grouping.join_decided()
    grouping.join_emails()
    places = grouping.spanning_places()
    if places:
        grouping.join_places(places, _names(scope, places, around.personas, rekeyed))
    placement = place(grouping, _occupied(scope, around.personas))
    _note(grouping, placement, resolution)
    return _Regrouped(around, placement)


def _note(grouping: Grouping, placement: Placement, resolution: Resolution) -> None:
    for persona in grouping.personas.values():
        home = placement.homes[persona.key]
        resolution.moved += [Moved(persona.key, old, home) for old in persona.homes if old != home]
    resolution.arrivals = placement.arrivals
    resolution.touched |= resolution.regrouped()
    for doubt in grouping.doubts:
        pair = placement.homes[doubt.one], placement.homes[doubt.other]
        resolution.doubts.append((min(pair), max(pair), doubt))


def _persona(one: Spoken, stored: Row[Any] | None) -> Persona:
    keys, raw_id = one.keys, one.sourced.raw_id
    oldest = raw_id if stored is None or stored.raw_id is None else stored.raw_id
    is_other = stored is not None and stored.persona_key not in (None, keys.persona)
    return Persona(
        keys.persona,
        one.key.kind,
        one.identity_id,
        keys.email,
        keys.holder,
        set() if keys.place is None else {keys.place},
        {} if stored is None else {stored.customer_id: LEFT if is_other else oldest},
        oldest,
    )


def _names(
    scope: TenantScope,
    places: Mapping[bytes, Sequence[bytes]],
    personas: Mapping[bytes, Persona],
    rekeyed: Sequence[Spoken],
) -> dict[bytes, PersonName]:
    """Full names: of the incoming as they were just said, of others as their rows say."""
    wanted = {one for members in places.values() for one in members}
    just_said = {one.identity_id: _name(one) for one in rekeyed}
    found = {
        key: just_said[personas[key].anchor] for key in wanted if personas[key].anchor in just_said
    }
    others = names_of(scope, [personas[key] for key in wanted - found.keys()])
    return others | {key: name for key, name in found.items() if name.is_full}


def _name(one: Spoken) -> PersonName:
    return person_name(one.sourced.item.first_name, one.sourced.item.last_name)


def _occupied(scope: TenantScope, personas: Mapping[bytes, Persona]) -> set[UUID]:
    """Own ids under which somebody lives already, of those who may have to leave their home."""
    table = customer_identities
    homeless = [(p.anchor,) for p in personas.values() if p.homes and p.anchor not in p.homes]
    if not homeless:
        return set()
    asked = stage(scope.connection, table, ("customer_id",), homeless)
    rows = scope.connection.execute(
        select(table.c.customer_id)
        .distinct()
        .join_from(asked, table, table.c.customer_id == asked.c.customer_id)
        .where(table.c.tenant_id == scope.tenant)
    )
    return {row.customer_id for row in rows}


def _keep(
    scope: TenantScope,
    fresh: Sequence[Spoken],
    stored: Mapping[IdentityKey, Row[Any]],
    regrouped: _Regrouped,
    stamp: Stamp,
    resolution: Resolution,
) -> None:
    """Write the identities that say or belong to something new."""
    placement = regrouped.placement
    rows: list[tuple[Any, ...]] = []
    for one in fresh:
        before = stored.get(one.key)
        persona = one.keys.persona
        home = placement.homes.get(persona) or resolution.customers[one.key]
        rule = placement.rules.get(persona) or (before.rule if before is not None else "")
        resolution.customers[one.key] = home
        if before is None or differs(one, before, home, rule, stamp):
            rows.append(row_of(scope, one, home, rule, stamp))
            resolution.touched.add(home)
    if rows:
        write_identities(scope, rows)
    _settle(scope, regrouped, resolution)


def _settle(scope: TenantScope, regrouped: _Regrouped, resolution: Resolution) -> None:
    """The rest of the neighbourhood goes along: whole personas, by one statement."""
    table = customer_identities
    placed = regrouped.placement
    rows = [(key, placed.homes[key], placed.rules[key]) for key in sorted(regrouped.around.settled)]
    if not rows:
        return
    staged = stage(scope.connection, table, ("persona_key", "customer_id", "rule"), rows)
    stays = table.c.customer_id == staged.c.customer_id
    found = scope.connection.execute(
        update(table)
        .where(
            table.c.tenant_id == scope.tenant,
            table.c.persona_key == staged.c.persona_key,
            or_(~stays, table.c.rule != staged.c.rule),
        )
        .values(
            customer_id=staged.c.customer_id,
            rule=staged.c.rule,
            linked_at=case((stays, table.c.linked_at), else_=func.now()),
        )
        .returning(table.c.customer_id)
    )
    resolution.touched |= {row.customer_id for row in found}
