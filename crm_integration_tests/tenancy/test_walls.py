"""The walls between tenants, as the database itself describes and keeps them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from sqlalchemy import (
    BigInteger,
    Boolean,
    Connection,
    Date,
    DateTime,
    Integer,
    LargeBinary,
    Numeric,
    SmallInteger,
    Table,
    Uuid,
    func,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.exc import ProgrammingError

from crm_integration.credentials import vault
from crm_integration.errors import BadInput, NewerSchema, NotFound, UnsafeRole
from crm_integration.quality.holds import open_hold
from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import assert_safe_role, drop_databases, ensure_databases
from crm_integration.storage.schema import assert_current, migrate
from crm_integration.storage.tables import metadata, tenant_tables
from crm_integration.storage.urls import embedded_urls
from crm_integration.tenancy.connections import connections_of, save_connection
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.house import STARTED, House, Tenant

TABLES = [table.name for table in tenant_tables()]
PERSONAL = {"sealed", "payload", "body", "headers", "given_back", "exchange", "desired", "sending"}
"""Columns that hold sealed personal data or bytes as received."""


@contextmanager
def _superuser(server: EmbeddedServer, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=str(server.socket_dir), user=SUPERUSER, dbname=database, autocommit=True
    ) as connection:
        yield connection


@contextmanager
def _as(url: str) -> Iterator[Connection]:
    with engine_for(url).connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


@pytest.fixture(scope="module")
def filled(house: House) -> tuple[Tenant, Tenant]:
    """Two tenants of which the first has a row in every table of tenant data."""
    first, second = house.tenant(), house.tenant()
    customer = first.shop.account("ada@example.com")
    billing = {"billing": {"address_1": "1 Invented Row", "city": "Larkstead", "country": "GB"}}
    first.shop.call("PUT", f"/customers/{customer}", billing)
    first.shop.order(customer)
    number = first.shop.guest_order("gus@example.com")
    first.shop.refund(number, "4.00")
    first.shop.account("gus@example.com")
    first.run_once()
    with first.scope() as scope:
        open_hold(scope, "order", "volume", "too many", "look", 1)
    _fill_the_rest(first)
    return first, second


_VALUES: dict[type[Any], Any] = {
    Uuid: uuid4,
    DateTime: lambda: datetime.now(UTC),
    Date: lambda: datetime.now(UTC).date(),
    Boolean: lambda: True,
    Integer: lambda: 1,
    BigInteger: lambda: 1,
    SmallInteger: lambda: 1,
    Numeric: lambda: 1,
    LargeBinary: lambda: b"",
    ARRAY: list,
    JSONB: dict,
}


def _fill_the_rest(tenant: Tenant) -> None:
    """A row by hand in each table that this small shop leaves empty."""
    with tenant.scope() as scope:
        for table in tenant_tables():
            if table.name == "webhook_drop":
                continue  # only the receiver may write it
            empty = scope.connection.scalar(select(func.count()).select_from(table)) == 0
            if empty:
                scope.connection.execute(table.insert().values(_row(table, tenant.name)))


def _row(table: Table, tenant: str) -> dict[str, Any]:
    """Something that fits for each column that must have a value."""
    known = {"tenant_id": tenant, "connection_id": "main"}
    needed = [
        column
        for column in table.columns
        if not column.nullable and column.server_default is None and column.identity is None
    ]
    return {
        column.name: known.get(column.name, _VALUES.get(type(column.type), lambda: "x")())
        for column in needed
    }


def _drop(house: House, tenant: Tenant) -> None:
    """A delivery, as the receiver keeps it."""
    with engine_for(house.urls.intake).begin() as connection:
        connection.execute(
            text(
                "insert into webhook_drop (tenant_id, drop_id, connection_id, headers, body)"
                " values (:t, gen_random_uuid(), 'main', 'h', 'b')"
            ),
            {"t": tenant.name},
        )


@pytest.mark.parametrize("table", TABLES)
def test_rows_of_another_tenant_are_not_there(
    house: House, filled: tuple[Tenant, Tenant], table: str
) -> None:
    """One query forgot its tenant, and a merchant read another's customers."""
    first, second = filled
    if table == "webhook_drop":
        _drop(house, first)
    found = select(text("distinct tenant_id")).select_from(metadata.tables[table])
    with first.scope() as scope:
        assert scope.connection.scalars(found).all() == [first.name], "the test needs a row"
    with second.scope() as scope:
        assert first.name not in scope.connection.scalars(found).all()
    with house.tenancy.engine.begin() as connection:
        assert connection.scalars(found).all() == [], "without a tenant there is nothing"


