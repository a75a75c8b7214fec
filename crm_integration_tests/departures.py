"""What a store tells of a deletion on each platform, and a run that goes the whole way."""

from __future__ import annotations

from datetime import date
from itertools import count
from typing import Any

import orjson

from crm_integration.canonical.entities import ENTITIES
from crm_integration.intake.drop_table import put
from crm_integration.storage.engine import engine_for
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House as OpenHouse
from crm_integration.sync.path import run_path
from crm_integration.sync.report import PathReport, Selection
from crm_integration_tests.house import MAPPINGS, Tenant

SPRING = Window(date(2024, 2, 1), date(2024, 5, 1))
"""The shops' clocks stand in March."""

EVERYTHING = Selection(
    frozenset({"customer", "product", "order", "refund", "shipment", "cart"}),
    frozenset(ENTITIES),
    frozenset({"company", "contact", "product", "order", "refund", "cart", "activity"}),
)
_RUNS = count(1)
_PLURAL = {"order": "orders", "customer": "customers", "product": "products", "cart": "checkouts"}


def run(tenant: Tenant, window: Window = SPRING, *, problems: bool = False) -> PathReport:
    """One run of the engine; nothing may go wrong unless `problems`."""
    opened = OpenHouse(tenant.house.engines, MAPPINGS)
    report = run_path(opened, tenant.name, [window], EVERYTHING, run_id=f"run{next(_RUNS)}")
    assert problems or not report.problems, report.problems
    return report


def tells_deleted(tenant: Tenant, object_type: str, number: int) -> None:
    """The delivery that says this object was deleted, as the tenant's platform sends it.

    WooCommerce and Shopify name the object alone; API2Cart's body is the object's id as well.
    """
    platform = tenant.store.platform
    if platform == "woocommerce":
        headers = {"x-wc-webhook-topic": f"{object_type}.deleted"}
    elif platform == "shopify":
        headers = {"x-shopify-topic": f"{_PLURAL[object_type]}/delete"}
    else:
        entity = "order.abandoned" if object_type == "cart" else object_type
        headers = {"x-webhook-entity": entity, "x-webhook-action": "delete"}
    delivers(tenant, headers, {"id": number})


def delivers(tenant: Tenant, headers: dict[str, str], body: Any) -> None:
    """A delivery as role crm_intake puts it into the drop table."""
    with tenant.scope() as scope:
        keys = scope.keys
    with engine_for(tenant.house.urls.intake).begin() as connection:
        put(connection, keys, "main", headers, orjson.dumps(body))


def tombstones(tenant: Tenant, object_type: str) -> list[str]:
    """Source ids of which a tombstone was kept, one for each."""
    rows = tenant.rows(
        "select source_id from raw_records where 'gone' = any(flags) and object_type = :t"
        " order by raw_id",
        t=object_type,
    )
    return [row.source_id for row in rows]
