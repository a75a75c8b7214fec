"""The database roles and the two databases.

Prevents the wall between tenants from being painted on: row level security does not bind
superusers, roles with BYPASSRLS or owners who were granted back, so the roles that work on tenant
data are made without any of that, and a process refuses to start on one that has it.
"""

from __future__ import annotations

from pathlib import Path
from typing import LiteralString

import psycopg
from psycopg import sql
from sqlalchemy import Connection, text

from crm_integration.errors import StorageError, UnsafeRole
from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer

OWNER, APP, INTAKE, OPS, DAGSTER = (
    "crm_owner",
    "crm_app",
    "crm_intake",
    "crm_ops",
    "crm_dagster",
)
ROLES = (OWNER, APP, INTAKE, OPS, DAGSTER)
_LOCK = 7_265_001  # any number: the advisory lock that lets one process at a time do this
_READY = "crm_integration: roles and grants, version 3"
HEADS = Path(__file__).with_name("audit_heads.sql")
"""What a superuser runs on a server that is not the embedded one."""

_ROLE_OPTIONS: LiteralString = (
    "{} ROLE {} LOGIN NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE NOREPLICATION NOINHERIT"
)

# What `role` is or can become by SET ROLE, directly or over several memberships; temporary tables
# do not count (bulk loading makes them), a database or schema of one's own does.
_REACH = text("""
with recursive reach(oid) as (
    select oid from pg_roles where rolname = :role
    union
    select m.roleid from pg_auth_members m join reach r on m.member = r.oid
)
select r.rolname as name, r.rolsuper as superuser, r.rolbypassrls as bypass,
       r.rolcreaterole as makes_roles,
       exists (select 1 from pg_class c where c.relowner = r.oid
               and c.relkind in ('r', 'p', 'v', 'm', 'f') and c.relpersistence <> 't') as tables,
       exists (select 1 from pg_database d where d.datdba = r.oid)
         or exists (select 1 from pg_namespace n where n.nspowner = r.oid
                    and n.nspname !~ '^pg_(toast_)?temp_') as container,
       r.rolname in ('pg_execute_server_program', 'pg_read_server_files',
                     'pg_write_server_files') as server_files
from reach join pg_roles r using (oid) order by r.rolname
""")
_REASONS = {
    "superuser": "is superuser",
    "bypass": "has BYPASSRLS",
    "makes_roles": "has CREATEROLE and could grant itself any role",
    "tables": "owns a table",
    "container": "owns a database or a schema",
    "server_files": "reaches the server's files or programs",
}


def ensure_databases(server: EmbeddedServer, prefix: str = "crm_integration") -> None:
    """Roles, `<prefix>` (owner crm_owner) and `<prefix>_dagster` (owner crm_dagster).

    Idempotent and safe when several processes do it at once; 5 ms when all is there.
    """
    dagster = f"{prefix}_dagster"
    with _administrator(server, "postgres") as connection:
        if _ready(connection, prefix) and _ready(connection, dagster):
            return
        # Held until the connection closes; two CREATE ROLE at once would fail one of them.
        connection.execute("select pg_advisory_lock(%s)", (_LOCK,))
        _ensure_roles(connection)
        connection.execute("revoke connect on database postgres from public")
        _ensure_database(connection, prefix, OWNER)
        _ensure_database(connection, dagster, DAGSTER)
        with _administrator(server, prefix) as inside:
            _grant_schema(inside, OWNER, (APP, INTAKE, OPS))
            inside.execute(HEADS.read_bytes())
        with _administrator(server, dagster) as inside:
            _grant_schema(inside, DAGSTER, ())
        _grant_connect(connection, prefix)
        # Last, so that a process killed half-way leaves work for the next one.
        for name in (prefix, dagster):
            connection.execute(
                sql.SQL("comment on database {} is {}").format(sql.Identifier(name), _READY)
            )


def drop_databases(server: EmbeddedServer, prefix: str) -> None:
    """Drop `<prefix>` and `<prefix>_dagster`, ending the sessions in them; roles stay."""
    with _administrator(server, "postgres") as connection:
        for name in (prefix, f"{prefix}_dagster"):
            connection.execute(
                sql.SQL("drop database if exists {} with (force)").format(sql.Identifier(name))
            )


