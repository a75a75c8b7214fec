"""A customer's node to the canonical customer and what the person said about marketing mail.

Prevents the newsletter to somebody who never asked for one: a state that is not known here, an
erased person and an invalid address permit nothing, whatever came before.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from crm_integration.canonical.consents import Channel, Consent, ConsentState, OptInLevel
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.stores._contract import JsonObject, Unreadable
from crm_integration.stores._payload import Reading, block, checked, moment, optional_moment
from crm_integration.stores.shopify.fields import address, required_id

_STATES = {
    "SUBSCRIBED": ConsentState.subscribed,
    "UNSUBSCRIBED": ConsentState.unsubscribed,
    "REDACTED": ConsentState.unsubscribed,
    "PENDING": ConsentState.pending,
    "NOT_SUBSCRIBED": ConsentState.never_asked,
    "NEVER_SUBSCRIBED": ConsentState.never_asked,
    "INVALID": ConsentState.never_asked,
}
_ODD_STATES = ("REDACTED", "INVALID")
_LEVELS = {"SINGLE_OPT_IN": OptInLevel.single, "CONFIRMED_OPT_IN": OptInLevel.confirmed}


def customer_objects(payload: JsonObject) -> Iterator[StoreObject]:
    """The customer, and a consent for each channel that the customer can be reached on."""
    yield _customer(payload)
    email = block(payload, "defaultEmailAddress")
    if email.get("emailAddress"):
        stated = {
            "state": email.get("marketingState"),
            "optInLevel": email.get("marketingOptInLevel"),
            "updatedAt": email.get("marketingUpdatedAt"),
        }
        yield _consent(payload, Channel.email, stated, "defaultEmailAddress.")
    phone = block(payload, "defaultPhoneNumber")
    if phone.get("phoneNumber"):
        path = "defaultPhoneNumber."
        stated = block(phone, "smsMarketingConsent", path)
        yield _consent(payload, Channel.sms, stated, f"{path}smsMarketingConsent.")


def _customer(payload: JsonObject) -> StoreObject:
    reading = Reading()
    # Shopify knows one default address and not what it is for: a CRM's contact has one as well.
    found = address(reading, payload, "defaultAddress", "billing")
    email = reading.text(block(payload, "defaultEmailAddress"), "emailAddress").strip() or None
    phone = reading.text(block(payload, "defaultPhoneNumber"), "phoneNumber")
    return checked(Customer, {
        "source_id": required_id(payload),
        "source_time": moment(payload, "updatedAt"),
        "kind": CustomerKind.registered,
        "email": email,
        "email_verified": _verified(payload) if email else None,
        "first_name": reading.text(payload, "firstName"),
        "last_name": reading.text(payload, "lastName"),
        "company": found["company"] if found else "",
        "phone": phone or (found["phone"] if found else ""),
        "registered_at": moment(payload, "createdAt"),
        "addresses": [found] if found else [],
        "flags": reading.flags,
    })  # fmt: skip


def _verified(payload: JsonObject) -> bool | None:
    value = payload.get("verifiedEmail")
    if value is None or isinstance(value, bool):
        return value
    raise Unreadable("wrong_type", field="verifiedEmail", fix="expected true or false")


def _consent(payload: JsonObject, channel: Channel, stated: JsonObject, path: str) -> StoreObject:
    reading = Reading()
    state = _state(reading, reading.text(stated, "state", path))
    level = _LEVELS.get(reading.text(stated, "optInLevel", path), OptInLevel.unknown)
    customer = required_id(payload)
    values: dict[str, Any] = {
        "source_id": f"registered/{customer}/{channel}",
        "source_time": moment(payload, "updatedAt"),
        "customer_kind": "registered",
        "customer_source_id": customer,
        "channel": channel,
        "state": state,
        "level": level,
        "explicit": _explicit(state, level),
        "basis": reading.text(stated, "collectedFrom", path).lower(),
    }
    if state is not ConsentState.never_asked:
        values["consented_at"] = optional_moment(stated, "updatedAt", path)
    return checked(Consent, {**values, "flags": reading.flags})


def _state(reading: Reading, stated: str) -> ConsentState:
    if stated in _ODD_STATES:
        reading.flag(f"consent_{stated.lower()}")
    if stated not in _STATES:
        reading.flag("consent_unknown")
    return _STATES.get(stated, ConsentState.never_asked)


def _explicit(state: ConsentState, level: OptInLevel) -> bool:
    """An opt-in without a level may be an import or a ticked box; an opt-out always counts."""
    if state is ConsentState.subscribed:
        return level is not OptInLevel.unknown
    return state is ConsentState.unsubscribed
