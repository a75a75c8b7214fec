"""Canonical rows with their raw records, written straight into the tables of one tenant."""

from __future__ import annotations

from datetime import UTC, date, datetime, time
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import Table, insert

from crm_integration.quality.rules import rules_version
from crm_integration.storage.tables.canonical import (
    customer_identities,
    customers,
    order_lines,
    orders,
    refunds,
)
from crm_integration.storage.tables.commerce import (
    activities,
    carts,
    companies,
    consent_events,
    shipments,
)
from crm_integration.storage.tables.intake import raw_records
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration.tenancy.tenants import create_tenant


def add_tenant(tenancy: Tenancy, tenant: str) -> None:
    """A tenant with one store, `shop`."""
    create_tenant(tenancy, tenant, started_on=date(2010, 1, 1), actor="test")
    store = StoredConnection(
        connection_id="shop",
        side="store",
        platform="woocommerce",
        base_url="http://127.0.0.1:1",
        account_id=f"{tenant}.example.com",
    )
    with tenancy.scope(tenant) as scope:
        save_connection(scope, store, {"key": "invented"}, actor="test")


def add_raw(scope: TenantScope, day: date, source_id: str = "1", kind: str = "order") -> int:
    statement = insert(raw_records).values(
        tenant_id=scope.tenant,
        uid=uuid4(),
        connection_id="shop",
        object_type=kind,
        source_id=source_id,
        source_time=_noon(day),
        observation=1,
        day=day,
        digest=b"d",
        payload=b"p",
        run_id="run-0",
    )
    return scope.connection.execute(statement.returning(raw_records.c.raw_id)).scalar_one()


def add_customer(scope: TenantScope, day: date, **changes: Any) -> UUID:
    values = _version(scope, day, "customer") | {
        "customer_id": uuid4(),
        "connection_id": "shop",
        "kind": "registered",
    }
    scope.connection.execute(insert(customers).values(values | changes))
    return (values | changes)["customer_id"]


def add_order(
    scope: TenantScope, day: date, source_id: str, customer_id: UUID, **changes: Any
) -> UUID:
    """An order of one line at 2.50."""
    values = _version(scope, day, "order", source_id) | {
        "order_id": uuid4(),
        "connection_id": "shop",
        "source_id": source_id,
        "number": "536365",
        "customer_id": customer_id,
        "customer_kind": "registered",
        "customer_source_id": "7",
        "placed_at": _noon(day),
        "currency": "GBP",
        "total_minor": 250,
        "tax_minor": 0,
        "shipping_minor": 0,
        "discount_minor": 0,
        "financial_state": "paid",
        "fulfilment_state": "fulfilled",
        "store_status": "completed",
        "line_count": 1,
        "item_count": 2,
    }
    line = {name: changes.pop(name) for name in ("quantity", "unit_price") if name in changes}
    values |= changes
    scope.connection.execute(insert(orders).values(values))
    _add_line(scope, values["order_id"], line)
    return values["order_id"]


def _add_line(scope: TenantScope, order_id: UUID, changes: dict[str, Any]) -> None:
    texts = ("product_source_id", "variant_source_id", "sku", "title")
    values: dict[str, Any] = dict.fromkeys(texts, "x") | {
        "tenant_id": scope.tenant,
        "order_id": order_id,
        "position": 0,
        "quantity": 2,
        "unit_price": 1.25,
        "total_minor": 250,
        "tax_minor": 0,
    }
    scope.connection.execute(insert(order_lines).values(values | changes))


def add_refund(scope: TenantScope, day: date, source_id: str, **changes: Any) -> None:
    values = _version(scope, day, "refund", source_id) | {
        "refund_id": uuid4(),
        "connection_id": "shop",
        "source_id": source_id,
        "number": "C1",
        "refunded_at": _noon(day),
        "currency": "GBP",
        "amount_minor": 100,
    }
    scope.connection.execute(insert(refunds).values(values | changes))


def add_identity(scope: TenantScope, customer_id: UUID, source_id: str = "7") -> None:
    values = {
        "tenant_id": scope.tenant,
        "connection_id": "shop",
        "kind": "registered",
        "source_id": source_id,
        "customer_id": customer_id,
        "holder_key": b"h",
        "rule": "external_id",
    }
    scope.connection.execute(insert(customer_identities).values(values))


def add_company(scope: TenantScope, day: date, source_id: str, **changes: Any) -> None:
    _add(scope, companies, "company", day, source_id, {}, changes)


def add_consent(scope: TenantScope, day: date, source_id: str, **changes: Any) -> None:
    """Account 7 subscribes to e-mail at noon."""
    sound = {
        "customer_kind": "registered",
        "customer_source_id": "7",
        "channel": "email",
        "state": "subscribed",
        "level": "single",
        "explicit": True,
        "event_at": _noon(day),
        "timed_by": "store",
        "basis": "checkout",
    }
    _add(scope, consent_events, "consent", day, source_id, sound, changes, key="event_id")


def add_shipment(scope: TenantScope, day: date, source_id: str, **changes: Any) -> None:
    sound = {
        "order_source_id": "1",
        "order_id": uuid4(),
        "number": "1",
        "state": "shipped",
        "shipped_at": _noon(day),
        "carrier": "Invented Post",
        "item_count": 1,
    }
    _add(scope, shipments, "shipment", day, source_id, sound, changes)


def add_cart(scope: TenantScope, day: date, source_id: str, **changes: Any) -> None:
    sound = {
        "started_at": _noon(day),
        "cart_changed_at": _noon(day),
        "currency": "GBP",
        "total_minor": 250,
        "line_count": 1,
        "item_count": 2,
    }
    _add(scope, carts, "cart", day, source_id, sound, changes)


def add_activity(scope: TenantScope, day: date, source_id: str, **changes: Any) -> None:
    sound = {"kind": "note", "occurred_at": _noon(day), "number": ""}
    _add(scope, activities, "activity", day, source_id, sound, changes)


def _add(
    scope: TenantScope,
    table: Table,
    kind: str,
    day: date,
    source_id: str,
    sound: dict[str, Any],
    changes: dict[str, Any],
    key: str | None = None,
) -> None:
    named = {key or f"{kind}_id": uuid4(), "connection_id": "shop", "source_id": source_id}
    values = _version(scope, day, kind, source_id) | named | sound | changes
    scope.connection.execute(insert(table).values(values))


def _version(scope: TenantScope, day: date, kind: str, source_id: str = "1") -> dict[str, Any]:
    return {
        "tenant_id": scope.tenant,
        "source_time": _noon(day),
        "observation": 1,
        "raw_id": add_raw(scope, day, source_id, kind),
        "content_digest": b"c",
        "schema_version": 1,
        "rules_version": rules_version({}),
        "run_id": "run-0",
    }


def _noon(day: date) -> datetime:
    return datetime.combine(day, time(12), UTC)
