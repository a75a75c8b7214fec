"""Tenants, their connections and sealed credentials, mapping versions in use, the audit trail."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from crm_integration.storage.tables.metadata import metadata, tenant_table

tenants = Table(
    "tenants",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("started_on", Date, nullable=False),
    Column("wrapped_keys", LargeBinary, nullable=False),
    Column("key_version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    CheckConstraint("tenant_id ~ '^[a-z0-9_-]{1,63}$'", name="slug"),
    info={"tenant": True},
)

connections = tenant_table(
    "connections",
    Column("connection_id", Text, primary_key=True),
    Column("side", Text, nullable=False),
    Column("platform", Text, nullable=False),
    Column("base_url", Text, nullable=False),
    Column("account_id", Text, nullable=False),
    Column("currency", Text),
    Column("timezone", Text),
    Column("settings", JSONB, nullable=False, server_default=text("'{}'::jsonb")),
    Column("created_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    CheckConstraint("side in ('store', 'crm')", name="side"),
)

# One CRM account belongs to one tenant, one shop too: two tenants on one account is a mix-up.
Index(
    "uq_connections_account",
    connections.c.side,
    connections.c.platform,
    connections.c.account_id,
    unique=True,
)

credentials = tenant_table(
    "credentials",
    Column("connection_id", Text, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("updated_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    # How the login stands (credentials/standing.py); all times by this database's clock.
    Column("state", Text, nullable=False, server_default="active"),
    Column("reason", Text),
    Column("state_since", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("expires_at", DateTime(timezone=True)),
    Column("renew_at", DateTime(timezone=True)),
    Column("failures", Integer, nullable=False, server_default=text("0")),
    Column("next_try_at", DateTime(timezone=True)),
    CheckConstraint(
        "state in ('active', 'refreshing', 'expiring', 'needs_reconnect', 'revoked', "
        "'missing_scope')",
        name="state",
    ),
    ForeignKeyConstraint(
        ["tenant_id", "connection_id"], ["connections.tenant_id", "connections.connection_id"]
    ),
)

# Each change of a login's state: what alerts are made of, and what a merchant was told when.
credential_changes = tenant_table(
    "credential_changes",
    Column("change_id", BigInteger, Identity(always=True), primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("before", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("changed_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    ForeignKeyConstraint(
        ["tenant_id", "connection_id"], ["connections.tenant_id", "connections.connection_id"]
    ),
)

Index(
    "ix_credential_changes_connection",
    credential_changes.c.tenant_id,
    credential_changes.c.connection_id,
    credential_changes.c.change_id.desc(),
)

mapping_versions = tenant_table(
    "mapping_versions",
    Column("mapping_id", Text, primary_key=True),
    Column("digest", Text, primary_key=True),
    Column("first_used_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)

audit_trail = tenant_table(
    "audit_trail",
    Column("entry_id", BigInteger, Identity(always=True), primary_key=True),
    Column("at", DateTime(timezone=True), nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("subject", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("previous", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
)