@pytest.mark.parametrize("table", TABLES)
def test_every_table_of_tenant_data_has_forced_row_security_and_policies(
    house: House, table: str
) -> None:
    """A table made in a hurry without a policy is open to everybody."""
    with _as(house.urls.owner) as connection:
        row = connection.execute(
            text("select relrowsecurity, relforcerowsecurity from pg_class where relname = :t"),
            {"t": table},
        ).one()
        policies = connection.execute(
            text("select qual, with_check, roles::text from pg_policies where tablename = :t"
                 " and cmd = 'ALL'"), {"t": table},
        ).all()  # fmt: skip
    assert tuple(row) == (True, True)
    assert [one.roles for one in policies] == ["{crm_app}"]
    for one in policies:
        assert "app.tenant_id" in one.qual
        assert one.with_check == one.qual


def test_no_table_with_a_tenant_is_left_out_of_the_walls(house: House) -> None:
    """The catalogue is asked, not our own list: a new table counts from its first day."""
    with _as(house.urls.owner) as connection:
        found = connection.scalars(
            text(
                "select c.relname from pg_class c join pg_namespace n on n.oid = c.relnamespace"
                " join pg_attribute a on a.attrelid = c.oid and a.attname = 'tenant_id'"
                " where n.nspname = 'public' and c.relkind in ('r', 'p')"
                " and not (c.relrowsecurity and c.relforcerowsecurity)"
            )
        ).all()
    shared = {"webhook_queue", "touched_partitions"}
    assert set(found) <= shared, "only these are shared, and hold no content"


def test_keys_and_references_of_tenant_data_begin_with_the_tenant(house: House) -> None:
    """A reference without the tenant ties a row to another tenant's."""
    for table in tenant_tables():
        assert next(iter(table.primary_key.columns)).name == "tenant_id"
        for reference in table.foreign_key_constraints:
            assert "tenant_id" in reference.column_keys, reference.name


@pytest.mark.parametrize("table", [name for name in TABLES if name != "tenants"])
def test_a_row_cannot_be_written_for_another_tenant(
    house: House, filled: tuple[Tenant, Tenant], table: str
) -> None:
    """Inside one tenant's walls no row of another comes to be, by insert or by update."""
    first, second = filled
    if table == "webhook_drop":
        _drop(house, first)
    moved = text(f"update {table} set tenant_id = :t")  # noqa: S608
    refused = pytest.raises(ProgrammingError, match="row-level security|permission denied")
    with refused, first.scope() as scope:
        scope.connection.execute(moved, {"t": second.name})


def test_an_unknown_tenant_and_a_foreign_connection_are_not_found(
    house: House, filled: tuple[Tenant, Tenant]
) -> None:
    """'Forbidden' would tell that it exists."""
    first, second = filled
    with pytest.raises(NotFound), house.tenancy.scope("nobody"):
        pass
    with first.scope() as scope:
        save_connection(
            scope,
            replace(first.crm, connection_id="own", account_id="77"),
            {"access_token": "pat"},
            actor="test",
        )
    with second.scope() as scope, pytest.raises(NotFound):
        vault.open_secrets(scope, "own")
    with second.scope() as scope:
        assert {one.account_id for one in connections_of(scope, "crm")} == {second.crm.account_id}


def test_the_tenant_is_forgotten_at_the_end_of_the_transaction(house: House) -> None:
    """A session-level SET stayed on the pooled connection; the next tenant's request saw it."""
    tenant = house.tenant()
    with tenant.scope() as scope:
        process = scope.connection.scalar(text("select pg_backend_pid()"))
    seen: set[Any] = set()
    for _ in range(20):
        with house.tenancy.engine.begin() as connection:
            if connection.scalar(text("select pg_backend_pid()")) == process:
                seen.add(connection.scalar(text("select current_setting('app.tenant_id', true)")))
                assert connection.scalar(text("select count(*) from connections")) == 0
    assert seen, "the pool gave another connection each time"
    assert seen <= {"", None}


def test_a_failed_scope_leaves_nothing(house: House) -> None:
    """Half of a change is worse than none."""
    tenant = house.tenant()
    with pytest.raises(ZeroDivisionError), tenant.scope() as scope:
        open_hold(scope, "order", "volume", "too many", "look", 1)
        raise ZeroDivisionError
    assert tenant.value("select count(*) from holds") == 0


@pytest.mark.parametrize("name", ["", "Aurora", "a b", "a" * 64, "../x", "a,b", "ä"])
def test_a_name_that_is_no_slug_makes_no_tenant(house: House, name: str) -> None:
    """The name stands in partition keys, files and log lines."""
    with pytest.raises(BadInput):
        create_tenant(house.tenancy, name, started_on=STARTED, actor="test")


