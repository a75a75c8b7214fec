"""How alike two customers are, where no key joins them: a score with its reasons, for a person.

Prevents the duplicate that nobody sees, since a typing error in the address broke its key. The
score adds up what each field says for or against one person (Fellegi and Sunter 1969: log2 of how
much more often the field agrees like this for one person than for two); it never merges anybody.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import TypeVar

from crm_integration.canonical.names import folded, nicknames, similarity

Key = TypeVar("Key")

THRESHOLD = 18.0
"""Score from which a pair is suggested; chosen on febrl4 (docs/identity.md)."""
MAX_BLOCK = 50
"""Customers that share a block; a larger one tells nothing (everybody called Smith)."""
_ALIKE = 0.88


@dataclass(frozen=True, order=True)
class Person:
    """Parts of a customer in normal form (`folded`), "" for what was not said.

    `phone` is E.164, `local` the part of the e-mail address before the @.
    """

    given: str = ""
    surname: str = ""
    number: str = ""
    street: str = ""
    line2: str = ""
    city: str = ""
    postcode: str = ""
    region: str = ""
    country: str = ""
    phone: str = ""
    local: str = ""


@dataclass(frozen=True)
class Likeness:
    """`score` in bits, `reasons` names of the fields that spoke for it; never their content."""

    score: float
    reasons: tuple[str, ...]


@dataclass(frozen=True)
class _Weight:
    """Bits for a field that is equal, nearly equal, or different."""

    same: float
    alike: float
    other: float


_WEIGHTS: Mapping[str, _Weight] = {
    "given": _Weight(7.7, 5.7, -2.6),
    "surname": _Weight(7.5, 7.2, -2.9),
    "number": _Weight(6.0, -2.3, -3.2),
    "street": _Weight(10.9, 8.4, -3.8),
    "line2": _Weight(10.3, 9.1, -4.0),
    "city": _Weight(9.8, 8.1, -4.2),
    "postcode": _Weight(9.9, 3.5, -6.2),
    "region": _Weight(2.1, 0.0, -4.4),
    # Not in the corpus: set by hand, below what a phone or mailbox that is shared at home says.
    "phone": _Weight(10.0, 0.0, -0.5),
    "local": _Weight(8.0, 0.0, -0.5),
}
"""log2(m/u) of each outcome, counted on febrl4: m over its 5,000 true pairs, u over 300,000
random ones (docs/identity.md has the command)."""
_NOTHING_ALIKE = 0.70
"""Similarity of given names below which nobody is suggested: the fields of an address agree
together for all who live there, so that a family would otherwise be one person."""
_TELLING = frozenset(("street", "line2", "phone", "local"))
"""Fields of which one must agree: two Jane Smiths of one town are two."""


def person(
    *, given: str, surname: str, line1: str, line2: str = "", city: str = "", postcode: str = "",
    region: str = "", country: str = "", phone: str = "", email: str = "",
) -> Person:  # fmt: skip
    """A person from text as a store sent it; the house number is taken out of line 1."""
    words = folded(line1).split()
    number = next((word for word in words if word[0].isdigit()), "")
    local = email.partition("@")[0].partition("+")[0]
    return Person(
        folded(given), folded(surname), number,
        " ".join(word for word in words if word != number), folded(line2), folded(city),
        folded(postcode).replace(" ", ""), folded(region), country, phone, folded(local),
    )  # fmt: skip


def score(one: Person, other: Person) -> Likeness:
    """What all fields together say. Names may be swapped; a missing field says nothing.

    The same whichever of the two comes first.
    """
    one, other = sorted((one, other))
    ways = [(one.given, one.surname), (one.surname, one.given)]
    given, surname = max(ways, key=lambda way: sum(_names(*way, other).values()))
    fields = _names(given, surname, other)
    for name, same in _COMPARED.items():
        fields[name] = _weighed(name, getattr(one, name), getattr(other, name), same)
    reasons = tuple(name for name, bits in fields.items() if bits > 0)
    total = sum(fields.values())
    if _TELLING.isdisjoint(reasons) or _is_relative(given, other.given):
        total = min(total, THRESHOLD - 1)
    return Likeness(round(total, 2), reasons)


def blocks(one: Person) -> Iterator[tuple[str, ...]]:
    """What two customers must share at least to be compared at all."""
    yield from _whole("phone", one.phone)
    if len(one.local) >= 6:
        yield from _whole("local", one.local)
    names = sorted((one.given, one.surname))
    yield from _whole("names", *names)
    for name in {one.given, one.surname} - {""}:
        yield from _whole("postcode", name, one.postcode)
        yield from _whole("city", name, one.city)
        yield from _whole("street", name, one.street)
    yield from _whole("door", one.number, one.street)
    yield from _whole("house", one.number, one.postcode, one.city)


def pairs(people: Mapping[Key, Person]) -> Iterator[tuple[Key, Key, Likeness]]:
    """All pairs that share a block and reach the threshold, each once."""
    shared: dict[tuple[str, ...], list[Key]] = defaultdict(list)
    for key, one in people.items():
        for block in blocks(one):
            shared[block].append(key)
    seen: set[tuple[Key, Key]] = set()
    for members in shared.values():
        if len(members) > MAX_BLOCK:
            continue
        for pair in combinations(members, 2):
            if pair in seen:
                continue
            seen.add(pair)
            found = score(people[pair[0]], people[pair[1]])
            if found.score >= THRESHOLD:
                yield (*pair, found)


def _whole(name: str, *parts: str) -> Iterator[tuple[str, ...]]:
    if all(parts):
        yield (name, *parts)


def _names(given: str, surname: str, other: Person) -> dict[str, float]:
    return {
        "given": _weighed("given", given, other.given, _same_given),
        "surname": _weighed("surname", surname, other.surname, _near),
    }


def _weighed(name: str, one: str, other: str, near: Callable[[str, str], bool]) -> float:
    weight = _WEIGHTS[name]
    if not one or not other:
        return 0.0
    if one == other:
        return weight.same
    return weight.alike if near(one, other) else weight.other


def _near(one: str, other: str) -> bool:
    return similarity(one, other) >= _ALIKE


def _is_relative(one: str, other: str) -> bool:
    """Two given names that are nothing alike: whatever the address says, it is said of both."""
    if not one or not other or _same_given(one, other):
        return False
    return similarity(one, other) < _NOTHING_ALIKE


def _same_given(one: str, other: str) -> bool:
    short, long = sorted((one, other), key=len)
    is_initial = len(short) == 1 and long.startswith(short)
    return is_initial or bool(nicknames(one) & nicknames(other)) or _near(one, other)


def _one_slip(one: str, other: str) -> bool:
    """One character wrong, missing, or two swapped."""
    from rapidfuzz.distance import OSA

    return OSA.distance(one, other) <= 1


def _never(one: str, other: str) -> bool:
    return False


_COMPARED: Mapping[str, Callable[[str, str], bool]] = {
    "number": _one_slip,
    "street": _near,
    "line2": _near,
    "city": _near,
    "postcode": _one_slip,
    "region": _never,
    "phone": _never,
    "local": _never,
}
