"""What stores say, kept as raw records: one asset per object type of any connector."""

from __future__ import annotations

from dagster import AssetSpec

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs.columns import column_schema
from crm_integration.stores._registry import connector, platforms

GROUP = "store_extracts"
PLURAL = {name: entity.plural for name, entity in ENTITIES.items()}

_OFFERED = {name for one in platforms() for name in connector(one).manifest.object_types}
OBJECT_TYPES = tuple(name for name in ENTITIES if name in _OFFERED)
"""Every connector's object types are named like the entity they mainly stand for."""

_SAYS = {
    "customer": "Accounts as the stores list them. Stores without a filter are swept whole.",
    "product": "Products with their variants.",
    "order": "Orders with their lines and guests; with some stores refunds and parcels, too.",
    "refund": "Refunds, each with the order it belongs to where the store names one.",
    "shipment": "Parcels, of stores that list them apart from their orders.",
    "cart": "Carts and unfinished checkouts.",
}


def _listed_by(object_type: str) -> str:
    return ", ".join(
        connector(one).manifest.title
        for one in platforms()
        if object_type in connector(one).manifest.object_types
    )


specs = [
    AssetSpec(
        [GROUP, PLURAL[name]],
        group_name=GROUP,
        skippable=True,
        description=(
            f"{_SAYS[name]}\n\nRaw records, sealed, exactly as they came. Re-run a partition to "
            "list its window again: what is unchanged is counted, not kept twice.\n\nFrom: "
            f"{_listed_by(name)}."
        ),
        kinds={"postgres"},
        metadata={"dagster/column_schema": column_schema("raw_records")},
    )
    for name in OBJECT_TYPES
]
