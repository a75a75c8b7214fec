"""How a table of tenant data is declared.

Prevents a table without walls: `tenant_table` puts `tenant_id` first into the key, ties it to
the tenant and marks the table, and the migrations give every marked table its policy.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Column, ForeignKey, MetaData, Table, Text
from sqlalchemy.schema import SchemaItem

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
    }
)


def tenant_table(name: str, *items: SchemaItem, **options: Any) -> Table:
    """A table of tenant data: `tenant_id` leads its key, row level security guards it."""
    tenant = Column("tenant_id", Text, ForeignKey("tenants.tenant_id"), primary_key=True)
    return Table(name, metadata, tenant, *items, info={"tenant": True}, **options)


def tenant_tables() -> tuple[Table, ...]:
    """Every table that holds tenant data, in creation order."""
    return tuple(table for table in metadata.sorted_tables if table.info.get("tenant"))
