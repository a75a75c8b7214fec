"""Table schemas and column lineage for the catalogue, read from tables and mappings.

Prevents documentation that drifts: what the UI shows is what the code uses.
"""

from __future__ import annotations

from typing import Any

from dagster import (
    AssetKey,
    TableColumn,
    TableColumnConstraints,
    TableColumnDep,
    TableColumnLineage,
    TableSchema,
)

from crm_integration.crms._registry import crms
from crm_integration.mapping.load import load_mapping, object_types, versions
from crm_integration.settings import get_settings
from crm_integration.storage.tables import metadata

_SEALED = "Sealed: AES-256-GCM under the tenant's key."


def column_schema(table: str) -> TableSchema:
    """The columns of one of our tables."""
    return TableSchema(
        columns=[
            TableColumn(
                column.name,
                str(column.type).lower(),
                description=_SEALED if column.name in ("sealed", "payload", "desired") else None,
                constraints=TableColumnConstraints(nullable=bool(column.nullable)),
            )
            for column in metadata.tables[table].columns
        ]
    )


def mapped_columns(object_type: str, canonical: list[str]) -> dict[str, Any]:
    """Which canonical field each CRM field comes from, by the newest mapping of each CRM."""
    root = get_settings().mappings
    lineage: dict[str, list[TableColumnDep]] = {}
    for crm in crms():
        if object_type not in object_types(root, crm):
            continue
        mapping = load_mapping(root, crm, object_type, versions(root, crm, object_type)[-1])
        for name, rule in mapping.fields.items():
            lineage[name] = [TableColumnDep(AssetKey(canonical), path) for path in rule.paths]
    return {"dagster/column_lineage": TableColumnLineage(deps_by_column=lineage)}
