"""Scopes that share a transaction keep what separate ones promise."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import text

from crm_integration.canonical.identity import lock_identities
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration.transport.slots import given_back
from crm_integration_tests.house import Tenant

_STARTED = text("update tenants set started_on = :day where tenant_id = :tenant")


@contextmanager
def _joined(tenant: Tenant) -> Iterator[Tenancy]:
    with tenant.house.engines.tenancy.on_one_connection(joined=True) as tenancy:
        yield tenancy


def _note(scope: TenantScope, day: str) -> None:
    scope.connection.execute(_STARTED, {"tenant": scope.tenant, "day": day})


def _seen(tenant: Tenant) -> str:
    """What everybody else sees."""
    (row,) = tenant.rows(f"select started_on from tenants where tenant_id = '{tenant.name}'")
    return str(row[0])


def test_what_is_not_durable_is_seen_with_what_comes_next(tenant: Tenant) -> None:
    """Each step of a pass was a transaction of its own: a third of what it asked."""
    before = _seen(tenant)
    with _joined(tenant) as tenancy:
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "2001-01-01")
        assert _seen(tenant) == before
        with tenancy.scope(tenant.name) as scope:
            assert scope.connection.scalar(text("show synchronous_commit")) == "on"
        assert _seen(tenant) == "2001-01-01"


def test_the_end_commits_what_is_left(tenant: Tenant) -> None:
    """The last step of a pass would be lost."""
    with _joined(tenant) as tenancy, tenancy.scope(tenant.name, durable=False) as scope:
        assert scope.connection.scalar(text("show synchronous_commit")) == "off"
        _note(scope, "2001-02-01")
    assert _seen(tenant) == "2001-02-01"


def test_nothing_stays_open_while_a_remote_host_is_waited_for(tenant: Tenant) -> None:
    """A CRM that takes half a minute would keep a tenant's lock for as long."""
    with _joined(tenant) as tenancy:
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "2001-03-01")
        with given_back():
            assert _seen(tenant) == "2001-03-01"


def test_an_error_takes_back_all_since_the_last_commit_and_no_more(tenant: Tenant) -> None:
    """Half of what belongs together would be left behind."""
    with _joined(tenant) as tenancy:
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "2001-04-01")
        tenancy.commit()
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "2001-04-02")
        with pytest.raises(ZeroDivisionError), tenancy.scope(tenant.name, durable=False) as scope:
            raise ZeroDivisionError
        with tenancy.scope(tenant.name, durable=False) as scope:
            day = scope.connection.scalar(text("select started_on from tenants"))
            assert str(day) == "2001-04-01"
    assert _seen(tenant) == "2001-04-01"


def test_the_walls_hold_in_each_new_transaction(tenant: Tenant) -> None:
    """A second transaction on the same connection that knew no tenant would see nothing."""
    with _joined(tenant) as tenancy:
        for _ in range(3):
            with tenancy.scope(tenant.name, durable=False) as scope:
                names = scope.connection.execute(text("select tenant_id from tenants")).scalars()
                assert list(names) == [tenant.name]
            tenancy.commit()


def test_a_scope_within_a_scope_is_a_transaction_of_its_own(tenant: Tenant) -> None:
    """It would be taken back together with the one around it."""
    with (
        _joined(tenant) as tenancy, pytest.raises(ZeroDivisionError),
        tenancy.scope(tenant.name, durable=False),
    ):
        with tenancy.scope(tenant.name) as inner:
            _note(inner, "2001-05-01")
        raise ZeroDivisionError
    assert _seen(tenant) == "2001-05-01"


def test_a_lock_is_taken_once_for_each_transaction(tenant: Tenant) -> None:
    """A lock that was believed to be held after a commit would let two derive at once."""
    held = text("select count(*) from pg_locks where locktype = 'advisory' and granted"
                " and pid = pg_backend_pid()")  # fmt: skip
    with _joined(tenant) as tenancy:
        for _ in range(2):
            with tenancy.scope(tenant.name, durable=False) as scope:
                lock_identities(scope)
            with tenancy.scope(tenant.name, durable=False) as scope:
                lock_identities(scope)
                assert scope.connection.scalar(held) == 1
            tenancy.commit()
            with tenancy.scope(tenant.name, durable=False) as scope:
                assert scope.connection.scalar(held) == 0
            tenancy.commit()
