"""Rules of customers, companies and consents.

Prevents a person from being written to on the word of a broken row: a consent is only believed
with a known state and a possible time.
"""

from __future__ import annotations

from crm_integration.canonical.consents import Channel, ConsentState, OptInLevel
from crm_integration.canonical.customers import CustomerKind
from crm_integration.quality.checks import Matches, NotEmpty
from crm_integration.quality.rule import (
    Rule,
    every_entity,
    flag,
    identity_exists,
    in_order,
    keep_back,
    one_of,
    plausible,
)

# One @, a dot in the domain, no blanks, 254 characters (RFC 5321); DNS is asked by nobody.
_EMAIL = r"(?=.{3,254}\Z)[^@\s\x00-\x1f<>,;]+@[^@\s\x00-\x1f<>,;.]+(?:\.[^@\s\x00-\x1f<>,;.]+)+"

CUSTOMER_RULES: tuple[Rule, ...] = (
    *every_entity("customer", ()),
    one_of("customer", "kind", CustomerKind),
    flag(
        "customer.email",
        Matches("email", _EMAIL),
        "email_unusable",
        "Correct the customer's e-mail address in the store.",
    ),
)

COMPANY_RULES: tuple[Rule, ...] = (
    *every_entity("company", ("name", "city")),
    keep_back(
        "company.name",
        NotEmpty("name"),
        "name_missing",
        "Give the company a name at its customers in the store.",
    ),
)

CONSENT_RULES: tuple[Rule, ...] = (
    # An event a change: one identity says many things, but each of them once.
    *every_entity("consent", ("customer_source_id", "basis"), one_row=("event_at", "state")),
    keep_back(
        "consent.customer_named",
        NotEmpty("customer_source_id"),
        "customer_id_missing",
        "The store did not say whose consent it is: report it to the store's support.",
    ),
    one_of("consent", "channel", Channel),
    one_of("consent", "state", ConsentState),
    one_of("consent", "level", OptInLevel),
    # Kept back, not flagged: an opt-in of the year 2150 would beat every later opt-out.
    plausible("consent", "consented_at", "Correct the time of the consent in the store."),
    in_order(
        "consent",
        "consented_at",
        "source_time",
        what="consent was given after the last change of who gave it",
    ),
    identity_exists("consent"),
)
