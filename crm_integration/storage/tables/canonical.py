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


def version_columns() -> list[Column[object]]:
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


def deletion_columns() -> list[Column[object]]:
    """Since when the store has not had it any more, and the tombstone that says so."""
    return [
        Column("deleted_at", DateTime(timezone=True)),
        Column("deleted_raw_id", BigInteger),
    ]


def _consent_columns(channel: str) -> list[Column[object]]:
    """What the consent events of all the customer's identities come to."""
    return [
        Column(f"{channel}_consent", Text),
        Column(f"{channel}_consent_at", DateTime(timezone=True)),
        Column(f"{channel}_consent_basis", Text),
    ]


customers = tenant_table(
    "customers",
    Column("customer_id", Uuid, primary_key=True),
    Column("connection_id", Text),
    Column("kind", Text, nullable=False),
    Column("store_customer_id", Text),
    Column("registered_at", DateTime(timezone=True)),
    Column("lifecycle_stage", Text, nullable=False, server_default="lead"),
    Column("lapsed", Boolean, nullable=False, server_default=text("false")),
    Column("company_id", Uuid),
    *_consent_columns("email"),
    *_consent_columns("sms"),
    Column("orders_count", Integer, nullable=False, server_default=text("0")),
    Column("first_order_at", DateTime(timezone=True)),
    Column("last_order_at", DateTime(timezone=True)),
    Column("merged_into", Uuid),
    Column("known", Boolean, nullable=False, server_default=text("true")),
    Column("email_is_key", Boolean, nullable=False, server_default=text("true")),
    Column("needs_likeness", Boolean, nullable=False, server_default=text("true")),
    Column("sealed", LargeBinary),
    *version_columns(),
)
Index(
    "ix_customers_needs_likeness",
    customers.c.tenant_id,
    postgresql_where=customers.c.needs_likeness,
)

# Whose words count for whom: what was said of a customer counts for whom they became.
Index(
    "ix_customers_merged_into",
    customers.c.tenant_id,
    customers.c.merged_into,
    postgresql_where=customers.c.merged_into.is_not(None),
)

# Counting a company's people.
Index(
    "ix_customers_company",
    customers.c.tenant_id,
    customers.c.company_id,
    postgresql_where=customers.c.company_id.is_not(None),
)

# What each store object said about a person, and which customer that is. A row without
# `persona_key` was named by an order (or kept by schema 0001) and has not spoken so far.
customer_identities = tenant_table(
    "customer_identities",
    Column("connection_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("identity_id", Uuid),
    Column("customer_id", Uuid, nullable=False),
    Column("persona_key", LargeBinary),
    Column("email_key", LargeBinary),
    Column("place_key", LargeBinary),
    Column("holder_key", LargeBinary, nullable=False),
    Column("email_is_key", Boolean, nullable=False, server_default=text("true")),
    Column("rule", Text, nullable=False),
    Column("known", Boolean, nullable=False, server_default=text("false")),
    Column("trusted", Boolean, nullable=False, server_default=text("false")),
    Column("registered_at", DateTime(timezone=True)),
    Column("email_verified", Boolean),
    Column("sealed", LargeBinary),
    Column("source_time", DateTime(timezone=True)),
    Column("observation", SmallInteger),
    Column("raw_id", BigInteger),
    Column("content_digest", LargeBinary),
    Column("schema_version", SmallInteger),
    Column("rules_version", Text),
    Column("flags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("run_id", Text),
    Column("linked_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    *deletion_columns(),
)
Index(
    "ix_customer_identities_email",
    customer_identities.c.tenant_id,
    customer_identities.c.email_key,
    customer_identities.c.holder_key,
)
Index(
    "ix_customer_identities_place",
    customer_identities.c.tenant_id,
    customer_identities.c.place_key,
    customer_identities.c.holder_key,
    postgresql_where=customer_identities.c.place_key.is_not(None),
)
Index(
    "ix_customer_identities_persona",
    customer_identities.c.tenant_id,
    customer_identities.c.persona_key,
)
Index(
    "ix_customer_identities_identity",
    customer_identities.c.tenant_id,
    customer_identities.c.identity_id,
)
Index(
    "ix_customer_identities_customer",
    customer_identities.c.tenant_id,
    customer_identities.c.customer_id,
)

# One row for each time that somebody came to another customer; `identities` are the personas
# that came, by one identity each, the one that brought it first.
identity_merges = tenant_table(
    "identity_merges",
    Column("merge_id", BigInteger, Identity(always=True), primary_key=True),
    Column("loser", Uuid, nullable=False),
    Column("winner", Uuid, nullable=False),
    Column("rule", Text, nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("identities", ARRAY(Uuid), nullable=False, server_default=text("'{}'")),
    Column("merged_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("undone_at", DateTime(timezone=True)),
    Column("undone_by", Text),
    Column("undone_reason", Text),
)

# What a person decided about two identities, for ever or until decided again.
identity_decisions = tenant_table(
    "identity_decisions",
    Column("left_id", Uuid, primary_key=True),
    Column("right_id", Uuid, primary_key=True),
    Column("together", Boolean, nullable=False),
    Column("decided_by", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("decided_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
Index("ix_identity_decisions_right", identity_decisions.c.tenant_id, identity_decisions.c.right_id)

identity_suggestions = tenant_table(
    "identity_suggestions",
    Column("suggestion_id", BigInteger, Identity(always=True), primary_key=True),
    Column("left_customer", Uuid, nullable=False),
    Column("right_customer", Uuid, nullable=False),
    Column("rule", Text, nullable=False),
    Column("score", Numeric, nullable=False),
    Column("reasons", ARRAY(Text), nullable=False),
    Column("evidence", LargeBinary, nullable=False),
    Column("state", Text, nullable=False, server_default="open"),
    Column("suggested_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("decided_at", DateTime(timezone=True)),
    Column("decided_by", Text),
    Column("decided_reason", Text),
)
Index(
    "uq_identity_suggestions_pair",
    identity_suggestions.c.tenant_id,
    identity_suggestions.c.left_customer,
    identity_suggestions.c.right_customer,
    unique=True,
)

# Keyed digests of parts of a person; two customers in one block are compared.
identity_blocks = tenant_table(
    "identity_blocks",
    Column("block", LargeBinary, primary_key=True),
    Column("customer_id", Uuid, primary_key=True),
)
Index("ix_identity_blocks_customer", identity_blocks.c.tenant_id, identity_blocks.c.customer_id)

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
    *version_columns(),
    *deletion_columns(),
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
    Column("shipment_count", Integer, nullable=False, server_default=text("0")),
    Column("shipped_items", BigInteger, nullable=False, server_default=text("0")),
    Column("financial_state", Text, nullable=False),
    Column("fulfilment_state", Text, nullable=False),
    Column("store_status", Text, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("item_count", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    *version_columns(),
    *deletion_columns(),
)
# How many orders each day had.
Index("ix_orders_placed", orders.c.tenant_id, orders.c.placed_at)
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
    *version_columns(),
    *deletion_columns(),
)
Index("ix_refunds_order", refunds.c.tenant_id, refunds.c.order_id)
Index("ix_refunds_customer", refunds.c.tenant_id, refunds.c.customer_id)


def index_needs_projection(table: Table) -> None:
    """A projection reads only what changed, however large the table is."""
    Index(
        f"ix_{table.name}_needs_projection",
        table.c.tenant_id,
        postgresql_where=table.c.needs_projection,
    )


for _table in (customers, products, orders, refunds):
    index_needs_projection(_table)
