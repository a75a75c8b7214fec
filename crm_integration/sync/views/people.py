"""People and companies as mappings read them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from functools import lru_cache
from typing import Any
from uuid import UUID

from sqlalchemy import Row, Select, Uuid, any_, bindparam, select
from sqlalchemy.dialects.postgresql import ARRAY

from crm_integration.canonical.customers import LifecycleStage
from crm_integration.canonical.sourced import open_fields
from crm_integration.storage.tables.canonical import addresses, customers
from crm_integration.storage.tables.commerce import companies
from crm_integration.sync.views.projectable import (
    Asked,
    Choice,
    Projectable,
    View,
    chosen,
    picked,
    projectable,
    waiting_rows,
)
from crm_integration.tenancy.scope import TenantScope

_CONSENT = tuple(
    f"{channel}_consent{part}" for channel in ("email", "sms") for part in ("", "_at", "_basis")
)

SHOWN = (customers.c.known, customers.c.merged_into.is_(None))
"""Customers of whom more is known than that somebody named them, and who are nobody else."""


def read_customers(scope: TenantScope, choice: Choice) -> list[Projectable]:
    rows = chosen(scope, choice, _customers)
    places = _addresses(scope, [row.customer_id for row in rows])
    return [
        projectable(
            row.customer_id,
            row,
            {
                "id": row.customer_id,
                "kind": row.kind,
                **open_fields(scope, "customers", str(row.customer_id), row.sealed),
                "registered_at": row.registered_at,
                "billing": places[row.customer_id].get("billing"),
                "shipping": places[row.customer_id].get("shipping"),
                "store": row.connection_id,
                "store_customer_id": row.store_customer_id,
                "lifecycle_stage": row.lifecycle_stage,
                "current_stage": "lapsed" if row.lapsed else row.lifecycle_stage,
                "lifecycle_reason": _reason(row),
                "orders_count": row.orders_count,
                "first_order_at": row.first_order_at,
                "last_order_at": row.last_order_at,
                "company_id": row.company_id,
                **picked(row, _CONSENT),
            },
            email_is_key=row.email_is_key,
        )
        for row in rows
    ]


@lru_cache(maxsize=16)
def _customers(asked: Asked) -> Select[Any]:
    return waiting_rows(customers, asked).where(*SHOWN)


@lru_cache(maxsize=16)
def _companies(asked: Asked) -> Select[Any]:
    return waiting_rows(companies, asked)


_ADDRESSES = select(addresses).where(
    addresses.c.tenant_id == bindparam("tenant"),
    addresses.c.customer_id == any_(bindparam("ids", type_=ARRAY(Uuid))),
)


def _addresses(scope: TenantScope, ids: Collection[UUID]) -> dict[UUID, dict[str, View]]:
    found: dict[UUID, dict[str, View]] = defaultdict(dict)
    rows = scope.connection.execute(_ADDRESSES, {"tenant": scope.tenant, "ids": list(ids)})
    for row in rows:
        name = f"{row.customer_id}/{row.kind}"
        found[row.customer_id][row.kind] = {
            "kind": row.kind,
            **open_fields(scope, "addresses", name, row.sealed),
        }
    return found


def _reason(row: Row[Any]) -> str:
    """Why the person stands where they stand, for people."""
    if row.orders_count == 0:
        return "no order so far"
    number = "1 order" if row.orders_count == 1 else f"{row.orders_count} orders"
    if row.lifecycle_stage == LifecycleStage.opportunity:
        return f"{number}, none of them paid"
    last = f"{number}, the last on {row.last_order_at:%Y-%m-%d}"
    return f"{last}: nothing since" if row.lapsed else last


def read_companies(scope: TenantScope, choice: Choice) -> list[Projectable]:
    """Companies; `store` is the connection whose customer named them last."""
    rows = chosen(scope, choice, _companies)
    return [
        projectable(
            row.company_id,
            row,
            {
                "id": row.company_id,
                **open_fields(scope, "companies", str(row.company_id), row.sealed),
                "country": row.country,
                "customers_count": row.customers_count,
                "store": row.connection_id,
            },
        )
        for row in rows
    ]
