"""Who is one customer: a partition of personas, computed from what they say alone.

Prevents the customer that depends on who came first: the groups are a function of the personas,
of their keys and of what persons decided, in no order of arrival. Links are taken from the firmest
to the weakest, and one that would join what a person put apart is refused.
"""

from __future__ import annotations

import sys
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from uuid import UUID, uuid4

from crm_integration.canonical.names import PersonName, agree

EXTERNAL_ID = "external_id"
ACCEPTED = "accepted"
EMAIL = "email"
PHONE_AND_PLACE = "phone_and_place"
SHARED_MAILBOX = "shared_mailbox"

RANK = {"registered": 2, "guest": 1, "lead": 0}
"""An account outranks a guest checkout, which outranks a lead."""

LEFT = sys.maxsize
"""Age of a home that a persona has only from an identity that was somebody else's before: the
customer stays with those who did not change."""


@dataclass
class Persona:
    """Identities that cannot be told apart: an account, or guests of one name and mailbox.

    `anchor` is the smallest of their identity ids, `homes` the customers they are at, the
    customer of the oldest raw record first; empty for a persona seen for the first time.
    """

    key: bytes
    kind: str
    anchor: UUID
    email: bytes | None
    holder: bytes
    places: set[bytes] = field(default_factory=lambda: set[bytes]())
    homes: dict[UUID, int] = field(default_factory=lambda: dict[UUID, int]())
    oldest: int = 0

    def standing(self) -> tuple[int, int, UUID]:
        """Whose customer goes on living when two become one: smallest first."""
        return -RANK[self.kind], self.oldest, self.anchor


@dataclass(frozen=True)
class Decision:
    """What a person said about two personas; `left` is the one that was put apart."""

    left: bytes
    right: bytes
    together: bool


@dataclass(frozen=True)
class Link:
    """Why a persona is with another one; `evidence` is the key they share."""

    one: bytes
    other: bytes
    rule: str
    evidence: bytes


@dataclass
class Grouping:
    """Personas on their way to customers. `no_keys` are keys that too many hold, `links` the first
    reason for which each came together with another one."""

    personas: Mapping[bytes, Persona]
    no_keys: Collection[bytes]
    decisions: Sequence[Decision] = ()
    links: dict[bytes, Link] = field(default_factory=lambda: dict[bytes, Link]())
    doubts: list[Link] = field(default_factory=lambda: list[Link]())
    _parent: dict[bytes, bytes] = field(default_factory=lambda: dict[bytes, bytes]())

    def join_decided(self) -> None:
        """What persons put together, then what shares a mailbox: the firm links."""
        for one in sorted(self.decisions, key=lambda decision: (decision.left, decision.right)):
            if one.together:
                self._join(one.left, one.right, ACCEPTED, b"")

    def join_emails(self) -> None:
        """One customer for all who share a mailbox that is a key."""
        for email, members in sorted(_by_email(self.personas).items()):
            if email not in self.no_keys:
                self._join_each(members, EMAIL, email)

    def spanning_places(self) -> dict[bytes, list[bytes]]:
        """Places whose personas are not one customer by now, with all of their personas."""
        by_place: dict[bytes, list[bytes]] = defaultdict(list)
        for persona in self.personas.values():
            for place in persona.places:
                by_place[place].append(persona.key)
        return {
            place: members
            for place, members in sorted(by_place.items())
            if place not in self.no_keys and len({self._root(one) for one in members}) > 1
        }

    def join_places(
        self, places: Mapping[bytes, Sequence[bytes]], names: Mapping[bytes, PersonName]
    ) -> None:
        """Join who agrees in phone, address and name; who agrees in less is a doubt."""
        for place, members in places.items():
            for alike in _twins(members, names):
                self._join_each(alike, PHONE_AND_PLACE, place)
        for place, members in places.items():
            for one, other in combinations(sorted(members), 2):
                if self._root(one) != self._root(other) and not self._are_apart(one, other):
                    self.doubts.append(Link(one, other, PHONE_AND_PLACE, place))

    def groups(self) -> list[list[Persona]]:
        """The customers, each led by the persona of the highest standing, in that order."""
        found: dict[bytes, list[Persona]] = defaultdict(list)
        for persona in sorted(self.personas.values(), key=Persona.standing):
            found[self._root(persona.key)].append(persona)
        return list(found.values())

    def _join_each(self, members: Sequence[bytes], rule: str, evidence: bytes) -> None:
        """Each with the first that it may be with, so that a third stays with who remained."""
        ranked = self._ranked(members)
        for number, member in enumerate(ranked):
            for earlier in ranked[:number]:
                if self._join(earlier, member, rule, evidence):
                    break

    def is_put_apart(self, group: Sequence[Persona]) -> bool:
        """True for those whom a person took out of another customer."""
        put_apart = self._put_apart()
        return any(persona.key in put_apart for persona in group)

    def without_mailbox(self) -> set[bytes]:
        """Personas whose address is no key of theirs: too many hold it, or a person put them
        apart from those who keep it. Two customers who both claimed it would get one contact."""
        found: set[bytes] = set()
        for email, members in _by_email(self.personas).items():
            if email in self.no_keys:
                found.update(members)
                continue
            keeper = self._root(self._ranked(members)[0])
            found.update(one for one in members if self._root(one) != keeper)
        return found

    def _put_apart(self) -> set[bytes]:
        return {one.left for one in self.decisions if not one.together}

    def _ranked(self, members: Sequence[bytes]) -> list[bytes]:
        """Who was put apart comes last."""
        put_apart = self._put_apart()
        return sorted(members, key=lambda key: (key in put_apart, *self._firmness(key)))

    def _firmness(self, key: bytes) -> tuple[int, bytes]:
        """An order that no arrival changes."""
        return -RANK[self.personas[key].kind], key

    def _join(self, one: bytes, other: bytes, rule: str, evidence: bytes) -> bool:
        """True when they are one customer now (or were already)."""
        first, second = self._root(one), self._root(other)
        if first == second:
            return True
        if self._would_break(first, second):
            return False
        self._parent[second] = first
        link = Link(one, other, rule, evidence)
        for member in (one, other):
            self.links.setdefault(member, link)
        return True

    def _would_break(self, first: bytes, second: bytes) -> bool:
        return any(
            {self._root(one.left), self._root(one.right)} == {first, second}
            for one in self.decisions
            if not one.together
        )

    def _are_apart(self, one: bytes, other: bytes) -> bool:
        return self._would_break(self._root(one), self._root(other))

    def _root(self, key: bytes) -> bytes:
        while key in self._parent:
            key = self._parent[key]
        return key


