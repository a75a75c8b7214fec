"""The CRM side: what each record should hold, sent once in effect."""

from __future__ import annotations

from dagster import AssetSpec

from crm_integration.defs.canonical import GROUP as CANONICAL
from crm_integration.defs.columns import column_schema, mapped_columns
from crm_integration.defs.store_extracts import PLURAL
from crm_integration.mapping.paths import mappable_entities

GROUP = "crm_sync"
OBJECTS = {
    "company": "company",
    "contact": "customer",
    "product": "product",
    "order": "order",
    "refund": "refund",
    "cart": "cart",
    "activity": "activity",
}
"""CRM object type -> the entity it is mapped from; in the order in which they are sent."""

NAMES = {
    "company": "companies",
    "contact": "contacts",
    "product": "products",
    "order": "orders",
    "refund": "refunds",
    "cart": "carts",
    "activity": "activities",
}

_BEFORE = {
    "contact": ["company"],
    "order": ["contact"],
    "refund": ["contact", "order"],
    "cart": ["contact", "order"],
    "activity": ["contact", "order"],
}


def _deps(object_type: str) -> list[list[str]]:
    own = [[CANONICAL, PLURAL[OBJECTS[object_type]]]]
    return own + [[GROUP, NAMES[name]] for name in _BEFORE.get(object_type, [])]


def _description(object_type: str) -> str:
    says = {
        "company": "Companies, found by their names. What sales entered keeps its values.",
        "contact": "Contacts. What sales entered before us is adopted and keeps its values.",
        "product": "Products.",
        "order": "Orders, tied to their contacts.",
        "refund": "Refunds as notes on order and contact.",
        "cart": "Carts; the same record when one is abandoned and when it becomes an order.",
        "activity": "The timeline: one note for each milestone of an order or a parcel.",
    }
    return (
        f"{says[object_type]}\n\nWrites only what changed, and nothing while a hold is open for "
        "this type. Running it again over unchanged data makes no call."
    )


specs = [
    AssetSpec(
        [GROUP, NAMES[object_type]],
        group_name=GROUP,
        skippable=True,
        deps=_deps(object_type),
        description=_description(object_type),
        kinds={"crm"},
        metadata={
            "dagster/column_schema": column_schema("ledger"),
            **mapped_columns(object_type, [CANONICAL, PLURAL[entity]]),
        },
    )
    for object_type, entity in OBJECTS.items()
]
assert set(OBJECTS.values()) == set(mappable_entities())  # noqa: S101 - each has its CRM asset
