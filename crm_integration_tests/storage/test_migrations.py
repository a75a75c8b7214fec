"""What the migrations make is what the code expects."""

from __future__ import annotations

from pathlib import Path
from uuid import uuid4

import psycopg
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from crm_integration.storage import schema
from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer
from crm_integration.storage.roles import drop_databases, ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.tables import metadata, tenant_tables
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
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


def test_what_the_first_release_derived_is_derived_once_more(server: EmbeddedServer) -> None:
    """Identities of the first release hold no content: left as they are, the first merge would
    have emptied a contact."""
    prefix = f"t_{uuid4().hex[:12]}"
    ensure_databases(server, prefix)
    urls = embedded_urls(server, prefix)
    engine = create_engine(urls.owner, poolclass=NullPool)
    with engine.begin() as connection:
        config = Config()
        config.set_main_option("script_location", str(Path(schema.__file__).parent / "migrations"))
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
    with psycopg.connect(
        host=str(server.socket_dir), user=SUPERUSER, dbname=prefix, autocommit=True
    ) as before:
        before.execute("set session_replication_role = replica")  # no tenant is needed for this
        before.execute(
            "insert into raw_records (tenant_id, uid, connection_id, object_type, source_id,"
            " source_time, observation, day, digest, payload, outcome, run_id)"
            " select 't', gen_random_uuid(), 'main', one, '1', now(), 2, now(), '', '', 'applied',"
            " 'r' from unnest(array['customer', 'order', 'product']) one"
        )
        migrate(urls.owner)
        found = before.execute("select object_type, outcome from raw_records").fetchall()
        forced = before.execute(
            "select relforcerowsecurity from pg_class where relname = 'raw_records'"
        ).fetchone()
    assert sorted(found) == [("customer", None), ("order", None), ("product", "applied")]
    assert forced == (True,)
    drop_databases(server, prefix)
