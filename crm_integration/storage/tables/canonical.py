"""Canonical tables: what may be searched is a column, what is personal lies in `sealed`."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_integration.storage.tables.metadata import tenant_table


def _version_columns() -> list[Column[object]]:
    """The order of versions, the trace to the raw record, and what the gate asks for."""
    return [
        Column("rank", SmallInteger, nullable=False, server_default=text("0")),
        Column("source_time", DateTime(timezone=True), nullable=False),
        Column("observation", SmallInteger, nullable=False),
        Column("raw_id", BigInteger, nullable=False),
        Column("content_digest", LargeBinary, nullable=False),
        Column("schema_version", SmallInteger, nullable=False),
        Column("rules_version", Text, nullable=False),
        Column("flags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
        Column("run_id", Text, nullable=False),
        Column("changed_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
        Column("needs_projection", Boolean, nullable=False, server_default=text("true")),
    ]


customers = tenant_table(
    "customers",
    Column("customer_id", Uuid, primary_key=True),
    Column("connection_id", Text),
    Column("kind", Text, nullable=False),
    Column("store_customer_id", Text),
    Column("registered_at", DateTime(timezone=True)),
    Column("lifecycle_stage", Text, nullable=False, server_default="lead"),
    Column("orders_count", Integer, nullable=False, server_default=text("0")),
    Column("first_order_at", DateTime(timezone=True)),
    Column("last_order_at", DateTime(timezone=True)),
    Column("merged_into", Uuid),
    Column("known", Boolean, nullable=False, server_default=text("true")),
    Column("sealed", LargeBinary),
    *_version_columns(),
)

customer_identities = tenant_table(
    "customer_identities",
    Column("connection_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("customer_id", Uuid, nullable=False),
    Column("email_key", LargeBinary),
    Column("holder_key", LargeBinary, nullable=False),
    Column("rule", Text, nullable=False),
    Column("raw_id", BigInteger),
    Column("linked_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
Index(
    "ix_customer_identities_email", customer_identities.c.tenant_id, customer_identities.c.email_key
)
Index(
    "ix_customer_identities_customer",
    customer_identities.c.tenant_id,
    customer_identities.c.customer_id,
)

identity_merges = tenant_table(
    "identity_merges",
    Column("merge_id", BigInteger, Identity(always=True), primary_key=True),
    Column("loser", Uuid, nullable=False),
    Column("winner", Uuid, nullable=False),
    Column("rule", Text, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("merged_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)

addresses = tenant_table(
    "addresses",
    Column("customer_id", Uuid, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("country", Text),
    Column("sealed", LargeBinary, nullable=False),
)

products = tenant_table(
    "products",
    Column("product_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("currency", Text, nullable=False),
    Column("price_minor", BigInteger),
    Column("variants", JSONB, nullable=False),
    *_version_columns(),
)

orders = tenant_table(
    "orders",
    Column("order_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("customer_id", Uuid, nullable=False),
    Column("customer_kind", Text, nullable=False),
    Column("customer_source_id", Text, nullable=False),
    Column("placed_at", DateTime(timezone=True), nullable=False),
    Column("paid_at", DateTime(timezone=True)),
    Column("cancelled_at", DateTime(timezone=True)),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
    Column("shipping_minor", BigInteger, nullable=False),
    Column("discount_minor", BigInteger, nullable=False),
    Column("refunded_minor", BigInteger, nullable=False, server_default=text("0")),
    Column("refund_count", Integer, nullable=False, server_default=text("0")),
    Column("financial_state", Text, nullable=False),
    Column("fulfilment_state", Text, nullable=False),
    Column("store_status", Text, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("item_count", Integer, nullable=False),
    Column("sealed", LargeBinary),
    *_version_columns(),
)
Index("ix_orders_customer", orders.c.tenant_id, orders.c.customer_id)
Index("ix_orders_source", orders.c.tenant_id, orders.c.connection_id, orders.c.source_id)

order_lines = tenant_table(
    "order_lines",
    Column("order_id", Uuid, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("product_source_id", Text, nullable=False),
    Column("variant_source_id", Text, nullable=False),
    Column("sku", Text, nullable=False),
    Column("title", Text, nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("unit_price", Numeric, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("tax_minor", BigInteger, nullable=False),
)

refunds = tenant_table(
    "refunds",
    Column("refund_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("number", Text, nullable=False),
    Column("order_source_id", Text),
    Column("order_id", Uuid),
    Column("customer_id", Uuid),
    Column("customer_kind", Text),
    Column("customer_source_id", Text),
    Column("refunded_at", DateTime(timezone=True), nullable=False),
    Column("currency", Text, nullable=False),
    Column("amount_minor", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    *_version_columns(),
)
Index("ix_refunds_order", refunds.c.tenant_id, refunds.c.order_id)


def _index_needs_projection(table: Table) -> None:
    """A projection reads only what changed, however large the table is."""
    Index(
        f"ix_{table.name}_needs_projection",
        table.c.tenant_id,
        postgresql_where=table.c.needs_projection,
    )


for _table in (customers, products, orders, refunds):
    _index_needs_projection(_table)
