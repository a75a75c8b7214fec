"""What arrived: the drop table with its queue, raw records, and how far each listing has come."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    DateTime,
    ForeignKeyConstraint,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    any_,
    func,
    literal_column,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY

from crm_integration.storage.tables.metadata import metadata, tenant_table


def _connection_key() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["tenant_id", "connection_id"], ["connections.tenant_id", "connections.connection_id"]
    )


webhook_drop = tenant_table(
    "webhook_drop",
    Column("drop_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("received_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("headers", LargeBinary, nullable=False),
    Column("body", LargeBinary, nullable=False),
    _connection_key(),
)

# The queue is narrow and leads with what a claim sorts by; rows live for moments.
webhook_queue = Table(
    "webhook_queue",
    metadata,
    Column("lane", SmallInteger, primary_key=True),
    Column("ready_at", DateTime(timezone=True), server_default=func.now(), primary_key=True),
    Column("drop_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("tries", SmallInteger, nullable=False, server_default=text("0")),
    # The run that has read a delivery and now asks its store for what it names.
    Column("asked_by", Text),
    info={"queue": True},
)

# Who drains a lane. The lock is what decides; this tells people, and counts who came when.
lanes = Table(
    "lanes",
    metadata,
    Column("lane", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("run_id", Text, nullable=False),
    Column("taken_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("ends_at", DateTime(timezone=True), nullable=False),
    Column("successor", Text),
    Column("process", Text, server_default="", nullable=False),
)

# What live runs have touched and nobody has told Dagster of so far.
touched_partitions = Table(
    "touched_partitions",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("day", Date, primary_key=True),
    Column("touched_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("reported_at", DateTime(timezone=True)),
)

# Where a store sends its deliveries. The path is a secret: only its keyed hash is kept. After a
# rotation the old one stays valid for a while.
webhook_paths = tenant_table(
    "webhook_paths",
    Column("connection_id", Text, primary_key=True),
    Column("digest", LargeBinary, primary_key=True),
    Column("made_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    _connection_key(),
)
# A path is looked up before anybody knows whose it is.
Index("uq_webhook_paths_digest", webhook_paths.c.digest, unique=True)

# What a store signs its deliveries with.
webhook_secrets = tenant_table(
    "webhook_secrets",
    Column("connection_id", Text, primary_key=True),
    Column("secret_id", Uuid, primary_key=True),
    Column("sealed", LargeBinary, nullable=False),
    Column("made_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("valid_until", DateTime(timezone=True)),
    _connection_key(),
)

raw_records = tenant_table(
    "raw_records",
    Column("raw_id", BigInteger, Identity(always=True), primary_key=True),
    Column("uid", Uuid, nullable=False),
    Column("connection_id", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("source_id", Text, nullable=False),
    Column("parent_id", Text),
    Column("source_time", DateTime(timezone=True), nullable=False),
    Column("observation", SmallInteger, nullable=False),
    Column("received_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("day", Date, nullable=False),
    Column("digest", LargeBinary, nullable=False),
    Column("payload", LargeBinary, nullable=False),
    Column("shape", Text, nullable=False, server_default=""),
    Column("seen_again", Integer, nullable=False, server_default=text("0")),
    Column("seen_at", DateTime(timezone=True)),  # when it was last seen again
    Column("outcome", Text),
    Column("flags", ARRAY(Text), nullable=False, server_default=text("'{}'")),
    Column("run_id", Text, nullable=False),
    _connection_key(),
)
Index(
    "ix_raw_records_object",
    raw_records.c.tenant_id,
    raw_records.c.connection_id,
    raw_records.c.object_type,
    raw_records.c.source_id,
    raw_records.c.raw_id.desc(),
)
GONE = "gone"
"""Flag of a tombstone: a read by id said that the object does not exist any more."""

# Written out: a planner that is handed the flag as a parameter cannot tell which index serves.
IS_GONE = literal_column(f"'{GONE}'", Text) == any_(raw_records.c.flags)

# Very few objects are gone, and every page asks whether one of its own is.
Index(
    "ix_raw_records_gone",
    raw_records.c.tenant_id,
    raw_records.c.connection_id,
    raw_records.c.object_type,
    raw_records.c.source_id,
    postgresql_where=IS_GONE,
)
# What waits to be derived is found without looking at what was.
Index(
    "ix_raw_records_underived",
    raw_records.c.tenant_id,
    raw_records.c.connection_id,
    raw_records.c.object_type,
    postgresql_where=raw_records.c.outcome.is_(None),
)
# The day comes before the type: an index that leads with tenant and type looks as good as the
# object's own to a planner without statistics, and a look-up then reads the whole type.
Index("ix_raw_records_day", raw_records.c.tenant_id, raw_records.c.day, raw_records.c.object_type)

cursors = tenant_table(
    "cursors",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("listing", Text, primary_key=True),
    Column("checkpoint", Text),
    Column("listed", Integer),
    Column("begun_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("updated_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    _connection_key(),
)

# How far source time is proven, by connection and object type: everything that the store lists
# before `proven_until` is kept. `candidate_until` was listed once where a second listing decides.
proven_spans = tenant_table(
    "proven_spans",
    Column("connection_id", Text, primary_key=True),
    Column("object_type", Text, primary_key=True),
    Column("proven_until", DateTime(timezone=True), nullable=False),
    Column("candidate_until", DateTime(timezone=True)),
    Column("listed_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("reason", Text, nullable=False, server_default=""),  # why it was not passed last time
    _connection_key(),
)

# What a store should tell us of, topic by topic, and what is known of it.
webhook_subscriptions = tenant_table(
    "webhook_subscriptions",
    Column("connection_id", Text, primary_key=True),
    Column("topic", Text, primary_key=True),
    Column("state", Text, nullable=False, server_default="unknown"),
    Column("heard_at", DateTime(timezone=True)),  # the last delivery that was received and read
    Column("good_since", DateTime(timezone=True)),  # subscribed, or first found to be
    Column("silent_since", DateTime(timezone=True)),
    Column("checked_at", DateTime(timezone=True)),
    Column("problem", Text, nullable=False, server_default=""),
    _connection_key(),
)

# Times in which a topic told us nothing although it should have, and what was fetched for it.
webhook_gaps = tenant_table(
    "webhook_gaps",
    Column("gap_id", Uuid, primary_key=True),
    Column("connection_id", Text, nullable=False),
    Column("topic", Text, nullable=False),
    Column("object_type", Text, nullable=False),
    Column("cause", Text, nullable=False),
    Column("gap_from", DateTime(timezone=True), nullable=False),
    Column("gap_until", DateTime(timezone=True)),  # None while it is not mended
    Column("found_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
    Column("fetched_at", DateTime(timezone=True)),
    Column("kept", Integer),
    _connection_key(),
)
# One gap at a time is open.
Index(
    "uq_webhook_gaps_open",
    webhook_gaps.c.tenant_id,
    webhook_gaps.c.connection_id,
    webhook_gaps.c.topic,
    unique=True,
    postgresql_where=webhook_gaps.c.fetched_at.is_(None),
)

# What a long run has behind it, so that its retry goes on from there.
finished_slices = tenant_table(
    "finished_slices",
    Column("root_run_id", Text, primary_key=True),
    Column("start_day", Date, primary_key=True),
    Column("end_day", Date, primary_key=True),
    Column("finished_at", DateTime(timezone=True), server_default=func.now(), nullable=False),
)
