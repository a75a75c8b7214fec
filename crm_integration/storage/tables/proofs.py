"""What was proven of an entity on a day, and up to which raw record."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Date, DateTime, Identity, Index, Text, func
from sqlalchemy.dialects.postgresql import JSONB

from crm_integration.storage.tables.metadata import tenant_table

# None is ever changed: the newest of an entity and day counts. `day` is null for what has no time
# of its own and is proven as a whole. Counts by stage and verdict; samples are ids, never people.
proofs = tenant_table(
    "proofs",
    Column("proof_id", BigInteger, Identity(always=True), primary_key=True),
    Column("entity", Text, nullable=False),
    Column("day", Date),
    Column("passed", Boolean, nullable=False),
    Column("counts", JSONB, nullable=False),
    Column("samples", JSONB, nullable=False),
    Column("problem", Text),
    Column("highest_raw_id", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("proven_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
Index("ix_proofs_day", proofs.c.tenant_id, proofs.c.entity, proofs.c.day, proofs.c.proof_id.desc())
