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

_NOTE = text(
    "insert into mapping_versions (tenant_id, mapping_id, digest) values (:tenant, :word, 'x')"
)
_WORDS = "select mapping_id from mapping_versions where digest = 'x' order by 1"


@contextmanager
def _joined(tenant: Tenant) -> Iterator[Tenancy]:
    with tenant.house.engines.tenancy.on_one_connection(joined=True) as tenancy:
        yield tenancy


def _note(scope: TenantScope, word: str) -> None:
    scope.connection.execute(_NOTE, {"tenant": scope.tenant, "word": word})


def _seen(tenant: Tenant) -> list[str]:
    """What everybody else sees of it."""
    return [row[0] for row in tenant.rows(_WORDS)]


def test_what_is_not_durable_is_seen_with_what_comes_next(tenant: Tenant) -> None:
    """Each step of a pass was a transaction of its own: a third of what it asked."""
    with _joined(tenant) as tenancy:
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "early")
        assert _seen(tenant) == []
        with tenancy.scope(tenant.name) as scope:
            assert scope.connection.scalar(text("show synchronous_commit")) == "on"
        assert _seen(tenant) == ["early"]


def test_the_end_commits_what_is_left(tenant: Tenant) -> None:
    """The last step of a pass would be lost."""
    with _joined(tenant) as tenancy, tenancy.scope(tenant.name, durable=False) as scope:
        assert scope.connection.scalar(text("show synchronous_commit")) == "off"
        _note(scope, "early")
    assert _seen(tenant) == ["early"]


def test_nothing_stays_open_while_a_remote_host_is_waited_for(tenant: Tenant) -> None:
    """A CRM that takes half a minute would keep a tenant's lock for as long."""
    with _joined(tenant) as tenancy:
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "early")
        with given_back():
            assert _seen(tenant) == ["early"]


def test_an_error_takes_back_all_since_the_last_commit_and_no_more(tenant: Tenant) -> None:
    """Half of what belongs together would be left behind."""
    with _joined(tenant) as tenancy:
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "early")
        tenancy.commit()
        with tenancy.scope(tenant.name, durable=False) as scope:
            _note(scope, "late")
        with pytest.raises(ZeroDivisionError), tenancy.scope(tenant.name, durable=False) as scope:
            raise ZeroDivisionError
        with tenancy.scope(tenant.name, durable=False) as scope:
            assert list(scope.connection.execute(text(_WORDS)).scalars()) == ["early"]
    assert _seen(tenant) == ["early"]


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
        _joined(tenant) as tenancy,
        pytest.raises(ZeroDivisionError),
        tenancy.scope(tenant.name, durable=False),
    ):
        with tenancy.scope(tenant.name) as inner:
            _note(inner, "early")
        raise ZeroDivisionError
    assert _seen(tenant) == ["early"]


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
