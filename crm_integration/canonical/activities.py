"""Activities: what happened, at one time, to be seen on a timeline.

Prevents the milestone told twice: each has an id made of what it is about (`order/17/paid`), so
that telling it again is telling the same one.
"""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

from crm_integration.canonical.consents import CustomerKindText
from crm_integration.canonical.model import (
    CanonicalModel,
    Currency,
    Minor,
    StoreObject,
    UtcTime,
)

ACTIVITY_SCHEMA = 1


class ActivityKind(StrEnum):
    """Milestones that we derive from orders and parcels, and what people did in the store."""

    order_placed = "order_placed"
    order_paid = "order_paid"
    order_cancelled = "order_cancelled"
    shipped = "shipped"
    delivered = "delivered"
    support = "support"
    note = "note"


class Activity(StoreObject):
    """One thing that happened. Of order and customer at least one is named.

    `amount_minor` with `currency` for milestones about money; `subject` and `body` hold what
    people wrote (personal, sealed).
    """

    kind: ActivityKind
    occurred_at: UtcTime
    order_source_id: str | None = None
    customer_kind: CustomerKindText | None = None
    customer_source_id: str | None = None
    number: str = ""
    currency: Currency | None = None
    amount_minor: Minor | None = None
    subject: str = ""
    body: str = ""


class ActivityView(CanonicalModel):
    """What a mapping of entity `activity` may read; `title` is our sentence for its kind."""

    id: UUID
    source_id: str
    kind: ActivityKind
    title: str
    occurred_at: UtcTime
    order_id: UUID | None
    order_number: str | None
    customer_id: UUID | None
    number: str
    currency: Currency | None
    amount_minor: Minor | None
    subject: str
    body: str
    store: str
