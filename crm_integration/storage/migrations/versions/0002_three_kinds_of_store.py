"""Consent, parcels, carts, companies, the timeline; identities that hold what each store said."""

from __future__ import annotations

from alembic import op
from alembic.autogenerate import produce_migrations
from alembic.migration import MigrationContext
from alembic.operations import Operations

from crm_integration.storage.tables import metadata
from crm_integration.storage.walls import wall_in

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """DEVELOPMENT FORM: follows the code; frozen into SQL before release."""
    connection = op.get_bind()
    context = MigrationContext.configure(connection, opts={"compare_type": True})
    before = set(connection.dialect.get_table_names(connection))
    script = produce_migrations(context, metadata)
    operations = Operations(context)
    stack = [script.upgrade_ops]
    while stack:
        element = stack.pop(0)
        if hasattr(element, "ops"):
            stack[:0] = list(element.ops)
        else:
            operations.invoke(element)
    wall_in(connection, [t for t in metadata.sorted_tables if t.name not in before])