def assert_safe_role(connection: Connection, role: str) -> None:
    """Refuse a connection that is not `role`, or whose role can look over tenant walls.

    Raises `UnsafeRole` when the role is, or can become by membership, one that is superuser, has
    BYPASSRLS or CREATEROLE, owns a table, schema or database, or reaches the server's files.
    """
    who = connection.execute(text("select session_user::text, current_user::text")).one()
    if tuple(who) != (role, role):
        raise UnsafeRole(
            f"connected as {who[0]} (acting as {who[1]}) where {role} is needed. "
            f"Put the role {role} into this URL."
        )
    for found in connection.execute(_REACH, {"role": role}).mappings():
        faults = [reason for key, reason in _REASONS.items() if found[key]]
        if faults:
            raise UnsafeRole(_complaint(role, found["name"], faults))


def assert_audit_heads(connection: Connection) -> None:
    """Raises StorageError where a server of one's own lacks what guards the audit trail's end."""
    if connection.scalar(text("select to_regproc('audit_heads.advance')")) is None:
        raise StorageError(
            "this database has no audit_heads: as a superuser run "
            f"psql -d <database> -f {HEADS}, then start again"
        )


def _complaint(role: str, name: str, faults: list[str]) -> str:
    path = f"role {role}" if name == role else f"role {role} may become {name}, which"
    fix = (
        f"Take these rights away from {role}."
        if name == role
        else f"Revoke the membership in {name} from {role}."
    )
    return f"{path} {' and '.join(faults)}. {fix}"


def _administrator(server: EmbeddedServer, database: str) -> psycopg.Connection:
    return psycopg.connect(
        host=str(server.socket_dir), port=5432, user=SUPERUSER, dbname=database, autocommit=True
    )


def _ready(connection: psycopg.Connection, database: str) -> bool:
    found = connection.execute(
        "select shobj_description(oid, 'pg_database') from pg_database where datname = %s",
        (database,),
    ).fetchone()
    return found is not None and found[0] == _READY


def _ensure_roles(connection: psycopg.Connection) -> None:
    rows = connection.execute(
        "select rolname from pg_roles where rolname = any(%s)", (list(ROLES),)
    )
    present = {str(row[0]) for row in rows}
    for role in ROLES:
        verb = sql.SQL("ALTER" if role in present else "CREATE")
        connection.execute(sql.SQL(_ROLE_OPTIONS).format(verb, sql.Identifier(role)))


def _ensure_database(connection: psycopg.Connection, name: str, owner: str) -> None:
    found = connection.execute("select 1 from pg_database where datname = %s", (name,)).fetchone()
    if found is None:
        connection.execute(
            sql.SQL("create database {} owner {} template template0 encoding 'UTF8'").format(
                sql.Identifier(name), sql.Identifier(owner)
            )
        )
    connection.execute(
        sql.SQL("revoke all on database {} from public").format(sql.Identifier(name))
    )


def _grant_schema(connection: psycopg.Connection, owner: str, roles: tuple[str, ...]) -> None:
    connection.execute("revoke all on schema public from public")
    # Up to Postgres 15 a role with NOINHERIT has nothing of owning the database.
    connection.execute(
        sql.SQL("grant usage, create on schema public to {}").format(sql.Identifier(owner))
    )
    for role in roles:
        connection.execute(
            sql.SQL("grant usage on schema public to {}").format(sql.Identifier(role))
        )


def _grant_connect(connection: psycopg.Connection, database: str) -> None:
    for role in (APP, INTAKE, OPS):
        connection.execute(
            sql.SQL("grant connect on database {} to {}").format(
                sql.Identifier(database), sql.Identifier(role)
            )
        )
    # COPY under row level security goes by a temporary table.
    connection.execute(
        sql.SQL("grant temporary on database {} to {}").format(
            sql.Identifier(database), sql.Identifier(APP)
        )
    )
