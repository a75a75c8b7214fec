"""Keys and secrets: sealed at rest, opened only where they belong."""

from __future__ import annotations

import base64
import os
import threading
from pathlib import Path

import pytest
from sqlalchemy import text

from crm_integration.credentials import vault
from crm_integration.credentials.master_key import KEY_BYTES, master_key
from crm_integration.errors import BadSetting, NotFound, SealBroken
from crm_integration.settings import Settings, get_settings, reset_settings
from crm_integration.storage.sealing import MasterKey, new_tenant_keys
from crm_integration.tenancy.scope import Tenancy
from crm_integration_tests.house import House, Tenant

GOOD = base64.b64encode(b"k" * KEY_BYTES).decode()


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home, and no setting from outside."""
    for name in [name for name in os.environ if name.startswith("CRM_INTEGRATION_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CRM_INTEGRATION_HOME", str(tmp_path / "home"))
    return tmp_path / "home"


def test_the_first_start_on_a_laptop_makes_a_key_only_its_owner_can_read(home: Path) -> None:
    """A key file that all can read is no key."""
    first = master_key(Settings())
    path = home / "master.key"
    assert path.stat().st_mode & 0o777 == 0o600
    assert len(first.key) == KEY_BYTES
    assert master_key(Settings()) == first
    assert [one.name for one in home.iterdir()] == ["master.key"], "a draft is left behind"


def test_two_first_starts_at_once_agree_on_one_key(home: Path) -> None:
    """Each with a key of its own, one of them sealed what nobody can open."""
    found: list[MasterKey] = []
    threads = [
        threading.Thread(target=lambda: found.append(master_key(Settings()))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(found) == 4
    assert len({one.key for one in found}) == 1


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(home: Path, mode: int) -> None:
    """With the way to mend it."""
    master_key(Settings())
    (home / "master.key").chmod(mode)
    with pytest.raises(BadSetting, match="chmod 600"):
        master_key(Settings())


@pytest.mark.parametrize("text", ["not base64 !", "%%%", base64.b64encode(b"short").decode()])
def test_a_malformed_key_is_refused_and_not_repeated(
    home: Path, monkeypatch: pytest.MonkeyPatch, text: str
) -> None:
    """The message goes into a log: it must not hold the key."""
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY", text)
    reset_settings()
    with pytest.raises(BadSetting, match="MASTER_KEY") as refused:
        master_key(get_settings())
    reset_settings()
    assert text not in str(refused.value)


def test_a_key_from_the_environment_comes_before_a_file(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And makes none."""
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY", GOOD)
    assert master_key(Settings()).key == b"k" * KEY_BYTES
    assert not home.exists()


def test_a_database_of_ones_own_never_gets_a_generated_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second key made on a second machine split a database in two."""
    monkeypatch.setenv("CRM_INTEGRATION_APP_URL", "postgresql://crm_app@localhost/x")
    with pytest.raises(BadSetting, match="CRM_INTEGRATION_MASTER_KEY"):
        master_key(Settings())


def test_another_master_key_opens_nothing(house: House, tenant: Tenant) -> None:
    """And says which setting is wrong."""
    other = Tenancy(house.tenancy.engine, MasterKey(b"x" * KEY_BYTES))
    with pytest.raises(SealBroken, match="CRM_INTEGRATION_MASTER_KEY"), other.scope(tenant.name):
        pass


def test_secrets_come_back_and_lie_sealed(tenant: Tenant) -> None:
    """A dump of the table shows no token."""
    with tenant.scope() as scope:
        assert vault.open_secrets(scope, "crm") == {"access_token": tenant.portal.token}
    (row,) = tenant.rows("select sealed from credentials where connection_id = 'crm'")
    assert tenant.portal.token.encode() not in bytes(row.sealed)
    with tenant.scope() as scope, pytest.raises(NotFound):
        vault.open_secrets(scope, "nothing")


def test_a_sealed_row_does_not_open_under_another_connection_of_its_tenant(
    tenant: Tenant,
) -> None:
    """Somebody with a pen in the table swaps two tokens: the wrong account is written to."""
    with tenant.scope() as scope:
        scope.connection.execute(
            text(
                "update credentials set sealed = (select sealed from credentials"
                " where connection_id = 'main') where connection_id = 'crm'"
            )
        )
        with pytest.raises(SealBroken):
            vault.open_secrets(scope, "crm")


def test_a_sealed_row_does_not_open_for_another_tenant(tenant: Tenant, neighbour: Tenant) -> None:
    """The same connection name, another merchant."""
    sealed = tenant.value("select sealed from credentials where connection_id = 'crm'")
    with neighbour.scope() as scope:
        scope.connection.execute(
            text("update credentials set sealed = :s where connection_id = 'crm'"), {"s": sealed}
        )
        with pytest.raises(SealBroken, match=neighbour.name):
            vault.open_secrets(scope, "crm")


def test_sealed_bytes_open_only_for_their_tenant_table_row_and_version() -> None:
    """A row moved to another place is not what it says it is."""
    keys = new_tenant_keys("aurora")
    sealed = keys.seal("customers", "1", b"secret")
    assert keys.open("customers", "1", sealed) == b"secret"
    from dataclasses import replace

    for wrong, table, row in (
        (keys, "orders", "1"),
        (keys, "customers", "2"),
        (replace(keys, tenant="borealis"), "customers", "1"),
        (replace(keys, version=2), "customers", "1"),
    ):
        with pytest.raises(SealBroken):
            wrong.open(table, row, sealed)
    for position in range(len(sealed)):
        spoiled = bytearray(sealed)
        spoiled[position] ^= 1
        if position >= 3:  # the header is read by the next key version, not by this one
            with pytest.raises(SealBroken):
                keys.open("customers", "1", bytes(spoiled))
    with pytest.raises(SealBroken):
        keys.open("customers", "1", b"")


def test_one_address_has_another_match_key_with_every_tenant() -> None:
    """Hashes without a key are guessed from a list of addresses, and join tenants."""
    first, second = new_tenant_keys("aurora"), new_tenant_keys("borealis")
    found = {keys.digest("email", b"ada@example.com") for keys in (first, second)}
    assert len(found) == 2
    assert first.digest("email", b"x") != first.digest("raw", b"x")


def test_keys_are_in_no_repr(house: House) -> None:
    """A traceback with locals is a log line."""
    keys = new_tenant_keys("aurora")
    shown = repr(keys) + repr(house.tenancy) + repr(MasterKey(b"k" * 32))
    for secret in (keys.data_key, keys.digest_key, b"k" * 32):
        assert repr(secret) not in shown
