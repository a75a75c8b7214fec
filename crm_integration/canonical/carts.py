"""Carts: what somebody was about to buy, abandoned or turned into an order.

Prevents two ways of nagging: a cart called abandoned that was bought from another device, and
one that is reported again at every look.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from crm_integration.canonical.consents import CustomerKindText
from crm_integration.canonical.model import (
    CanonicalModel,
    Currency,
    Minor,
    StoreObject,
    UtcTime,
)

CART_SCHEMA = 1


class CartState(StrEnum):
    """What became of the cart. `abandoned` is also derived by our own sweep; `deleted` is one that
    the store has no more and that never became an order."""

    open = "open"
    abandoned = "abandoned"
    converted = "converted"
    deleted = "deleted"


class CartLine(CanonicalModel):
    """One item in the cart; `unit_price` in major units as the store gave it."""

    position: Annotated[int, Field(ge=0)]
    sku: str = ""
    title: str = ""
    quantity: int
    unit_price: Decimal | None = None


class Cart(StoreObject):
    """One cart as the store holds it now.

    The customer identity is an account (`registered`), or for somebody known by an e-mail alone
    `lead` with this cart's `source_id` prefixed by `cart/`; both None for a cart of nobody.
    `changed_at` is when the shopper last touched it; `abandoned_at` only where the store itself
    says so. `completed_at` and `order_source_id` are set when it became an order.
    """

    customer_kind: CustomerKindText | None = None
    customer_source_id: str | None = None
    started_at: UtcTime
    changed_at: UtcTime
    abandoned_at: UtcTime | None = None
    completed_at: UtcTime | None = None
    order_source_id: str | None = None
    currency: Currency
    total_minor: Minor
    recovery_url: str = ""
    lines: tuple[CartLine, ...] = ()


class CartView(CanonicalModel):
    """What a mapping of entity `cart` may read. `state` is derived; `order_number` is that of
    the order the cart became, None so far."""

    id: UUID
    source_id: str
    customer_id: UUID | None
    order_id: UUID | None
    order_number: str | None
    state: CartState
    started_at: UtcTime
    changed_at: UtcTime
    abandoned_at: UtcTime | None
    completed_at: UtcTime | None
    currency: Currency
    total_minor: Minor
    line_count: int
    item_count: int
    recovery_url: str
    items: str
    """`2 x Mug, 1 x Plate`: at most ten lines, for people."""
    store: str
