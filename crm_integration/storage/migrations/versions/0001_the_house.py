"""The house: tenants, intake, canonical tables, the ledger, quality, and the walls around them."""

from __future__ import annotations

from alembic import op

from crm_integration.storage.tables import metadata
from crm_integration.storage.walls import wall_in

revision = "0001"
down_revision = None


def upgrade() -> None:
    connection = op.get_bind()
    metadata.create_all(connection)
    wall_in(connection, metadata.sorted_tables)
    database = connection.dialect.identifier_preparer.quote(connection.engine.url.database)
    connection.exec_driver_sql(f"GRANT TEMPORARY ON DATABASE {database} TO crm_app")
    # Every process compares the revision before it works.
    connection.exec_driver_sql("GRANT SELECT ON alembic_version TO crm_app, crm_intake, crm_ops")
