"""What stores say, kept as raw records: one asset per object type."""

from __future__ import annotations

from dagster import AssetSpec

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs.columns import column_schema

GROUP = "store_extracts"
PLURAL = {name: f"{name}s" for name in ENTITIES}

_SAYS = {
    "customer": "Accounts as the stores list them. Stores without a filter are swept whole.",
    "product": "Products with their variants.",
    "order": "Orders with their lines; guests live in here, too.",
    "refund": "Refunds, each with the order it belongs to where the store names one.",
}

specs = [
    AssetSpec(
        [GROUP, PLURAL[name]],
        group_name=GROUP,
        skippable=True,
        description=(
            f"{_SAYS[name]}\n\nRaw records, sealed, exactly as they came. Re-run a partition to "
            "list its window again: what is unchanged is counted, not kept twice."
        ),
        kinds={"postgres"},
        metadata={"dagster/column_schema": column_schema("raw_records")},
    )
    for name in ENTITIES
]
