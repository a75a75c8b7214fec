"""What happens around an order: companies, consent, parcels, carts and the timeline."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Text,
    Uuid,
    text,
)

from crm_integration.storage.tables.canonical import (
    deletion_columns,
    index_needs_projection,
    version_columns,
)
from crm_integration.storage.tables.metadata import tenant_table

companies = tenant_table(
    "companies",
    Column("company_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("country", Text),
    Column("customers_count", Integer, nullable=False, server_default=text("0")),
    Column("sealed", LargeBinary),
    *version_columns(),
)

# One row for each change of what an identity said on a channel; never rewritten.
consent_events = tenant_table(
    "consent_events",
    Column("event_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("customer_kind", Text, nullable=False),
    Column("customer_source_id", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("level", Text, nullable=False),
    Column("explicit", Boolean, nullable=False),
    Column("event_at", DateTime(timezone=True), nullable=False),
    Column("timed_by", Text, nullable=False),  # `store`, `change` or `first_sight`
    Column("basis", Text, nullable=False),
    *version_columns(),
)
Index(
    "ix_consent_events_identity",
    consent_events.c.tenant_id,
    consent_events.c.connection_id,
    consent_events.c.customer_kind,
    consent_events.c.customer_source_id,
    consent_events.c.channel,
)

shipments = tenant_table(
    "shipments",
    Column("shipment_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("order_source_id", Text, nullable=False),
    Column("order_id", Uuid, nullable=False),
    Column("number", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("shipped_at", DateTime(timezone=True)),
    Column("delivered_at", DateTime(timezone=True)),
    Column("carrier", Text, nullable=False),
    Column("item_count", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    *version_columns(),
    *deletion_columns(),
)
Index("ix_shipments_order", shipments.c.tenant_id, shipments.c.order_id)

carts = tenant_table(
    "carts",
    Column("cart_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("customer_kind", Text),
    Column("customer_source_id", Text),
    Column("customer_id", Uuid),
    Column("order_source_id", Text),
    Column("order_id", Uuid),
    Column("started_at", DateTime(timezone=True), nullable=False),
    Column("cart_changed_at", DateTime(timezone=True), nullable=False),
    Column("store_abandoned_at", DateTime(timezone=True)),
    Column("swept_at", DateTime(timezone=True)),  # when it became abandoned, by our sweep
    Column("settled", Boolean, nullable=False, server_default=text("false")),
    Column("completed_at", DateTime(timezone=True)),
    Column("currency", Text, nullable=False),
    Column("total_minor", BigInteger, nullable=False),
    Column("line_count", Integer, nullable=False),
    Column("item_count", BigInteger, nullable=False),
    Column("sealed", LargeBinary),
    *version_columns(),
    *deletion_columns(),
)
Index("ix_carts_order", carts.c.tenant_id, carts.c.order_id)
Index("ix_carts_customer", carts.c.tenant_id, carts.c.customer_id)
# The sweep of each minute looks only at carts that could still become abandoned.
Index(
    "ix_carts_open",
    carts.c.tenant_id,
    carts.c.cart_changed_at,
    postgresql_where=carts.c.completed_at.is_(None)
    & carts.c.customer_id.is_not(None)
    & ~carts.c.settled,
)

activities = tenant_table(
    "activities",
    Column("activity_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("order_source_id", Text),
    Column("order_id", Uuid),
    Column("customer_kind", Text),
    Column("customer_source_id", Text),
    Column("customer_id", Uuid),
    Column("number", Text, nullable=False),
    Column("currency", Text),
    Column("amount_minor", BigInteger),
    Column("sealed", LargeBinary),
    *version_columns(),
)
Index("ix_activities_customer", activities.c.tenant_id, activities.c.customer_id)
Index("ix_activities_order", activities.c.tenant_id, activities.c.order_id)

for _table in (companies, carts, activities):
    index_needs_projection(_table)
