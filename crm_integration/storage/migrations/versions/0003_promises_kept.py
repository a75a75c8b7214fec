"""Work in progress: follows the tables in code until it is frozen."""

from __future__ import annotations

from alembic import op
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext

from crm_integration.storage.tables import metadata
from crm_integration.storage.walls import _statements

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    connection = op.get_bind()
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    before = set(connection.dialect.get_table_names(connection))
    stack = [produce_migrations(context, metadata).upgrade_ops]
    while stack:
        one = stack.pop(0)
        if hasattr(one, "ops"):
            stack[:0] = list(one.ops)
        else:
            op.invoke(one)
    op.execute("GRANT UPDATE (seen_at) ON raw_records TO crm_app")
    quote = connection.dialect.identifier_preparer
    for table in metadata.sorted_tables:
        if table.name not in before:
            for statement in _statements(table, quote):
                connection.exec_driver_sql(statement)
