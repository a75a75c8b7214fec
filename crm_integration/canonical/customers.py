"""Customers: account holders, guests and leads, as a store described them.

Prevents the split where a guest's order and the same person's account live in two shapes and
never meet: both are one model that differs in `kind`.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm_integration.canonical.consents import ConsentState
from crm_integration.canonical.model import CanonicalModel, StoreObject, UtcTime

CUSTOMER_SCHEMA = 1


class CustomerKind(StrEnum):
    """How the store knows the person; a registered account outranks a guest checkout."""

    registered = "registered"
    guest = "guest"
    lead = "lead"
    """Known by an e-mail alone: a cart left before checkout, a newsletter form."""


class LifecycleStage(StrEnum):
    """Derived from what the person did, in the order a person moves through (never back)."""

    lead = "lead"
    opportunity = "opportunity"
    customer = "customer"
    repeat = "repeat"


class CurrentStage(StrEnum):
    """Where the person stands today: the furthest stage, or lapsed when long not seen."""

    lead = "lead"
    opportunity = "opportunity"
    customer = "customer"
    repeat = "repeat"
    lapsed = "lapsed"


class Address(CanonicalModel):
    """A postal address; `country` is ISO 3166-1 alpha-2 or None where the store gave none."""

    kind: Annotated[str, Field(pattern="^(billing|shipping)$")]
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    line1: str = ""
    line2: str = ""
    city: str = ""
    region: str = ""
    postcode: str = ""
    country: Annotated[str, Field(pattern="^[A-Z]{2}$")] | None = None
    phone: str = ""

    def is_empty(self) -> bool:
        """True when the store sent the block but nothing in it."""
        return not any(value for name, value in self if name != "kind")


class Customer(StoreObject):
    """One person as one store object describes them.

    For `guest` the `source_id` is the order's id: each guest checkout is an identity of its own
    until a match key joins them; for `lead` it is `cart/<cart id>` or the form's own id. `email`
    is as the store sent it; the normalised form and the keyed match key are made by
    `identity.py`. `email_verified` is None where the store does not say.
    """

    kind: CustomerKind
    email: str | None = None
    email_verified: bool | None = None
    first_name: str = ""
    last_name: str = ""
    company: str = ""
    phone: str = ""
    registered_at: UtcTime | None = None
    addresses: tuple[Address, ...] = ()


class CustomerView(CanonicalModel):
    """What a mapping of entity `customer` may read: the resolved customer with its facts.

    `orders_count` counts orders that are neither cancelled nor failed; `lifecycle_stage` is the
    furthest stage they came to, `current_stage` may be lapsed, `lifecycle_reason` says why.
    `store_customer_id` is None for a person who only ever was a guest. `email_consent` is
    decided over all stores (`consent_decision.py`), None while nobody said anything.
    """

    id: UUID
    kind: CustomerKind
    email: str | None
    first_name: str
    last_name: str
    company: str
    phone: str
    registered_at: UtcTime | None
    billing: Address | None
    shipping: Address | None
    store: str
    store_customer_id: str | None
    lifecycle_stage: LifecycleStage
    current_stage: CurrentStage
    lifecycle_reason: str
    orders_count: int
    first_order_at: UtcTime | None
    last_order_at: UtcTime | None
    company_id: UUID | None
    email_consent: ConsentState | None
    email_consent_at: UtcTime | None
    email_consent_basis: str | None
    sms_consent: ConsentState | None
    sms_consent_at: UtcTime | None
    sms_consent_basis: str | None
