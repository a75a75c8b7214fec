"""What was read from the CRM: how far its changes are known, and values wanted back."""

from __future__ import annotations

from sqlalchemy import Column, DateTime, LargeBinary, Text, Uuid, func

from crm_integration.storage.tables.metadata import tenant_table

# How far the changes of one object type are read. `asked` is a digest of the fields: with other
# fields all bound records are looked at once more. While that goes on, `behind` is the last object
# that was looked at; `since` is a time of the CRM's clock.
crm_reads = tenant_table(
    "crm_reads",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("asked", LargeBinary, nullable=False),
    Column("behind", Uuid),
    Column("since", DateTime(timezone=True), nullable=False),
    Column("read_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)

# The newest value of each field of the CRM's own that a mapping wants back.
crm_values = tenant_table(
    "crm_values",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("object_id", Uuid, primary_key=True),
    Column("field", Text, primary_key=True),
    Column("value", LargeBinary, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("crm_record_id", Text, nullable=False),
    Column("crm_changed_at", DateTime(timezone=True)),
    Column("mapping_id", Text, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("seen_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
