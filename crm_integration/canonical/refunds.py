"""Refunds, also those that no order is known for.

Prevents money that was given back from vanishing because the store could not say which order
it belonged to.
"""

from __future__ import annotations

from uuid import UUID

from crm_integration.canonical.model import CanonicalModel, Currency, Minor, StoreObject, UtcTime

REFUND_SCHEMA = 1


class Refund(StoreObject):
    """Money given back. `amount_minor` is positive when money went to the customer.

    `order_source_id` is None for a refund without an order; the customer identity is then
    named here, otherwise it is the order's. A refund <= 0 is kept with the flag
    `refund_not_positive`.
    """

    order_source_id: str | None = None
    customer_kind: str | None = None
    customer_source_id: str | None = None
    number: str = ""
    refunded_at: UtcTime
    currency: Currency
    amount_minor: Minor
    reason: str = ""


class RefundView(CanonicalModel):
    """What a mapping of entity `refund` may read; `order_number` is None without an order."""

    id: UUID
    source_id: str
    number: str
    order_id: UUID | None
    order_number: str | None
    customer_id: UUID | None
    refunded_at: UtcTime
    currency: Currency
    amount_minor: Minor
    reason: str
    store: str