@pytest.mark.parametrize("table", TABLES)
def test_intake_reads_no_table(house: House, filled: tuple[Tenant, Tenant], table: str) -> None:
    """The one process that faces the internet can drop, and look at nothing."""
    with _as(house.urls.intake) as connection, pytest.raises(ProgrammingError, match="denied"):
        connection.execute(text(f"select count(*) from {table}"))  # noqa: S608


def test_intake_can_drop_for_any_tenant(house: House, filled: tuple[Tenant, Tenant]) -> None:
    """It answers 2xx only when the bytes are committed, whoever's they are."""
    for tenant in filled:
        _drop(house, tenant)
        assert tenant.value("select count(*) from webhook_drop") >= 1


def test_ops_reads_no_personal_column(house: House) -> None:
    """Who looks over all tenants sees counts, states and times."""
    with _as(house.urls.ops) as connection:
        readable = connection.execute(
            text(
                "select c.relname, a.attname from pg_class c"
                " join pg_namespace n on n.oid = c.relnamespace and n.nspname = 'public'"
                " join pg_attribute a on a.attrelid = c.oid and a.attnum > 0"
                " where c.relkind = 'r' and not a.attisdropped"
                " and has_column_privilege('crm_ops', c.oid, a.attnum, 'SELECT')"
            )
        ).all()
    assert readable
    allowed = {"tenants", "verdicts", "proofs", "holds", "carts", "ledger", "alembic_version"}
    allowed |= {"credential_changes"}
    assert {row.relname for row in readable} <= allowed | _shared_tables()
    assert ("proofs", "samples") not in {(row.relname, row.attname) for row in readable}
    of_ledger = {row.attname for row in readable if row.relname == "ledger"}
    assert of_ledger == {
        "tenant_id", "connection_id", "object_type", "state", "next_try_at", "claim_expires_at",
        "waiting_since",
    }  # fmt: skip
    bytes_columns = {row.attname for row in readable if row.relname in TABLES} & (
        PERSONAL | {"wrapped_keys"}
    )
    assert bytes_columns == set()


def _shared_tables() -> set[str]:
    return {table.name for table in metadata.sorted_tables if not table.info.get("tenant")}


@pytest.mark.parametrize("table", ["customers", "raw_records", "credentials", "ledger", "bindings"])
def test_ops_cannot_read_tenant_content(house: House, table: str) -> None:
    """Asked, not only listed."""
    with _as(house.urls.ops) as connection, pytest.raises(ProgrammingError, match="denied"):
        connection.execute(text(f"select * from {table}"))  # noqa: S608


def test_the_working_role_is_safe_and_the_owner_is_not(house: House) -> None:
    """Row level security does not bind an owner or a superuser: such a start is refused."""
    with _as(house.urls.app) as connection:
        assert_safe_role(connection, "crm_app")
    with _as(house.urls.owner) as connection, pytest.raises(UnsafeRole):
        assert_safe_role(connection, "crm_app")
    with _as(house.urls.owner) as connection, pytest.raises(UnsafeRole, match="owns"):
        assert_safe_role(connection, "crm_owner")


def test_a_database_of_a_newer_release_is_refused_and_not_touched(server: EmbeddedServer) -> None:
    """An old release migrated a newer database back and dropped its columns."""
    ensure_databases(server, "t_newer")
    try:
        urls = embedded_urls(server, "t_newer")
        migrate(urls.owner)
        with _superuser(server, "t_newer") as admin:
            admin.execute("update alembic_version set version_num = '9999'")
            before = _schema(admin)
            with pytest.raises(NewerSchema, match="9999"):
                migrate(urls.owner)
            with engine_for(urls.owner).connect() as connection, pytest.raises(NewerSchema):
                assert_current(connection)
            assert _schema(admin) == before
            assert admin.execute("select version_num from alembic_version").fetchall() == [
                ("9999",)
            ]
    finally:
        from crm_integration.storage.engine import dispose_engines

        dispose_engines()
        drop_databases(server, "t_newer")


def _schema(admin: psycopg.Connection) -> list[tuple[Any, ...]]:
    query = (
        "select table_name, column_name, data_type from information_schema.columns"
        " where table_schema = 'public' order by 1, 2"
    )
    return admin.execute(query).fetchall()


def test_migrating_again_changes_nothing(house: House) -> None:
    """Every start migrates; the second one must find nothing to do."""
    assert migrate(house.urls.owner) == migrate(house.urls.owner)
