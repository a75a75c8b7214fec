"""Paths are secrets of which only a hash is kept, and the receiver's role sees one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import ProgrammingError

from crm_integration.audit.trail import verify
from crm_integration.errors import BadInput, NotFound
from crm_integration.intake.path_lookup import ask
from crm_integration.intake.webhook_paths import (
    PREFIX,
    add_secret,
    make_path,
    new_secret,
    new_token,
    path_digest,
    webhook_state,
)
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration_tests.house import House, Tenant

HOUR = timedelta(hours=1)
SECRET = "a secret of some length"
_SETTINGS = ("app.tenant_id", "app.webhook_path")


@contextmanager
def _as(url: str) -> Iterator[Connection]:
    with engine_for(url).connect() as connection, connection.begin() as transaction:
        yield connection
        transaction.rollback()


def _path(tenant: Tenant, overlap: timedelta = HOUR) -> str:
    with tenant.scope() as scope:
        return make_path(scope, tenant.house.tenancy.master, "main", actor="test", overlap=overlap)


def _secret(tenant: Tenant, secret: str = SECRET, overlap: timedelta = HOUR) -> None:
    with tenant.scope() as scope:
        add_secret(scope, "main", secret, actor="test", overlap=overlap)


def _digest(house: House, path: str) -> bytes:
    found = path_digest(house.tenancy.master, path.removeprefix(PREFIX))
    assert found is not None
    return found


def _asked(house: House, path: str) -> Any:
    return ask(engine_for(house.urls.intake), house.tenancy.master, _digest(house, path))


def test_a_path_leads_to_its_connection_and_its_secrets(house: House, tenant: Tenant) -> None:
    path = _path(tenant)
    _secret(tenant)
    _secret(tenant, SECRET * 2)
    found = _asked(house, path)
    assert (found.tenant, found.connection_id) == (tenant.name, "main")
    assert found.store.manifest.platform == "woocommerce"
    assert found.secrets() == [SECRET * 2, SECRET], "newest first"
    with tenant.scope() as scope:
        assert found.keys.data_key == scope.keys.data_key


def test_a_path_is_nowhere_in_the_database(house: House, tenant: Tenant) -> None:
    """A backup was read, and whoever read it could deliver."""
    path = _path(tenant)
    token = path.removeprefix(PREFIX)
    for table in ("webhook_paths", "audit_trail", "connections"):
        assert token not in str(tenant.rows(f"select * from {table}"))  # noqa: S608
    _secret(tenant)
    assert SECRET not in str(tenant.rows("select * from webhook_secrets"))
    assert SECRET.encode() not in b"".join(
        bytes(row.sealed) for row in tenant.rows("select sealed from webhook_secrets")
    )
    shown = repr(_asked(house, path))
    assert SECRET not in shown
    assert "data_key" not in shown


def test_a_token_that_we_never_made_needs_no_database() -> None:
    """Guesses by the million would each have been a query."""
    master = MasterKey(b"k" * 32)
    token = new_token(master)
    assert path_digest(master, token) is not None
    assert len(token) >= 38, "160 random bits and a check"
    assert new_token(master) != token
    for wrong in ("", "A", token[:-3], token[1:], "A" + token, token + "A", "A" * 38, "ä" * 38):
        assert path_digest(master, wrong) is None, wrong
    assert path_digest(MasterKey(b"x" * 32), token) is None


def test_an_ended_path_and_an_ended_secret_are_not_told(house: House, tenant: Tenant) -> None:
    """The database's clock decides."""
    first = _path(tenant)
    _secret(tenant)
    _secret(tenant, SECRET * 2, overlap=timedelta(0))
    second = _path(tenant, overlap=timedelta(0))
    assert _asked(house, first) is None
    assert _asked(house, second).secrets() == [SECRET * 2]


