"""Verdicts, rows kept back, holds, and the paths and types that payloads were seen to have."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Date,
    DateTime,
    Identity,
    Index,
    Integer,
    SmallInteger,
    Text,
    func,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from crm_integration.storage.tables.metadata import tenant_table

verdicts = tenant_table(
    "verdicts",
    Column("verdict_id", BigInteger, Identity(always=True), primary_key=True),
    Column("entity", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("window_start", Date, nullable=False),
    Column("window_end", Date, nullable=False),
    Column("passed", Boolean, nullable=False),
    Column("rows", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("highest_raw_id", BigInteger, nullable=False),
    Column("rules_version", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("decided_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
Index(
    "ix_verdicts_window",
    verdicts.c.tenant_id,
    verdicts.c.entity,
    verdicts.c.window_start,
    verdicts.c.verdict_id.desc(),
)

quarantine = tenant_table(
    "quarantine",
    Column("connection_id", Text, primary_key=True),
    Column("entity", Text, primary_key=True),
    Column("source_id", Text, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("rule", Text, primary_key=True),
    Column("raw_id", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("rules_version", Text, nullable=False),
    Column("since", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("released_at", DateTime(timezone=True)),
    Column("run_id", Text, nullable=False),
)

holds = tenant_table(
    "holds",
    Column("hold_id", BigInteger, Identity(always=True), primary_key=True),
    Column("object_type", Text, nullable=False),
    Column("check_name", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("fix", Text, nullable=False),
    Column("records", Integer, nullable=False, server_default=text("0")),
    Column("opened_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("released_at", DateTime(timezone=True)),
    Column("released_by", Text),
)
Index(
    "uq_holds_open",
    holds.c.tenant_id,
    holds.c.object_type,
    holds.c.check_name,
    unique=True,
    postgresql_where=holds.c.released_at.is_(None),
)

# Paths and types only, never a value. A topic's row `$` counts its payloads.
payload_paths = tenant_table(
    "payload_paths",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("shape", Text, primary_key=True),
    Column("path", Text, primary_key=True),
    Column("entities", ARRAY(Text), nullable=False),
    Column("types", SmallInteger, nullable=False),  # bits of `payload_shape.Kind`
    # Of `holders` objects that could have had it, `present` had a value; old ones fade.
    Column("holders", BigInteger, nullable=False),
    Column("present", BigInteger, nullable=False),
    Column("first_raw_id", BigInteger, nullable=False),
    Column("last_raw_id", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),  # which first saw it
    Column("first_seen", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("last_seen", DateTime(timezone=True), server_default=func.now(), nullable=False),
    # What is wrong now, until a person accepts it: `gone`, `retyped` or, under a freeze, `new`.
    Column("problem", Text),
    Column("problem_types", SmallInteger, nullable=False, server_default=text("0")),
    Column("problem_records", BigInteger, nullable=False, server_default=text("0")),
    Column("problem_raw_id", BigInteger),
    Column("problem_since", DateTime(timezone=True)),
)
