"""Shipments: parcels of an order, each with its own state.

Prevents the order that looks open for ever: a store may send the goods without touching the
order's own date or status, so parcels are objects of their own.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from crm_integration.canonical.model import CanonicalModel, StoreObject, UtcTime

SHIPMENT_SCHEMA = 1


class ShipmentState(StrEnum):
    """Where the parcel is."""

    pending = "pending"
    shipped = "shipped"
    delivered = "delivered"
    failed = "failed"
    cancelled = "cancelled"


class ShippedLine(CanonicalModel):
    """How many of which item lie in the parcel; `sku` or `line_source_id` may be empty."""

    sku: str = ""
    line_source_id: str = ""
    quantity: Annotated[int, Field(ge=0)]


class Shipment(StoreObject):
    """One parcel. `shipped_at` is None for one that has not left (a label alone)."""

    order_source_id: str
    number: str = ""
    state: ShipmentState
    shipped_at: UtcTime | None = None
    delivered_at: UtcTime | None = None
    carrier: str = ""
    tracking_number: str = ""
    tracking_url: str = ""
    lines: tuple[ShippedLine, ...] = ()
