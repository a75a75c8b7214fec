"""Customers of customer.list, and what they said about being written to.

Prevents two inventions: a guest listed among the customers taken for an account, and an unticked
newsletter box taken for an opt-out.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any

from crm_integration.canonical.consents import Channel, Consent, ConsentState, OptInLevel
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.stores._contract import JsonObject, StoreContext, Unreadable
from crm_integration.stores._payload import checked, rows
from crm_integration.stores._php import section
from crm_integration.stores.api2cart.fields import Fields, required_id

CONSENT_UNKNOWN = "consent_unknown"
_STATES = {
    "subscribed": ConsentState.subscribed,
    "opted_in": ConsentState.subscribed,
    "unsubscribed": ConsentState.unsubscribed,
    "opted_out": ConsentState.unsubscribed,
    "pending": ConsentState.pending,
    "not_subscribed": ConsentState.never_asked,
    "never_asked": ConsentState.never_asked,
}
_LEVELS = {
    "single_opt_in": OptInLevel.single,
    "single": OptInLevel.single,
    "confirmed_opt_in": OptInLevel.confirmed,
    "double_opt_in": OptInLevel.confirmed,
    "confirmed": OptInLevel.confirmed,
}
_CHANNELS = {"email": Channel.email, "sms": Channel.sms, "phone": Channel.sms}


def customer_objects(payload: JsonObject, context: StoreContext) -> list[StoreObject]:
    """The customer (a guest where the cart says so) and the newest word on each channel."""
    source_id = required_id(payload, "a customer id")
    guest = _is_guest(payload)
    kind = CustomerKind.guest if guest else CustomerKind.registered
    # A guest's ids are order ids elsewhere: this one must not become an order's guest.
    source_id = f"customer/{source_id}" if guest else source_id
    fields = Fields(context)
    changed = fields.moment(payload, "modified_time", "created_time")
    customer = _customer(payload, source_id, kind, changed, fields)
    return [customer, *_consents(payload, source_id, kind, changed, context)]


def _is_guest(payload: JsonObject) -> bool:
    flags = (payload, section(payload, "additional_fields"))
    return any(holder.get("is_guest") is True for holder in flags) or (
        str(payload.get("status") or "").casefold() == "guest"
    )


def _customer(
    payload: JsonObject, source_id: str, kind: CustomerKind, changed: datetime, fields: Fields
) -> StoreObject:
    addresses = _addresses(payload, fields)
    first = addresses[0] if addresses else {}
    names = {name: fields.text(payload, name) for name in ("first_name", "last_name")}
    if not any(names.values()):  # is_account made at the checkout often have only an address
        names = {name: str(first.get(name, "")) for name in names}
    is_account = kind is CustomerKind.registered
    registered = fields.date(payload, "created_time") if is_account else None
    return checked(Customer, {
        "source_id": source_id,
        "source_time": changed,
        "kind": kind,
        "email": fields.text(payload, "email").strip() or None,
        **names,
        "company": fields.text(payload, "company") or str(first.get("company", "")),
        "phone": fields.text(payload, "phone") or str(first.get("phone", "")),
        "registered_at": registered,
        "addresses": addresses,
        "flags": fields.flags,
    })  # fmt: skip


def _addresses(payload: JsonObject, fields: Fields) -> list[dict[str, Any]]:
    """One billing and one shipping address of the book, its default ones first; an address of no
    type is a billing one."""
    book = list(enumerate(rows(payload, "address_book")))
    book.sort(key=lambda entry: entry[1].get("default") is not True)
    found: dict[str, dict[str, Any]] = {}
    for position, row in book:
        path = f"address_book[{position}]."
        kind = "shipping" if "shipping" in fields.text(row, "type", path).casefold() else "billing"
        if kind not in found and (address := fields.address_in(row, kind, path)):
            found[kind] = address
    return [found[kind] for kind in ("billing", "shipping") if kind in found]


def _consents(
    payload: JsonObject, source_id: str, kind: CustomerKind, changed: datetime,
    context: StoreContext,
) -> list[StoreObject]:  # fmt: skip
    said: dict[Channel, dict[str, Any]] = {}
    box = payload.get("news_letter_subscription")
    if isinstance(box, bool):
        # Ticked by default in many themes, and unticked says only that nobody ticked it.
        state = ConsentState.subscribed if box else ConsentState.never_asked
        said[Channel.email] = {"state": state, "basis": "news_letter_subscription"}
    for position, row in enumerate(rows(payload, "consents")):
        fields = Fields(context)
        channel = _CHANNELS.get(fields.text(row, "type", f"consents[{position}].").casefold())
        found = _entry(row, f"consents[{position}].", payload, changed, fields)
        if channel is not None and found is not None and _later(found, said.get(channel)):
            said[channel] = {**found, "flags": fields.flags}
    return [
        checked(Consent, {
            "source_id": f"{kind}/{source_id}/{channel}",
            "source_time": changed,
            "customer_kind": kind.value,
            "customer_source_id": source_id,
            "channel": channel,
            **values,
        })
        for channel, values in said.items()
    ]  # fmt: skip


def _later(found: dict[str, Any], known: dict[str, Any] | None) -> bool:
    """An entry outweighs the box, and the later entry an earlier one."""
    at, before = found.get("consented_at"), (known or {}).get("consented_at")
    return before is None or (at is not None and at >= before)


def _entry(
    row: JsonObject, path: str, payload: JsonObject, changed: datetime, fields: Fields
) -> dict[str, Any] | None:
    """One entry of `consents`: with a status, or with `given_at` and `expired_at`."""
    word = fields.text(row, "status", path).casefold()
    given = _when(row, "given_at", path, payload, fields)
    ended = _when(row, "expired_at", path, payload, fields)
    if word:
        state = _STATES.get(word)
        at = _when(row, "modified_time", path, payload, fields) or given
    elif ended is not None and ended <= changed:
        state, at = ConsentState.unsubscribed, ended
    else:
        state, at = (ConsentState.subscribed if given else None), given
    if state is None:  # neither permits nor forbids: said by nobody we understand
        fields.flag(CONSENT_UNKNOWN)
        return {"state": ConsentState.never_asked, "basis": "consents"}
    asked = state is not ConsentState.never_asked
    return {
        "state": state,
        "level": _LEVELS.get(fields.text(row, "opt_in_level", path).casefold(), OptInLevel.unknown),
        "explicit": asked,
        "consented_at": at if asked else None,
        "basis": fields.text(row, "source", path) or "consents",
    }


def _when(
    row: JsonObject, name: str, path: str, payload: JsonObject, fields: Fields
) -> datetime | None:
    """A time of a consent: `{value, format}`, or bare text in the form of the customer's dates."""
    value = row.get(name)
    if value is None or value == "" or isinstance(value, dict):
        return fields.date(row, name, path)
    for holder in ("modified_time", "created_time"):
        form = section(payload, holder).get("format")
        if form:
            return fields.date({name: {"value": value, "format": form}}, name, path)
    raise Unreadable("unknown_date_format", field=f"{path}{name}", fix="the time names no format")
