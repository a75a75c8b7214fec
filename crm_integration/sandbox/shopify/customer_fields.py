"""The GraphQL fields of customers and addresses, with what they said about marketing mail.

Prevents the failure of consent that lives in one place only: Shopify tells it on the e-mail
address and, by its older name, on the customer; both agree here.
"""

from __future__ import annotations

from typing import Any

from crm_integration.sandbox.shopify.call import Call
from crm_integration.sandbox.shopify.listing import Few
from crm_integration.sandbox.shopify.lists import orders_listing
from crm_integration.sandbox.shopify.orders import OrderView
from crm_integration.sandbox.shopify.people import INVENTED_KEY, INVENTED_VALUE, Person
from crm_integration.sandbox.shopify.types import FieldTable, asked, connection, plain
from crm_integration.sandbox.shopify.values import Money, gid, moment, moment_or_none, money

_STATES = {
    "subscribed": "SUBSCRIBED",
    "unsubscribed": "UNSUBSCRIBED",
    "pending": "PENDING",
    "never_asked": "NOT_SUBSCRIBED",
}
_LEVELS = {"single": "SINGLE_OPT_IN", "confirmed": "CONFIRMED_OPT_IN", "unknown": "UNKNOWN"}


def consent_state(person: Person) -> str:
    return _STATES[person.consent.state] if person.consent else "NOT_SUBSCRIBED"


def consent_level(person: Person) -> str | None:
    return _LEVELS[person.consent.level] if person.consent else None


def _consent_time(person: Person) -> str | None:
    return moment_or_none(person.consent.at) if person.consent else None


def _orders(person: Person, call: Call) -> list[Any]:
    return call.operation.orders_of(person.id) if person.record else []


def _spent(person: Person, call: Call) -> Money:
    """What was paid and not given back, in the shop's currency alone."""
    currency = call.shop.settings.currency
    kept = [OrderView(call.shop, one) for one in _orders(person, call) if one.currency == currency]
    return money(sum(one.received_minor - one.record.refunded_minor for one in kept), currency)


def _last_order(person: Person, call: Call) -> OrderView | None:
    held = _orders(person, call)
    return OrderView(call.shop, held[-1]) if held else None


def _unsubscribe(person: Person, call: Call) -> str:
    return f"{call.shop.settings.public_url}/account/unsubscribe/{person.id}"


CUSTOMER: FieldTable = {
    "id": plain("ID!", lambda person: gid("Customer", person.id)),
    "legacyResourceId": plain("UnsignedInt64!", lambda person: str(person.id)),
    "firstName": plain("String", lambda person: person.first_name),
    "lastName": plain("String", lambda person: person.last_name),
    "displayName": plain("String!", lambda person: person.display_name),
    "email": plain("String", lambda person: person.email),
    "phone": plain("String", lambda person: person.phone),
    "defaultEmailAddress": plain("CustomerEmailAddress", lambda person: (
        person if person.email else None)),
    "defaultPhoneNumber": plain("CustomerPhoneNumber", lambda person: (
        person if person.phone else None)),
    "emailMarketingConsent": plain("CustomerEmailMarketingConsentState", lambda person: (
        person if person.email else None)),
    "smsMarketingConsent": plain("CustomerSmsMarketingConsentState", lambda person: (
        person if person.phone else None)),
    "createdAt": plain("DateTime!", lambda person: moment(person.created)),
    "updatedAt": plain("DateTime!", lambda person: moment(person.modified)),
    "note": plain("String", lambda _: None),
    "tags": plain("[String!]!", lambda person: (
        [f"{INVENTED_KEY}: {INVENTED_VALUE}"] if person.invented else [])),
    "state": plain("CustomerState!", lambda person: "ENABLED" if person.record else "DISABLED"),
    "verifiedEmail": plain("Boolean!", lambda person: person.record is not None),
    "taxExempt": plain("Boolean!", lambda _: False),
    "locale": plain("String!", lambda _: "en"),
    "numberOfOrders": asked("UnsignedInt64!", lambda person, call: str(
        len(_orders(person, call)))),
    "amountSpent": asked("MoneyV2!", _spent),
    "lastOrder": asked("Order", _last_order, scope="read_orders"),
    "defaultAddress": plain("MailingAddress", lambda person: person.address),
    "addresses": asked("[MailingAddress!]!", lambda person, _: (
        [person.address] if person.address else []), {"first": "Int"}),
    "addressesV2": connection("MailingAddressConnection!", lambda person, _: Few(
        [person.address] if person.address else [], lambda one: one.id)),
    "orders": connection("OrderConnection!", lambda person, call: orders_listing(
        call, _orders(person, call)), {"query": "String", "sortKey": "OrderSortKeys"},
        scope="read_orders"),
}  # fmt: skip

