"""Invented views of each entity, as the engine hands them to a compiled mapping."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from crm_integration.canonical.activities import ActivityKind, ActivityView
from crm_integration.canonical.carts import CartState, CartView
from crm_integration.canonical.companies import CompanyView
from crm_integration.canonical.consents import ConsentState
from crm_integration.canonical.customers import (
    Address,
    CurrentStage,
    CustomerKind,
    CustomerView,
    LifecycleStage,
)
from crm_integration.canonical.orders import FinancialState, FulfilmentState, OrderView
from crm_integration.canonical.products import ProductView
from crm_integration.canonical.refunds import RefundView
from crm_integration.mapping.load import parse_mapping
from crm_integration.mapping.model import Mapping

MAPPINGS = Path(__file__).resolve().parents[2] / "mappings"
CUSTOMER = UUID("00000000-0000-4000-8000-000000000001")
ORDER = UUID("00000000-0000-4000-8000-000000000002")
COMPANY = UUID("00000000-0000-4000-8000-000000000003")
CART = UUID("00000000-0000-4000-8000-000000000004")
NOON = datetime(2026, 3, 1, 12, 0, 0, 250_000, tzinfo=UTC)

HEAD = """\
mapping: hubspot/contact
version: 1
entity: customer
object: contact
fields:
"""
GOOD = "  email: {from: email, transform: email, owner: store, rule: fill_empty, kind: text}\n"


def parsed(body: str, head: str = HEAD) -> Mapping:
    """A contact mapping with these field lines (or a whole file, with `head=""`)."""
    return parse_mapping((head + body).encode(), crm="hubspot", object_type="contact", version=1)


def customer(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": CUSTOMER, "kind": CustomerKind.registered, "email": "Ada@Example.com",
        "first_name": "Ada", "last_name": "Invented", "company": "", "phone": "030 901820",
        "registered_at": NOON, "shipping": None, "store": "main", "store_customer_id": "7",
        "billing": Address(kind="billing", line1="Nowhere 1", line2="Yard", city="Berlin",
                           postcode="10115", country="DE"),
        "lifecycle_stage": LifecycleStage.repeat, "current_stage": CurrentStage.lapsed,
        "lifecycle_reason": "no order for 400 days", "orders_count": 2,
        "first_order_at": NOON, "last_order_at": NOON, "company_id": None,
        "email_consent": ConsentState.subscribed, "email_consent_at": NOON,
        "email_consent_basis": "checkout", "sms_consent": None, "sms_consent_at": None,
        "sms_consent_basis": None,
    }  # fmt: skip
    return CustomerView(**(values | changes)).model_dump()


def order(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": ORDER, "source_id": "100", "number": "R-100", "customer_id": CUSTOMER,
        "is_guest": False, "placed_at": NOON, "paid_at": None, "currency": "EUR",
        "total_minor": 1234, "tax_minor": 197, "shipping_minor": 5, "discount_minor": 0,
        "refunded_minor": 1000, "refund_count": 1,
        "financial_state": FinancialState.partially_refunded,
        "fulfilment_state": FulfilmentState.unfulfilled, "store_status": "processing",
        "line_count": 2, "item_count": 3, "billing": None, "shipping": None, "store": "main",
        "shipment_count": 1, "shipped_items": 2,
    }  # fmt: skip
    return OrderView(**(values | changes)).model_dump()


def product(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": ORDER, "source_id": "9", "title": "Lamp", "sku": "L-1", "status": "active",
        "description": "Bright", "currency": "JPY", "price_minor": 1200, "variant_count": 0,
        "store": "main",
    }  # fmt: skip
    return ProductView(**(values | changes)).model_dump()


def refund(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": ORDER, "source_id": "55", "number": "C-55", "order_id": ORDER,
        "order_number": "R-100", "customer_id": CUSTOMER, "refunded_at": NOON, "currency": "EUR",
        "amount_minor": 1050, "reason": "", "store": "main",
    }  # fmt: skip
    return RefundView(**(values | changes)).model_dump()


def company(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": COMPANY, "name": "Invented & Sons", "city": "Berlin", "country": "DE",
        "customers_count": 2, "store": "main",
    }  # fmt: skip
    return CompanyView(**(values | changes)).model_dump()


def cart(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": CART, "source_id": "c-1", "customer_id": CUSTOMER, "order_id": None,
        "order_number": None, "state": CartState.abandoned, "started_at": NOON,
        "changed_at": NOON, "abandoned_at": NOON, "completed_at": None, "currency": "EUR",
        "total_minor": 2500, "line_count": 1, "item_count": 2,
        "recovery_url": "https://shop.example/recover/1", "items": "2 x Mug", "store": "main",
    }  # fmt: skip
    return CartView(**(values | changes)).model_dump()


def activity(**changes: Any) -> dict[str, Any]:
    values: dict[str, Any] = {
        "id": ORDER, "source_id": "order/100/paid", "kind": ActivityKind.order_paid,
        "title": "Order R-100 paid", "occurred_at": NOON, "order_id": ORDER,
        "order_number": "R-100", "customer_id": CUSTOMER, "number": "R-100", "currency": "EUR",
        "amount_minor": 1234, "subject": "", "body": "", "store": "main",
    }  # fmt: skip
    return ActivityView(**(values | changes)).model_dump()


VIEW_OF = {
    "company": company, "contact": customer, "product": product, "order": order,
    "refund": refund, "cart": cart, "activity": activity,
}  # fmt: skip
