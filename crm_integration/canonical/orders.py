"""Orders with their lines; the money state and the parcel state are two fields.

Prevents the classic loss where `completed` hides that an order was half refunded: financial
and fulfilment state move independently.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm_integration.canonical.consents import CustomerKindText
from crm_integration.canonical.customers import Address
from crm_integration.canonical.model import CanonicalModel, Currency, Minor, StoreObject, UtcTime

ORDER_SCHEMA = 1


class FinancialState(StrEnum):
    """Where the money is."""

    pending = "pending"
    paid = "paid"
    partially_refunded = "partially_refunded"
    refunded = "refunded"
    cancelled = "cancelled"
    failed = "failed"


class FulfilmentState(StrEnum):
    """Where the goods are."""

    unfulfilled = "unfulfilled"
    partial = "partial"
    fulfilled = "fulfilled"


class OrderLine(CanonicalModel):
    """One line. Its identity is its `position` (from 0): shops repeat (invoice, item) pairs.

    `unit_price` is a decimal in major units as the store gave it (prices below a cent exist);
    `total_minor` is what was charged for the line without tax.
    """

    position: Annotated[int, Field(ge=0)]
    product_source_id: str = ""
    variant_source_id: str = ""
    sku: str = ""
    title: str = ""
    quantity: int
    unit_price: Decimal
    total_minor: Minor
    tax_minor: Minor = 0


class Order(StoreObject):
    """One order as the store holds it now. All `*_minor` are in `currency`'s minor units.

    `customer_kind` and `customer_source_id` name the customer identity: the account's id, or
    for a guest this order's own `source_id`. `total_minor` includes tax and shipping.
    """

    number: str
    customer_kind: CustomerKindText
    customer_source_id: str
    email: str | None = None
    placed_at: UtcTime
    paid_at: UtcTime | None = None
    cancelled_at: UtcTime | None = None
    currency: Currency
    total_minor: Minor
    tax_minor: Minor = 0
    shipping_minor: Minor = 0
    discount_minor: Minor = 0
    financial_state: FinancialState
    fulfilment_state: FulfilmentState
    store_status: str = ""
    note: str = ""
    billing: Address | None = None
    shipping: Address | None = None
    lines: tuple[OrderLine, ...] = ()


class OrderView(CanonicalModel):
    """What a mapping of entity `order` may read; refunds are summed from canonical refunds."""

    id: UUID
    source_id: str
    number: str
    customer_id: UUID
    is_guest: bool
    placed_at: UtcTime
    paid_at: UtcTime | None
    currency: Currency
    total_minor: Minor
    tax_minor: Minor
    shipping_minor: Minor
    discount_minor: Minor
    refunded_minor: Minor
    refund_count: int
    financial_state: FinancialState
    fulfilment_state: FulfilmentState
    store_status: str
    line_count: int
    item_count: int
    shipment_count: int
    shipped_items: int
    billing: Address | None
    shipping: Address | None
    store: str
