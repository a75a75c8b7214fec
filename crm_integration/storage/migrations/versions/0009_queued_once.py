"""A delivery is queued by the table that keeps it, and only once."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Frozen SQL beside this file; what code says today may differ from what was released."""
    connection = op.get_bind()
    connection.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text("utf-8"))
