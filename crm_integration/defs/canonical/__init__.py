"""The one model, derived from raw records, with the checks that gate the CRM."""

from __future__ import annotations

from dagster import AssetCheckSpec, AssetSpec

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs.columns import column_schema
from crm_integration.defs.store_extracts import GROUP as EXTRACTS
from crm_integration.defs.store_extracts import OBJECT_TYPES, PLURAL
from crm_integration.quality.suites import checks_of

GROUP = "canonical"

_SAYS = {
    "company": "Firms that customers buy for, by their name without case and legal form.",
    "customer": "People: accounts, guests and leads; one row for one person over all stores.",
    "consent": "Each change of what somebody said about being written to, with its own time.",
    "product": "Products with variants; money in minor units.",
    "order": "Orders with lines; where the money is and where the goods are, apart.",
    "refund": "Money given back, also without an order.",
    "shipment": "Parcels; they move their order's fulfilment state.",
    "cart": "Carts: open, abandoned (our sweep says when) or converted.",
    "activity": "The timeline: milestones of orders and parcels, and what people wrote.",
}
_CHECKED = {
    "row_rules": "Rows that break a rule are quarantined; too many of them open a hold.",
    "set_rules": "One row per object, references that exist. A closed window that fails holds.",
    "volume": (
        "A closed day with far fewer new rows than its weekday had lately holds; older days are "
        "only told."
    ),
    "drift": (
        "A path that the connector needs is gone or has another type: the store's API changed. "
        "It holds until a person accepts it."
    ),
}
_READ_FROM = {
    "customer": ("customer", "order", "cart"),
    "consent": ("customer",),
    "product": ("product",),
    "order": ("order",),
    "refund": ("refund", "order"),
    "shipment": ("shipment", "order"),
    "cart": ("cart",),
}
"""Entity -> the object types it may come in."""
_AFTER = {
    "company": ("customer",),
    "consent": ("customer",),
    "order": ("customer",),
    "refund": ("order",),
    "shipment": ("order",),
    "activity": ("order", "shipment"),
}


def _deps(name: str) -> list[list[str]]:
    read = [[EXTRACTS, PLURAL[one]] for one in _READ_FROM.get(name, ()) if one in OBJECT_TYPES]
    return [*read, *([GROUP, PLURAL[one]] for one in _AFTER.get(name, ()))]


specs = [
    AssetSpec(
        [GROUP, PLURAL[name]],
        group_name=GROUP,
        skippable=True,
        deps=_deps(name),
        description=(
            f"{_SAYS[name]}\n\nRe-run a partition to replay it: its objects are derived again "
            "from their newest raw records. Personal fields are sealed."
        ),
        kinds={"postgres"},
        metadata={"dagster/column_schema": column_schema(entity.table)},
    )
    for name, entity in ENTITIES.items()
]

check_specs = [
    AssetCheckSpec(check, asset=[GROUP, PLURAL[name]], description=_CHECKED[check])
    for name in ENTITIES
    for check in checks_of(name)
]