def _by_email(personas: Mapping[bytes, Persona]) -> dict[bytes, list[bytes]]:
    found: dict[bytes, list[bytes]] = defaultdict(list)
    for persona in personas.values():
        if persona.email is not None:
            found[persona.email].append(persona.key)
    return found


def _twins(members: Sequence[bytes], names: Mapping[bytes, PersonName]) -> Iterator[list[bytes]]:
    """Members that agree with exactly the same others.

    `J. Smith` agrees with John and with Jane, who are two: it is joined with neither.
    """
    named = sorted(one for one in members if one in names)
    alike: dict[frozenset[bytes], list[bytes]] = defaultdict(list)
    for one in named:
        fits = {other for other in named if other == one or agree(names[one], names[other])}
        alike[frozenset(fits)].append(one)
    for group in alike.values():
        if len(group) > 1:
            yield group


@dataclass(frozen=True)
class Arrival:
    """Personas that came to a customer together, from `loser` (their own or a former one)."""

    loser: UUID
    winner: UUID
    rule: str
    evidence: bytes
    identities: tuple[UUID, ...]


@dataclass
class Placement:
    """Where every persona is now, why, and who came to a customer that others were at."""

    homes: dict[bytes, UUID] = field(default_factory=lambda: dict[bytes, UUID]())
    rules: dict[bytes, str] = field(default_factory=lambda: dict[bytes, str]())
    arrivals: list[Arrival] = field(default_factory=lambda: list[Arrival]())


def place(grouping: Grouping, occupied: Collection[UUID]) -> Placement:
    """Give every group a customer id: one that a member has, else its leader's own.

    `occupied` are ids that nobody may found a customer under, since somebody lives there.
    """
    placement = Placement()
    # Who was put apart gets a customer of their own, whatever their standing.
    groups = sorted(grouping.groups(), key=grouping.is_put_apart)
    homes = _homes(groups, occupied)
    living = set(homes)
    nobodys = grouping.without_mailbox()
    for group, home in zip(groups, homes, strict=True):
        _explain(grouping, group, home, living, placement)
        placement.rules |= {one.key: SHARED_MAILBOX for one in group if one.key in nobodys}
    return placement


def _homes(groups: Sequence[list[Persona]], occupied: Collection[UUID]) -> list[UUID]:
    """In the order of the groups; no customer goes with who left while somebody stays there."""
    taken: set[UUID] = set()
    found: list[UUID | None] = []
    for group in groups:
        stayed = (home for one in group for home in _by_age(one) if one.homes[home] != LEFT)
        found.append(_first_free(stayed, taken))
    for number, group in enumerate(groups):
        if found[number] is None:
            had = (home for one in group for home in _by_age(one))
            own = (one.anchor for one in group if one.anchor not in occupied)
            found[number] = _first_free((*had, *own), taken)
    return [home or uuid4() for home in found]


def _by_age(persona: Persona) -> list[UUID]:
    return sorted(persona.homes, key=persona.homes.__getitem__)


def _first_free(homes: Iterable[UUID], taken: set[UUID]) -> UUID | None:
    """Takes it."""
    home = next((one for one in homes if one not in taken), None)
    if home is not None:
        taken.add(home)
    return home


def _explain(
    grouping: Grouping, group: list[Persona], home: UUID, living: set[UUID], placed: Placement
) -> None:
    """Note each member's home and rule, and the arrivals by the customer they came from."""
    came = grouping.links if len(group) > 1 else {}
    by_loser: dict[UUID, list[Persona]] = defaultdict(list)
    for persona in group:
        placed.homes[persona.key] = home
        placed.rules[persona.key] = _rule(grouping, persona, leads=persona is group[0])
        for loser in persona.homes or [persona.anchor]:
            if loser != home:
                by_loser[persona.anchor if loser in living else loser].append(persona)
    if came:
        placed.arrivals += [
            _arrival(loser, home, personas, came) for loser, personas in by_loser.items()
        ]


def _rule(grouping: Grouping, persona: Persona, *, leads: bool) -> str:
    if leads or persona.key not in grouping.links:
        return EXTERNAL_ID
    return grouping.links[persona.key].rule


def _arrival(
    loser: UUID, home: UUID, personas: list[Persona], came: Mapping[bytes, Link]
) -> Arrival:
    """The link that brought them: the first member's that has one."""
    brought = next(one for one in personas if one.key in came)
    link = came[brought.key]
    ordered = [brought, *(one for one in personas if one is not brought)]
    anchors = tuple(persona.anchor for persona in ordered)
    return Arrival(loser, home, link.rule, link.evidence, anchors)
