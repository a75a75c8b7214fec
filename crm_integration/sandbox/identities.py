"""Invented people for customer numbers and guest invoices: seeded, stable and plainly invented.

Prevents two failures: a real person's data in a demo, and an invented word so common that a
search of a dump for it finds product names. Names are therefore put together from syllables,
e-mails end in example domains and phones come from the ranges Ofcom keeps for drama.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import lru_cache

_FIRST = ("Ab", "Bri", "Ced", "Dor", "El", "Fen", "Gwi", "Hal", "Is", "Jov", "Kel", "Lor", "Mer",
          "Nev", "Or", "Per", "Quin", "Ros", "Syl", "Tam")  # fmt: skip
_FIRST_END = ("avelle", "indra", "ombert", "oriane", "ulfric", "yndel", "ethan", "imaude", "ostine",
              "anwick")  # fmt: skip
_LAST = ("Thorn", "Quill", "Bram", "Wex", "Hollow", "Pell", "Dray", "Mist", "Corv", "Lark",
         "Fall", "Stav", "Grell", "Umber", "Vann", "Zeld")  # fmt: skip
_LAST_END = ("marrow", "wickley", "hurstone", "bonnet", "sedgely", "croftin", "dalloway", "perrin",
             "gatesby", "fennick", "lockham", "tidewell")  # fmt: skip
_STREET = ("Umberquill", "Pellgrave", "Larkmorrow", "Wexcombe", "Drayfennel", "Hollowick",
           "Stavering", "Corvendale", "Zeldhurst", "Brambletide")  # fmt: skip
_STREET_KIND = ("Row", "Parade", "Crescent", "Wynd", "Terrace", "Close")
_CITY = ("Quillhaven", "Norwexley", "Thornmere Bay", "Pellingworth", "Umberford", "Larkstead",
         "Drayminster", "Corvenby")  # fmt: skip
#: Numbers Ofcom sets aside for radio and TV drama: prefix and how many last digits are free.
_PHONES = (("0113 496 0", 3), ("0114 496 0", 3), ("0115 496 0", 3), ("0116 496 0", 3),
           ("0117 496 0", 3), ("0118 496 0", 3), ("0121 496 0", 3), ("0131 496 0", 3),
           ("0141 496 0", 3), ("0151 496 0", 3), ("0161 496 0", 3), ("020 7946 0", 3),
           ("0191 498 0", 3), ("029 2018 0", 3), ("01632 960", 3), ("07700 900", 3))  # fmt: skip
_DOMAINS = ("example.com", "example.org", "example.net")


@dataclass(frozen=True, slots=True)
class Identity:
    """An invented person; `email` is '' for the one guest in 20 who gave none."""

    first_name: str
    last_name: str
    email: str
    phone: str
    street: str
    city: str
    postcode: str


class _Dice:
    """Numbers from one SHA-256, so that every machine and version draws the same person."""

    def __init__(self, text: str) -> None:
        self._left = int.from_bytes(hashlib.sha256(text.encode()).digest(), "big")

    def below(self, size: int) -> int:
        self._left, drawn = divmod(self._left, size)
        return drawn

    def pick(self, words: tuple[str, ...]) -> str:
        return words[self.below(len(words))]


def stable_number(text: str, size: int) -> int:
    """A number in [0, size) from SHA-256 of a text: the same in every process."""
    return int.from_bytes(hashlib.sha256(text.encode()).digest(), "big") % size


@lru_cache(maxsize=20_000)
def invented(seed: int, key: str) -> Identity:
    """The person of `key` (`customer:12345` or `guest:536544`), the same for one seed for ever."""
    dice = _Dice(f"{seed}|{key}")
    first = dice.pick(_FIRST) + dice.pick(_FIRST_END)
    last = dice.pick(_LAST) + dice.pick(_LAST_END)
    prefix, digits = _PHONES[dice.below(len(_PHONES))]
    phone = f"{prefix}{dice.below(10**digits):0{digits}d}"
    if dice.below(3) == 0:
        phone = "+44 " + phone[1:]
    return Identity(
        first_name=first,
        last_name=last,
        email=_email(dice, key, first, last),
        phone=phone,
        street=f"{1 + dice.below(240)} {dice.pick(_STREET)} {dice.pick(_STREET_KIND)}",
        city=dice.pick(_CITY),
        postcode=f"ZZ{1 + dice.below(98)} {dice.below(10)}ZZ",
    )


def _email(dice: _Dice, key: str, first: str, last: str) -> str:
    kind, _, number = key.partition(":")
    if kind == "guest" and dice.below(20) == 0:
        return ""
    mixed = dice.below(4) == 0
    local = f"{first}.{last}" if mixed else f"{first}.{last}".lower()
    return f"{local}.{kind[0]}{number.lower()}@{dice.pick(_DOMAINS)}"


def billing_email(seed: int, key: str) -> str:
    """The address as typed at checkout: the account's own, in one of three other letter cases."""
    email = invented(seed, key).email
    case = stable_number(f"{seed}|case|{key}", 6)
    if case == 0:
        return email.upper()
    return email.lower() if case == 1 else email