CUSTOMER_TABLES: dict[str, FieldTable] = {
    "Customer": CUSTOMER,
    "CustomerEmailAddress": {
        "emailAddress": plain("String!", lambda person: person.email),
        "marketingState": plain("CustomerEmailAddressMarketingState!", consent_state),
        "marketingOptInLevel": plain("CustomerMarketingOptInLevel", consent_level),
        "marketingUpdatedAt": plain("DateTime", _consent_time),
        "marketingUnsubscribeUrl": asked("URL!", _unsubscribe),
        "openTrackingLevel": plain("CustomerEmailAddressOpenTrackingLevel!", lambda _: "UNKNOWN"),
        "validFormat": plain("Boolean!", lambda _: True),
    },
    "CustomerPhoneNumber": {
        "phoneNumber": plain("String!", lambda person: person.phone),
        "marketingState": plain("CustomerSmsMarketingState!", lambda _: "NOT_SUBSCRIBED"),
        "marketingOptInLevel": plain("CustomerMarketingOptInLevel", lambda _: "SINGLE_OPT_IN"),
        "marketingUpdatedAt": plain("DateTime", lambda _: None),
        "smsMarketingConsent": plain("CustomerSmsMarketingConsent!", lambda person: person),
    },
    "CustomerSmsMarketingConsent": {
        "state": plain("CustomerMarketingConsentState!", lambda _: "NEVER_SUBSCRIBED"),
        "optInLevel": plain("CustomerMarketingOptInLevel", lambda _: None),
        "updatedAt": plain("DateTime", lambda _: None),
        "collectedFrom": plain("CustomerConsentCollectedFrom", lambda _: None),
    },
    "CustomerEmailMarketingConsentState": {
        "marketingState": plain("CustomerEmailMarketingState!", consent_state),
        "marketingOptInLevel": plain("CustomerMarketingOptInLevel", consent_level),
        "consentUpdatedAt": plain("DateTime", _consent_time),
    },
    "CustomerSmsMarketingConsentState": {
        "marketingState": plain("CustomerSmsMarketingState!", lambda _: "NOT_SUBSCRIBED"),
        "marketingOptInLevel": plain("CustomerMarketingOptInLevel!", lambda _: "SINGLE_OPT_IN"),
        "consentUpdatedAt": plain("DateTime", lambda _: None),
    },
    "MailingAddress": {
        "id": plain("ID!", lambda one: (
            gid("MailingAddress", one.id) + "?model_name=CustomerAddress")),
        "firstName": plain("String", lambda one: one.text("first_name")),
        "lastName": plain("String", lambda one: one.text("last_name")),
        "name": plain("String", lambda one: one.name),
        "company": plain("String", lambda one: one.text("company")),
        "address1": plain("String", lambda one: one.text("address_1")),
        "address2": plain("String", lambda one: one.text("address_2")),
        "city": plain("String", lambda one: one.text("city")),
        "province": plain("String", lambda one: one.text("state")),
        "provinceCode": plain("String", lambda one: one.text("state")),
        "zip": plain("String", lambda one: one.text("postcode")),
        "country": plain("String", lambda one: one.country),
        "countryCodeV2": plain("CountryCode", lambda one: one.code),
        "phone": plain("String", lambda one: one.text("phone")),
        "coordinatesValidated": plain("Boolean!", lambda _: False),
        "latitude": plain("Float", lambda _: None),
        "longitude": plain("Float", lambda _: None),
    },
}  # fmt: skip
