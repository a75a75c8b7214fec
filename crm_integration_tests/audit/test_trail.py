"""The audit trail: what was changed in it, or taken out of it, shows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
import pytest
from sqlalchemy.exc import ProgrammingError

from crm_integration.audit import trail
from crm_integration.storage.embedded import SUPERUSER, EmbeddedServer
from crm_integration_tests.house import Tenant


@contextmanager
def _superuser(server: EmbeddedServer, database: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(
        host=str(server.socket_dir), user=SUPERUSER, dbname=database, autocommit=True
    ) as connection:
        yield connection


def _filled(tenant: Tenant) -> list[int]:
    with tenant.scope() as scope:
        for number in range(4):
            trail.record(scope, actor="ada", action="test", subject=str(number), count=number)
    return [row.entry_id for row in tenant.rows("select entry_id from audit_trail order by 1")]


def _broken(tenant: Tenant) -> int | None:
    with tenant.scope() as scope:
        return trail.verify(scope).broken


def test_an_untouched_chain_holds(tenant: Tenant) -> None:
    """Making the tenant and its two connections left the first three entries."""
    assert len(_filled(tenant)) == 7
    assert _broken(tenant) is None


@pytest.mark.parametrize(
    "change",
    [
        "actor = 'eve'",
        "action = 'nothing'",
        "subject = 'other'",
        "details = '{}'",
        "at = at + interval '1 second'",
        "digest = previous",
        "previous = digest",
    ],
)
def test_a_changed_entry_is_noticed(
    server: EmbeddedServer, database_prefix: str, tenant: Tenant, change: str
) -> None:
    """The one who released a hold wrote somebody else's name under it."""
    ids = _filled(tenant)
    with _superuser(server, database_prefix) as admin:
        admin.execute(f"update audit_trail set {change} where entry_id = {ids[4]}")  # type: ignore[arg-type]
    assert _broken(tenant) == ids[4]


@pytest.mark.parametrize("position", [0, 3, 5])
def test_a_removed_entry_is_noticed(
    server: EmbeddedServer, database_prefix: str, tenant: Tenant, position: int
) -> None:
    """What is gone has no digest to check; the next entry's does not fit any more."""
    ids = _filled(tenant)
    with _superuser(server, database_prefix) as admin:
        admin.execute("delete from audit_trail where entry_id = %s", (ids[position],))
    assert _broken(tenant) == ids[position + 1]


def test_an_entry_put_in_without_the_key_is_noticed(
    server: EmbeddedServer, database_prefix: str, tenant: Tenant
) -> None:
    """Write access to the table is not enough: the digest is keyed."""
    ids = _filled(tenant)
    with _superuser(server, database_prefix) as admin:
        admin.execute(
            "insert into audit_trail (tenant_id, at, actor, action, subject, details, previous,"
            " digest) select tenant_id, now(), 'eve', 'test', 'x', '{}', digest, sha256('guess')"
            " from audit_trail where entry_id = %s", (ids[-1],),
        )  # fmt: skip
    assert _broken(tenant) == tenant.value("select max(entry_id) from audit_trail")


@pytest.mark.parametrize(
    "statement", ["update audit_trail set actor = 'eve'", "delete from audit_trail"]
)
def test_the_working_role_can_neither_change_nor_remove_entries(
    tenant: Tenant, statement: str
) -> None:
    """The process that does the deed must not be able to wipe its trace."""
    with pytest.raises(ProgrammingError, match="permission denied"), tenant.scope() as scope:
        scope.connection.exec_driver_sql(statement)


def test_what_was_rolled_back_left_no_entry(tenant: Tenant) -> None:
    """An entry of a deed that did not happen is a lie, too."""
    before = tenant.value("select count(*) from audit_trail")
    with pytest.raises(ZeroDivisionError), tenant.scope() as scope:
        trail.record(scope, actor="ada", action="test", subject="x")
        raise ZeroDivisionError
    assert tenant.value("select count(*) from audit_trail") == before
    assert _broken(tenant) is None
