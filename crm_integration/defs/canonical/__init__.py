"""The one model, derived from raw records, with the checks that gate the CRM."""

from __future__ import annotations

from dagster import AssetCheckSpec, AssetSpec

from crm_integration.canonical.entities import ENTITIES
from crm_integration.defs.columns import column_schema
from crm_integration.defs.store_extracts import GROUP as EXTRACTS
from crm_integration.defs.store_extracts import PLURAL
from crm_integration.quality.suites import CHECKS

GROUP = "canonical"

_SAYS = {
    "customer": "People: accounts and guests, one row for one person by id or e-mail key.",
    "product": "Products with variants; money in minor units.",
    "order": "Orders with lines; where the money is and where the goods are, apart.",
    "refund": "Money given back, also without an order.",
}
_CHECKED = {
    "row_rules": "Rows that break a rule are quarantined; too many of them open a hold.",
    "set_rules": "One row per object, references that exist. A closed window that fails holds.",
}


def _deps(name: str) -> list[list[str]]:
    of = [[EXTRACTS, PLURAL[name]]]
    if name == "customer":
        of.append([EXTRACTS, "orders"])
    if name == "refund":
        of.append([GROUP, "orders"])
    if name == "order":
        of.append([GROUP, "customers"])
    return of


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
    for check in CHECKS
]
