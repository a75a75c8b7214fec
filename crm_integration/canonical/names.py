"""Names of people: one normal form, and whether two of them may be one person's.

Prevents the father and the daughter at one address and one phone from becoming one customer,
and `Zoë MÜLLER` and `Zoe Mueller` from staying two.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from unicodedata import combining, normalize

SURNAME_AGREES = 0.92
"""Jaro-Winkler similarity from which two surnames count as one with a typing error."""
GIVEN_AGREES = 0.90
"""The same for given names; both were set on febrl4 (docs/identity.md)."""
_SHORTEST_TYPO = 4
"""Letters below which another letter makes another name: Ann and Ian, Lee and Leo."""

_LETTERS = str.maketrans({"ß": "ss", "æ": "ae", "œ": "oe", "ø": "o", "ł": "l", "đ": "d", "ı": "i"})


@dataclass(frozen=True)
class PersonName:
    """Given name and surname in normal form, each possibly empty."""

    given: str
    surname: str

    @property
    def is_full(self) -> bool:
        """True when both parts were said: only full names can tell two people apart."""
        return bool(self.given and self.surname)


def folded(text: str) -> str:
    """Case, diacritics and punctuation away; words by one blank: `Ångström-Löf` -> `angstrom lof`.

    Letters of other scripts stay as they are.
    """
    plain = normalize("NFKD", text.casefold().translate(_LETTERS))
    bare = "".join(letter for letter in plain if not combining(letter))
    return " ".join(re.findall(r"\w+", bare.replace("'", "").replace("\u2019", "")))


def person_name(first_name: str, last_name: str) -> PersonName:
    """The normal form of a name as a store sent it."""
    return PersonName(folded(first_name), folded(last_name))


def holder_name(first_name: str, last_name: str) -> str:
    """A name whatever the order its parts were written in; "" for none."""
    return " ".join(sorted(folded(f"{first_name} {last_name}").split()))


def agree(one: PersonName, other: PersonName) -> bool:
    """True when two full names may be one person's: an initial, a nickname, a typing error.

    Names with a missing part never agree: what was not said is no evidence.
    """
    if not (one.is_full and other.is_full):
        return False
    straight = surnames_agree(one.surname, other.surname) and givens_agree(one.given, other.given)
    return straight or (one.given, one.surname) == (other.surname, other.given)


def surnames_agree(one: str, other: str) -> bool:
    """Equal, or alike but for a typing error."""
    return one == other or _alike(one, other, SURNAME_AGREES)


def givens_agree(one: str, other: str) -> bool:
    """Equal, one the other's initial or nickname, or alike but for a typing error."""
    first, second = one.split()[0], other.split()[0]
    if first == second or _is_initial(first, second) or _is_initial(second, first):
        return True
    return bool(nicknames(first) & nicknames(second)) or _alike(one, other, GIVEN_AGREES)


def similarity(one: str, other: str) -> float:
    """Jaro-Winkler, 0 to 1."""
    from rapidfuzz.distance import JaroWinkler

    return JaroWinkler.similarity(one, other)


def _alike(one: str, other: str, least: float) -> bool:
    if min(len(one), len(other)) < _SHORTEST_TYPO:
        return False
    return similarity(one, other) >= least


def _is_initial(short: str, name: str) -> bool:
    return len(short) == 1 and name.startswith(short)


def nicknames(given: str) -> frozenset[str]:
    """The full names that a given name may stand for, itself with them."""
    return _full_names().get(given, frozenset()) | {given}


@cache
def _full_names() -> dict[str, frozenset[str]]:
    """From `nicknames.yaml`: a full name, then its short forms, on each line."""
    import yaml

    text = files("crm_integration.canonical").joinpath("nicknames.yaml").read_text("utf-8")
    listed: dict[str, str] = yaml.safe_load(text)
    found: dict[str, set[str]] = {}
    for full, short in listed.items():
        for name in short.split():
            found.setdefault(name, set()).add(full)
    return {name: frozenset(full) for name, full in found.items()}
