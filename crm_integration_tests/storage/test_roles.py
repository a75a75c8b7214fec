"""The roles really are without rights over walls, and a process refuses one that is not."""

from __future__ import annotations

import multiprocessing
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from sqlalchemy import Connection, text

from crm_integration.errors import UnsafeRole
from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer
from crm_integration.storage.engine import dispose_engines, engine_for
from crm_integration.storage.roles import assert_safe_role, drop_databases, ensure_databases
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration_tests.conftest import short_home


@contextmanager
def _as(server: EmbeddedServer, role: str, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=str(server.socket_dir), user=role, dbname=database, autocommit=True
    ) as connection:
        yield connection


@contextmanager
def _connected(url: str) -> Iterator[Connection]:
    with engine_for(url).connect() as connection:
        yield connection


@contextmanager
def _temporary_role(server: EmbeddedServer, database: str, options: str) -> Iterator[str]:
    """An invented role with `options`, dropped with all it owns."""
    name = f"r_{uuid.uuid4().hex[:8]}"
    with _as(server, SUPERUSER, database) as admin:
        admin.execute(
            sql.SQL("create role {} login " + options).format(sql.Identifier(name))  # type: ignore[arg-type]
        )
        admin.execute(
            sql.SQL("grant connect, temporary on database {} to {}").format(
                sql.Identifier(database), sql.Identifier(name)
            )
        )
        try:
            yield name
        finally:
            dispose_engines()
            for statement in ("drop owned by {}", "drop role {}"):
                admin.execute(sql.SQL(statement).format(sql.Identifier(name)))


@pytest.mark.parametrize("role", ["app", "intake", "ops"])
def test_the_working_roles_are_safe(urls: DatabaseUrls, role: str) -> None:
    """If one of ours were refused nothing would ever start."""
    with _connected(getattr(urls, role)) as connection:
        assert_safe_role(connection, f"crm_{role}")


def test_bulk_loading_elsewhere_does_not_make_the_role_unsafe(urls: DatabaseUrls) -> None:
    """A temporary table is owned too; a second process could not start during a bulk load."""
    with _connected(urls.app) as loading:
        loading.execute(text("create temporary table incoming (n int)"))
        loading.commit()
        with _connected(urls.app) as starting:
            assert_safe_role(starting, "crm_app")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ("superuser", "superuser"),
        ("bypassrls", "BYPASSRLS"),
        ("createrole", "CREATEROLE"),
        ("in role pg_read_server_files", "may become pg_read_server_files"),
        ("in role crm_owner", "may become crm_owner"),
        ("noinherit in role crm_owner", "may become crm_owner"),
    ],
)
def test_a_role_that_sees_over_walls_is_refused(
    server: EmbeddedServer, database_prefix: str, options: str, reason: str
) -> None:
    """With such a role one merchant's run would read every other merchant's customers."""
    with (
        _temporary_role(server, database_prefix, options) as role,
        _connected(server.url(role, database_prefix)) as connection,
        pytest.raises(UnsafeRole, match=reason),
    ):
        assert_safe_role(connection, role)


def test_a_role_two_memberships_from_the_owner_is_refused(
    server: EmbeddedServer, database_prefix: str
) -> None:
    """A grant of a grant looks harmless in a listing of direct memberships."""
    with (
        _temporary_role(server, database_prefix, "in role crm_owner") as middle,
        _temporary_role(server, database_prefix, f"in role {middle}") as role,
        _connected(server.url(role, database_prefix)) as connection,
        pytest.raises(UnsafeRole, match="may become crm_owner"),
    ):
        assert_safe_role(connection, role)


