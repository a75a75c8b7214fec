"""What the migrations make is what the code expects."""

from __future__ import annotations

from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from crm_integration.storage.schema import migrate
from crm_integration.storage.tables import metadata, tenant_tables
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.storage.walls import APP_DEFAULT, APP_GRANTS, INSIDE


def test_the_migrated_schema_is_the_one_in_code(urls: DatabaseUrls) -> None:
    """A column that only the code knew failed at a merchant on the first insert."""
    migrate(urls.owner)
    engine = create_engine(urls.owner, poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_every_tenant_table_has_the_walls_that_code_declares(urls: DatabaseUrls) -> None:
    """A table without its policy shows every tenant to every tenant."""
    migrate(urls.owner)
    engine = create_engine(urls.owner, poolclass=NullPool)
    with engine.connect() as connection:
        policies = connection.execute(
            text("select tablename, qual, with_check from pg_policies where policyname = 'walls'")
        ).all()
        granted = connection.execute(
            text(
                "select table_name, privilege_type from information_schema.table_privileges "
                "where grantee = 'crm_app'"
            )
        ).all()
    assert {row.tablename for row in policies} == {table.name for table in tenant_tables()}
    assert all("app.tenant_id" in row.qual and row.qual == row.with_check for row in policies)
    assert "app.tenant_id" in INSIDE
    for table in tenant_tables():
        declared = APP_GRANTS.get(table.name, APP_DEFAULT)
        # A grant on single columns, `UPDATE (outcome)`, is no grant on the table.
        whole = set(declared.partition(", UPDATE (")[0].split(", "))
        assert {row.privilege_type for row in granted if row.table_name == table.name} == whole
