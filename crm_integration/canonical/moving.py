"""Canonical values that change in the ordinary course of business.

Prevents a hold over nothing: an order that is shipped, a customer who orders again and a cart
that fills are what a sync is for; what rewrites records is a name, a price or a date that
changes for many of them within a day.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_integration.canonical.carts import CartView
from crm_integration.canonical.customers import LifecycleStage

MOVING: Mapping[str, frozenset[str]] = {
    "company": frozenset({"customers_count"}),
    "customer": frozenset(
        {
            *("kind", "lifecycle_stage", "current_stage", "lifecycle_reason"),
            *("orders_count", "first_order_at", "last_order_at", "store", "store_customer_id"),
        }
    ),
    "order": frozenset(
        {
            *("store_status", "financial_state", "fulfilment_state", "paid_at", "cancelled_at"),
            *("refunded_minor", "refund_count", "shipment_count", "shipped_items"),
        }
    ),
    "cart": frozenset(CartView.model_fields),
}
"""Entity -> paths of its view."""

STAGES: tuple[str, ...] = tuple(stage.value for stage in LifecycleStage)
"""In the order a person moves through; a step back is never ordinary."""

FURTHEST_STAGE = "lifecycle_stage"
"""The path of the stage that never goes back."""