def test_a_role_that_owns_one_table_is_refused(
    server: EmbeddedServer, database_prefix: str
) -> None:
    """Row level security does not bind an owner unless each table forces it."""
    with _temporary_role(server, database_prefix, "") as role:
        with _as(server, SUPERUSER, database_prefix) as admin:
            admin.execute("create table stray (n int)")
            admin.execute(sql.SQL("alter table stray owner to {}").format(sql.Identifier(role)))
        with (
            _connected(server.url(role, database_prefix)) as connection,
            pytest.raises(UnsafeRole, match="owns a table"),
        ):
            assert_safe_role(connection, role)


def test_the_wrong_role_in_a_url_is_refused(urls: DatabaseUrls) -> None:
    """Two URLs swapped in a deployment gave the receiver the right to read."""
    with (
        _connected(urls.app) as connection,
        pytest.raises(UnsafeRole, match="crm_intake is needed"),
    ):
        assert_safe_role(connection, "crm_intake")


@pytest.mark.parametrize("role", ["crm_app", "crm_intake", "crm_ops"])
def test_working_roles_can_neither_make_tables_nor_see_dagsters_database(
    server: EmbeddedServer, database_prefix: str, role: str
) -> None:
    """A role that makes a table owns it, and run configuration is none of its business."""
    with (
        _as(server, role, database_prefix) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute("create table mine (n int)")
    for other in (f"{database_prefix}_dagster", "postgres"):
        with pytest.raises(psycopg.OperationalError, match="permission denied"):
            psycopg.connect(host=str(server.socket_dir), user=role, dbname=other)


def test_dagsters_role_cannot_enter_the_merchants_database(
    server: EmbeddedServer, database_prefix: str
) -> None:
    """Dagster's plugins and its UI never need a customer's row."""
    with pytest.raises(psycopg.OperationalError, match="permission denied"):
        psycopg.connect(host=str(server.socket_dir), user="crm_dagster", dbname=database_prefix)


def test_the_owner_migrates_and_is_bound_by_forced_row_level_security(
    urls: DatabaseUrls,
) -> None:
    """An owner with BYPASSRLS would make FORCE a decoration."""
    with _connected(urls.owner) as connection:
        connection.execute(text("create table walled (n int)"))
        connection.execute(text("insert into walled values (1)"))
        connection.execute(text("alter table walled enable row level security"))
        connection.execute(text("alter table walled force row level security"))
        assert connection.execute(text("select count(*) from walled")).scalar() == 0
        connection.rollback()


def _ensure(home: Path, gate: object, prefix: str) -> None:
    gate.wait()  # type: ignore[attr-defined]
    ensure_databases(EmbeddedServer(home), prefix)


def test_four_processes_make_roles_and_databases_at_once() -> None:
    """On a fresh machine all parts start together; CREATE ROLE twice fails one of them."""
    home = short_home()
    server = EmbeddedServer(home)
    server.start()
    try:
        context = multiprocessing.get_context("spawn")
        gate = context.Barrier(4)
        makers = [context.Process(target=_ensure, args=(home, gate, "same")) for _ in range(4)]
        for maker in makers:
            maker.start()
        for maker in makers:
            maker.join(timeout=60)
        assert [maker.exitcode for maker in makers] == [0, 0, 0, 0]
        with _connected(embedded_urls(server, "same").app) as connection:
            assert_safe_role(connection, "crm_app")
    finally:
        dispose_engines()
        server.stop()
        shutil.rmtree(home)


def test_dropping_ends_open_sessions_and_a_new_start_is_empty(server: EmbeddedServer) -> None:
    """A forgotten session kept the demo from starting over."""
    prefix = f"t_{uuid.uuid4().hex[:12]}"
    ensure_databases(server, prefix)
    with _as(server, "crm_owner", prefix) as open_session:
        open_session.execute("create table left_over (n int)")
        drop_databases(server, prefix)
        with pytest.raises(psycopg.OperationalError):
            open_session.execute("select 1")
    ensure_databases(server, prefix)
    with _as(server, "crm_owner", prefix) as fresh:
        assert fresh.execute("select to_regclass('left_over')").fetchone() == (None,)
    drop_databases(server, prefix)
