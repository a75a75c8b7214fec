"""Who somebody is, as Shopify shows it: names, e-mail, phone and addresses.

Prevents the failure where an account, a guest's order and a cart tell of one person in three
ways. Phones of accounts are E.164 there, those of addresses are as typed; countries have an
English name and a code.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, cast

from crm_integration.sandbox.countries import country_code
from crm_integration.sandbox.identities import billing_email, invented
from crm_integration.sandbox.shop_edits import email_of
from crm_integration.sandbox.shop_rendering import billing_of
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    Json,
    OrderRecord,
    ShopState,
)
from crm_integration.sandbox.shopify.country_names import COUNTRY_NAMES

#: Said on what was invented, so that nobody takes an invented person for a real one.
INVENTED_KEY, INVENTED_VALUE = "_invented_identity", "yes"
#: Ids of those who typed an e-mail into a cart and have no account.
GUEST_IDS = 9_000_000_000


@dataclass(frozen=True, slots=True)
class Address:
    """A mailing address in WooCommerce's field names, which the shop's state keeps them by."""

    id: int
    fields: Json

    def text(self, name: str) -> str | None:
        return str(self.fields.get(name) or "") or None

    @property
    def name(self) -> str | None:
        return " ".join(part for name in ("first_name", "last_name")
                        if (part := self.text(name))) or None  # fmt: skip

    @property
    def code(self) -> str | None:
        code = self.text("country")
        return code.upper() if code and re.fullmatch("[A-Za-z]{2}", code) else None

    @property
    def country(self) -> str | None:
        return COUNTRY_NAMES.get(self.code or "", self.text("country") or "") or None


@dataclass(frozen=True, slots=True)
class Person:
    """A customer as Shopify has it; `record` is None for one who only left a cart."""

    id: int
    record: CustomerRecord | None
    first_name: str | None
    last_name: str | None
    email: str | None
    phone: str | None
    created: int
    modified: int
    address: Address | None
    consent: ConsentRecord | None
    invented: bool

    @property
    def display_name(self) -> str:
        named = " ".join(part for part in (self.first_name, self.last_name) if part)
        return named or self.email or ""


def international(phone: str | None) -> str | None:
    """E.164, or None for what is no such number; a leading 0 is taken for a British one."""
    digits = re.sub(r"[^\d+]", "", phone or "")
    digits = f"+44{digits[1:]}" if digits.startswith("0") else digits
    return digits if re.fullmatch(r"\+\d{7,15}", digits) else None


def person_of_account(shop: ShopState, customer: CustomerRecord) -> Person:
    """An account, with what was written over REST on top of the invented identity."""
    who = invented(shop.settings.seed, customer.person) if customer.person else None
    fields, home = customer.fields, _home(shop, customer.person, customer.country)
    home = {**home, **_given(fields.get("billing"))}
    email = email_of(shop, customer) if who or "email" in fields else ""
    return Person(
        id=customer.id,
        record=customer,
        first_name=str(fields.get("first_name", who.first_name if who else "")) or None,
        last_name=str(fields.get("last_name", who.last_name if who else "")) or None,
        email=email or None,
        phone=international(str(home.get("phone", ""))),
        created=customer.created,
        modified=customer.modified,
        address=Address(customer.id, home) if home else None,
        consent=customer.consent,
        invented=who is not None,
    )


def person_of_cart(shop: ShopState, cart: CartRecord) -> Person | None:
    """Whose cart it is: an account, or somebody of whom only an e-mail is known."""
    held = shop.customers.get(cart.customer_id)
    if held is not None:
        return person_of_account(shop, held)
    email = billing_email(shop.settings.seed, cart.person) if cart.person else ""
    if not email:
        return None
    who = invented(shop.settings.seed, cart.person)
    return Person(
        id=GUEST_IDS + cart.id,
        record=None,
        first_name=who.first_name,
        last_name=who.last_name,
        email=email,
        phone=None,
        created=cart.created,
        modified=cart.modified,
        address=None,
        consent=None,
        invented=True,
    )


def billing_address(shop: ShopState, order: OrderRecord) -> Address:
    return Address(order.id, billing_of(shop, order))


def cart_address(shop: ShopState, cart: CartRecord) -> Address | None:
    home = _home(shop, cart.person, cart.country)
    return Address(cart.id, home) if home else None


def _home(shop: ShopState, person: str, country: str) -> Json:
    if not person:
        return {}
    who = invented(shop.settings.seed, person)
    return {
        "first_name": who.first_name,
        "last_name": who.last_name,
        "address_1": who.street,
        "city": who.city,
        "postcode": who.postcode,
        "country": country_code(country),
        "phone": who.phone,
    }


def _given(value: Any) -> Json:
    return dict(cast(Json, value)) if isinstance(value, dict) else {}
