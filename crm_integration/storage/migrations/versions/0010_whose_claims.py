"""Whoever follows a killed live run sees that its process is gone."""

from __future__ import annotations

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Frozen SQL beside this file; what code says today may differ from what was released."""
    connection = op.get_bind()
    connection.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text("utf-8"))