def test_a_second_rotation_does_not_prolong_the_first(house: House, tenant: Tenant) -> None:
    """The leaked address lived on with each new one."""
    _path(tenant)
    _path(tenant, overlap=timedelta(minutes=5))
    _path(tenant, overlap=timedelta(days=5))
    ends = tenant.rows(
        "select valid_until - made_at as left from webhook_paths order by made_at limit 1"
    )
    assert ends[0].left < timedelta(minutes=6)


def test_the_receivers_role_sees_nothing_but_what_it_asks_for(
    house: House, tenant: Tenant, neighbour: Tenant
) -> None:
    """The one process that faces the internet was taken over; it must hold one path's worth."""
    mine, _ = _path(tenant), _path(neighbour)
    asked = text("select * from webhook_address(:d)")
    with _as(house.urls.intake) as connection:
        rows = connection.execute(asked, {"d": _digest(house, mine)}).all()
        assert {row.tenant_id for row in rows} == {tenant.name}
        for digest in (b"", b"x" * 32, None):
            assert connection.execute(asked, {"d": digest}).all() == []
        setting = text("select current_setting(:s, true)")
        left = [connection.scalar(setting, {"s": one}) for one in _SETTINGS]
        assert not any(left), "the function leaves no tenant behind"
    for table in ("webhook_paths", "webhook_secrets", "connections", "tenants"):
        with _as(house.urls.intake) as connection, pytest.raises(ProgrammingError, match="denied"):
            connection.execute(text(f"select * from {table}"))  # noqa: S608


@pytest.mark.parametrize("url", ["app", "ops"])
def test_no_other_role_may_ask_for_a_path(house: House, tenant: Tenant, url: str) -> None:
    """Inside one tenant's walls the function would be a window into another's."""
    digest = _digest(house, _path(tenant))
    with _as(getattr(house.urls, url)) as connection, pytest.raises(ProgrammingError, match="deni"):
        connection.execute(text("select * from webhook_address(:d)"), {"d": digest})


def test_the_owner_sees_no_tenants_by_itself(house: House, tenant: Tenant) -> None:
    """The policies behind the function show one path, and then one tenant; else nothing."""
    _path(tenant)
    _secret(tenant)
    with _as(house.urls.owner) as connection:
        for table in ("webhook_paths", "webhook_secrets", "connections", "tenants"):
            assert connection.execute(text(f"select count(*) from {table}")).scalar() == 0  # noqa: S608


def test_rotations_are_in_the_audit_trail(tenant: Tenant) -> None:
    """Who opened this door, and when?"""
    _path(tenant)
    _secret(tenant)
    entries = tenant.rows("select action, subject, actor, details from audit_trail order by 1")
    made = [tuple(one) for one in entries if one.action.startswith("webhook")]
    assert made == [
        ("webhook.path", "main", "test", {"overlap_seconds": 3600}),
        ("webhook.secret", "main", "test", {"overlap_seconds": 3600}),
    ]
    with tenant.scope() as scope:
        assert verify(scope).problem is None


def test_only_a_store_has_a_webhook_address(house: House, tenant: Tenant) -> None:
    master = house.tenancy.master
    for unknown in ("crm", "nothing"):
        with tenant.scope() as scope, pytest.raises(NotFound, match="connection"):
            make_path(scope, master, unknown, actor="test")
    with tenant.scope() as scope:
        state = webhook_state(scope, "main")
    assert (state.platform, state.paths, state.secrets) == ("woocommerce", (), ())


@pytest.mark.parametrize("secret", ["", "short", "x" * 15])
def test_a_secret_that_can_be_guessed_is_refused(tenant: Tenant, secret: str) -> None:
    """'changeme' signed every order."""
    with pytest.raises(BadInput, match="16"):
        _secret(tenant, secret)


def test_a_platform_that_signs_nothing_takes_no_secret(house: House) -> None:
    """It would be believed to be checked."""
    with pytest.raises(BadInput, match="path is the secret"):
        _secret(house.tenant("api2cart"))


def test_our_own_secrets_are_long_and_never_the_same() -> None:
    made = {new_secret() for _ in range(5)}
    assert len(made) == 5
    assert all(one.startswith("whsec_") and len(one) == 50 for one in made)
