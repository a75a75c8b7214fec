"""The invented people of a shop: who they are follows from the seed and their number alone.

Prevents two tenants' people from being mixed up unseen: the tenant's name stands in every address,
so that one foreign letter in a CRM is found.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Any

_PREFIXES = ("0113 496 0", "0114 496 0", "0115 496 0", "0116 496 0", "0117 496 0", "0118 496 0")
"""Ranges that Ofcom keeps for drama; one a tenant, a thousand numbers each."""

_FIRST = ("Avelle", "Brindra", "Cedombert", "Doriane", "Elulfric", "Fenyndel", "Gwiethan", "Isaude")
_LAST = (
    "Thornmarrow",
    "Quillwick",
    "Bramstone",
    "Wexbonnet",
    "Pellcroft",
    "Draydale",
    "Mistperrin",
)


@dataclass(frozen=True)
class Person:
    """One person; `phone` as typed in a British shop, `email` with the case they prefer."""

    number: int
    first: str
    last: str
    email: str
    phone: str
    street: str
    city: str
    postcode: str
    company: str

    def billing(self, rng: random.Random) -> dict[str, Any]:
        """What they type at a checkout: the e-mail in any letter case."""
        typed = rng.choice((self.email, self.email.upper(), self.email.title()))
        return {
            "first_name": self.first, "last_name": self.last, "company": self.company,
            "email": typed, "phone": self.phone, "address_1": self.street, "city": self.city,
            "postcode": self.postcode, "country": "GB",
        }  # fmt: skip


def person(tenant: str, place: int, number: int) -> Person:
    """Person `number` (below 1000) of the tenant at this place of the street."""
    first = _FIRST[number % len(_FIRST)]
    last = _LAST[number // 8 % len(_LAST)]
    company = f"Umber {tenant} {number // 20} Ltd" if number % 5 == 0 else ""
    return Person(
        number=number,
        first=first,
        last=last,
        email=f"{first}.{last}.{number}@{tenant}.example.com",
        phone=f"{_PREFIXES[place]}{number:03d}",
        street=f"{number} Larkmorrow {tenant.title()} Row",
        city="Quillhaven",
        postcode=f"ZZ{1 + number % 98} {number % 10}ZZ",
        company=company,
    )
