"""What goes to the CRM: the ledger, its attempts, the bindings, and the calls' budgets."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Double,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_integration.storage.tables.metadata import metadata, tenant_table

ledger = tenant_table(
    "ledger",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("object_id", Uuid, primary_key=True),
    Column("state", Text, nullable=False),
    Column("reason", Text),
    Column("desired", LargeBinary, nullable=False),
    Column("desired_digest", LargeBinary, nullable=False),
    Column("desired_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("source_time", DateTime(timezone=True), nullable=False),
    Column("raw_id", BigInteger, nullable=False),
    Column("mapping_id", Text, nullable=False),
    Column("mapping_digest", Text, nullable=False),
    Column("rules_version", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("needs", ARRAY(Uuid), nullable=False, server_default=text("'{}'")),
    Column("sending", LargeBinary),
    Column("sending_digest", LargeBinary),
    Column("sending_mapping_id", Text),
    Column("sending_raw_id", BigInteger),
    # What was sent before `sending` without an answer, until one shows what stands.
    Column("unclear", ARRAY(LargeBinary), nullable=False, server_default=text("'{}'")),
    Column("claim_id", Uuid),
    Column("claim_expires_at", DateTime(timezone=True)),
    Column("written_digest", LargeBinary),
    Column("written_at", DateTime(timezone=True)),
    Column("written_mapping_id", Text),
    Column("written_raw_id", BigInteger),
    Column("written_run_id", Text),
    Column("associated", ARRAY(Uuid), nullable=False, server_default=text("'{}'")),
    Column("tries", Integer, nullable=False, server_default=text("0")),
    Column("next_try_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("waiting_since", DateTime(timezone=True)),
    # A person's edit of a dead letter: what was desired before it, and the digest of that. It
    # stands until something else is desired.
    Column("edited_from", LargeBinary),
    Column("edited_from_digest", LargeBinary),
)
Index(
    "ix_ledger_due",
    ledger.c.tenant_id,
    ledger.c.connection_id,
    ledger.c.object_type,
    ledger.c.next_try_at,
    ledger.c.object_id,
    postgresql_where=ledger.c.state.in_(("pending", "retry", "unknown", "in_flight", "parked")),
)

# What a hold keeps back is few and is looked for at every run.
Index(
    "ix_ledger_held",
    ledger.c.tenant_id,
    ledger.c.connection_id,
    ledger.c.object_type,
    postgresql_where=ledger.c.state == "held",
)

# Who was merged into somebody is few and is looked for at every run that may archive.
Index(
    "ix_ledger_skipped",
    ledger.c.tenant_id,
    ledger.c.connection_id,
    ledger.c.object_type,
    postgresql_where=ledger.c.state == "skipped",
)

# Written out: a planner that is handed the state as a parameter cannot tell which index serves.
IS_LOOSE = literal_column(
    "(ledger.state = 'synced'"
    " and (ledger.reason is not null or not ledger.needs <@ ledger.associated))",
    Boolean,
)
"""A row that was written, but lacks a tie to a record it belongs to, or a field."""

Index(
    "ix_ledger_loose",
    ledger.c.tenant_id,
    ledger.c.connection_id,
    ledger.c.object_type,
    postgresql_where=text("state = 'synced' and (reason is not null or not needs <@ associated)"),
)

# Whether something was made by other rules than today's is asked at every run.
Index(
    "ix_ledger_mapping",
    ledger.c.tenant_id,
    ledger.c.connection_id,
    ledger.c.object_type,
    ledger.c.mapping_digest,
)

# Links name an object, not its type.
Index("ix_ledger_object", ledger.c.tenant_id, ledger.c.connection_id, ledger.c.object_id)

bindings = tenant_table(
    "bindings",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("object_id", Uuid, primary_key=True),
    Column("crm_record_id", Text, nullable=False),
    Column("adopted", Boolean, nullable=False),
    Column("given_back", LargeBinary, nullable=False),
    Column("bound_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
Index("ix_bindings_object", bindings.c.tenant_id, bindings.c.connection_id, bindings.c.object_id)
# Two canonical objects on one CRM record would overwrite each other for ever.
Index(
    "uq_bindings_record",
    bindings.c.tenant_id,
    bindings.c.connection_id,
    bindings.c.object_type,
    bindings.c.crm_record_id,
    unique=True,
)

attempts = tenant_table(
    "attempts",
    Column("attempt_id", BigInteger, Identity(always=True), primary_key=True),
    Column("uid", Uuid, nullable=False),
    Column("connection_id", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("object_id", Uuid, nullable=False),
    Column("claim_id", Uuid, nullable=False),
    Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("kind", Text, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("status", SmallInteger, nullable=False),
    Column("code", Text),
    Column("mapping_id", Text, nullable=False),
    Column("raw_id", BigInteger, nullable=False),
    Column("retry_policy", SmallInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("exchange", LargeBinary),
)
Index(
    "ix_attempts_object",
    attempts.c.tenant_id,
    attempts.c.connection_id,
    attempts.c.object_type,
    attempts.c.object_id,
)

# Shared by all processes and by all tenants on one metered account: no tenant column.
budgets = Table(
    "budgets",
    metadata,
    Column("side", Text, primary_key=True),
    Column("platform", Text, primary_key=True),
    Column("account", LargeBinary, primary_key=True),
    Column("endpoint_class", Text, primary_key=True),
    Column("starts", ARRAY(Double), nullable=False),
    Column("calls", BigInteger, nullable=False, server_default=text("0")),
    # Whose each call of the log was, and who had to wait for a turn of late.
    Column("tenants", ARRAY(Integer), nullable=False, server_default=text("'{}'")),
    Column("claims", JSONB, nullable=False, server_default=text("'{}'")),
    # The vendor's word: its limit, what others use of it, its refusals.
    Column("told_limit", Integer),
    Column("others", Integer, nullable=False, server_default=text("0")),
    Column("others_until", Double, nullable=False, server_default=text("0")),
    Column("blocked_until", Double, nullable=False, server_default=text("0")),
    Column("rate", Double, nullable=False, server_default=text("1")),
    Column("slowed_at", Double, nullable=False, server_default=text("0")),
    # Of a quota that is counted from a moment on, a day's.
    Column("used", Integer, nullable=False, server_default=text("0")),
    Column("used_since", Double, nullable=False, server_default=text("0")),
    info={"shared": True},
)

# Which records were rewritten when, by which mapping: counted over a rolling day.
rewritten = tenant_table(
    "rewritten",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("mapping_id", Text, primary_key=True),
    Column("object_id", Uuid, primary_key=True),
    Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)

# What a hold keeps back, field by field, until a person has looked at exactly this.
held_changes = tenant_table(
    "held_changes",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("object_id", Uuid, primary_key=True),
    Column("digest", LargeBinary, nullable=False),
    Column("changes", LargeBinary, nullable=False),
    Column("mapping_id", Text, nullable=False),
    Column("held_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("approved_by", Text),
    Column("approved_until", DateTime(timezone=True)),
)

# What a person allowed: exactly what has this digest, once, and not after its time.
approvals = tenant_table(
    "approvals",
    Column("approval_id", Text, primary_key=True),
    Column("kind", Text, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("by", Text, nullable=False),
    Column("at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("expires_at", DateTime(timezone=True), nullable=False),
    Column("used_at", DateTime(timezone=True)),
    Column("used_by", Text),
)
