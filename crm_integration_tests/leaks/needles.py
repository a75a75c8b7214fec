"""What must not be found: every invented person and every key of a sandbox, read over HTTP.

Prevents a search for a handful of examples: the leak is in the one field nobody thought of.
Rule: whole e-mails, full names, first and last names alone, phones (as written, and as bare
digits, national and international), streets with their number, keys and tokens; nothing shorter
than `LEAST_BYTES`, and no cities or countries (words of the world, not of a person).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, cast

import httpx

from crm_integration_tests.leaks.forms import LEAST_BYTES
from crm_integration_tests.oracle.crm_totals import contacts
from crm_integration_tests.sandbox.clients import ShopCaller

Kind = Literal["e-mail", "name", "full name", "phone", "phone digits", "street", "token"]
_PAGE = 100


@dataclass(frozen=True, slots=True)
class Needle:
    """A text to look for. Raises ValueError when it is too short to be told from chance."""

    kind: Kind
    text: str = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.text.encode()) < LEAST_BYTES:
            raise ValueError(f"a needle ({self.kind}) has fewer than {LEAST_BYTES} bytes")


def needles_of_shop(base_url: str, key: str, secret: str) -> set[Needle]:
    """Everyone a WooCommerce shop knows, from its customers and orders, and its own two keys."""
    found = {Needle("token", key), Needle("token", secret)}
    with httpx.Client(timeout=60, trust_env=False) as client:
        shop = ShopCaller(client, base_url, key, secret)
        for customer in _listed(shop, "/customers", role="all"):
            found |= _of_person(customer)
            found |= _of_person(customer["billing"]) | _of_person(customer["shipping"])
        for order in _listed(shop, "/orders", status="any"):
            found |= _of_person(order["billing"]) | _of_person(order["shipping"])
    return found


def needles_of_crm(base_url: str, token: str) -> set[Needle]:
    """Everyone a HubSpot account holds, sales' own spellings among them, and its token."""
    found = {Needle("token", token)}
    for contact in contacts(base_url, token):
        told = {
            "email": contact.get("email"),
            "first_name": contact.get("firstname"),
            "last_name": contact.get("lastname"),
            "phone": contact.get("phone"),
            "address_1": contact.get("address"),
        }
        found |= _of_person(told)
    return found


def _listed(shop: ShopCaller, path: str, **asked: str) -> Iterator[dict[str, Any]]:
    page = 1
    while True:
        answer = shop.get(path, per_page=_PAGE, page=page, **asked).raise_for_status()
        rows = cast(list[dict[str, Any]], answer.json())
        yield from rows
        if len(rows) < _PAGE:
            return
        page += 1


def _of_person(told: Mapping[str, Any]) -> set[Needle]:
    def text(name: str) -> str:
        return str(told.get(name) or "").strip()

    first, last = text("first_name"), text("last_name")
    return {
        *_long("e-mail", text("email")),
        *_long("name", first, last),
        *(_long("full name", f"{first} {last}") if first and last else ()),
        *_long("phone", text("phone")),
        *_long("phone digits", *_bare_digits(text("phone"))),
        *_long("street", text("address_1")),
    }


def _long(kind: Kind, *texts: str) -> Iterable[Needle]:
    return (Needle(kind, text) for text in texts if len(text.encode()) >= LEAST_BYTES)


def _bare_digits(phone: str) -> tuple[str, ...]:
    """A British number with 0 and with 44 in front, as normalised or matched by."""
    digits = "".join(filter(str.isdigit, phone))
    national = digits.removeprefix("44" if phone.startswith("+44") else "0")
    return (f"0{national}", f"44{national}") if national else ()
