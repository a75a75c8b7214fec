"""Match keys: what an identity may be joined by, as keyed digests.

Prevents two people from becoming one by what neither of them chose: a placeholder address is no
key, a phone is none without the address it is answered at, and an address none without a phone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from crm_integration.canonical.customers import Address, Customer, CustomerKind
from crm_integration.canonical.identity import IdentityKey, normal_email
from crm_integration.canonical.names import folded, holder_name
from crm_integration.canonical.not_keys import NotKeys
from crm_integration.tenancy.scope import TenantScope

_STREET_WORDS = {
    "street": "st", "road": "rd", "avenue": "ave", "av": "ave", "lane": "ln", "drive": "dr",
    "court": "ct", "place": "pl", "square": "sq", "boulevard": "blvd", "crescent": "cres",
    "close": "cl", "terrace": "tce", "parade": "pde", "highway": "hwy", "strasse": "str",
}  # fmt: skip
"""Spellings that mean one thing (USPS Publication 28, appendix C1, and their like)."""


@dataclass(frozen=True)
class Keys:
    """Digests of one identity. `persona`: identities of one persona are always one customer.

    `holder` tells apart who shares a mailbox: an account, or a guest's name.
    """

    persona: bytes
    email: bytes | None
    place: bytes | None
    holder: bytes
    email_is_key: bool


def keys_of(scope: TenantScope, key: IdentityKey, customer: Customer, no: NotKeys) -> Keys:
    """The match keys of what a store object says."""
    normal = normal_email(customer.email) if customer.email else None
    is_key = normal is not None and not no.covers(normal)
    email = scope.keys.digest("email", normal.encode()) if normal and is_key else None
    place = place_text(customer)
    place_key = None if place is None else scope.keys.digest("place", place.encode())
    holder = _holder(key, customer)
    return Keys(
        persona=scope.keys.digest("persona", _persona(key, holder, email, place_key)),
        email=email,
        place=place_key,
        holder=scope.keys.digest("holder", holder.encode()),
        email_is_key=is_key,
    )


def nameless_holder(scope: TenantScope) -> bytes:
    """The holder digest of guests without a name: they count as no further holder."""
    return scope.keys.digest("holder", b"name\x1f")


def _holder(key: IdentityKey, customer: Customer) -> str:
    if key.kind == CustomerKind.registered.value:
        return f"account\x1f{key.connection_id}\x1f{key.source_id}"
    return "name\x1f" + holder_name(customer.first_name, customer.last_name)


def _persona(key: IdentityKey, holder: str, email: bytes | None, place: bytes | None) -> bytes:
    """An account is one; guests are one by mailbox and name, or by place and name."""
    if key.kind == CustomerKind.registered.value:
        return holder.encode()
    if email is not None:
        return b"email\x1f" + email + holder.encode()
    if place is not None and holder != "name\x1f":
        return b"place\x1f" + place + holder.encode()
    return "\x1f".join(("alone", key.connection_id, key.kind, key.source_id)).encode()


def place_text(customer: Customer) -> str | None:
    """Phone and address of the billing block, else of the shipping block, in normal form."""
    for address in sorted(customer.addresses, key=lambda one: one.kind):
        phone = e164(address.phone or customer.phone, address.country)
        street = street_text(address)
        if phone is not None and street is not None:
            return f"{phone}\x1f{street}"
    return None


def street_text(address: Address) -> str | None:
    """Country, postcode, and the words of line 1 in any order; None without a house number.

    `5 High Street`, `High St. 5` and `high street 5` are one.
    """
    words = [_STREET_WORDS.get(word, word) for word in folded(address.line1).split()]
    words = [re.sub(r"(?<=\w{3})strasse$", "str", word) for word in words]
    postcode = folded(address.postcode).replace(" ", "")
    if address.country == "US":
        postcode = postcode[:5]
    if not postcode or address.country is None or not _is_house(words):
        return None
    return "\x1f".join((address.country, postcode, " ".join(sorted(words))))


def _is_house(words: list[str]) -> bool:
    has_number = any(word[0].isdigit() for word in words)
    return has_number and any(not word[0].isdigit() for word in words)


@lru_cache(maxsize=8_192)
def e164(phone: str, country: str | None) -> str | None:
    """A valid number as `+442079460000`; None for what no phone network could ring.

    Valid and not merely possible: measured on real data, phones that are only possible are
    mostly typing errors.
    """
    import phonenumbers

    if not phone:
        return None
    try:
        parsed = phonenumbers.parse(phone, country)
    except phonenumbers.NumberParseException:
        return None
    if not phonenumbers.is_valid_number(parsed):
        return None
    return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
