"""The house: tenants, intake, canonical tables, the ledger, quality, and the walls around them."""

from __future__ import annotations

from pathlib import Path

from alembic import op
from sqlalchemy import text

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Frozen SQL beside this file; what code says today may differ from what was released."""
    connection = op.get_bind()
    connection.exec_driver_sql(Path(__file__).with_suffix(".sql").read_text("utf-8"))
    # COPY under row level security goes by temporary tables.
    name = str(connection.scalar(text("select current_database()")))
    database = connection.dialect.identifier_preparer.quote(name)
    connection.exec_driver_sql(f"GRANT TEMPORARY ON DATABASE {database} TO crm_app")
