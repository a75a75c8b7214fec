"""A new master key while everything goes on, and the key that a command prints."""

from __future__ import annotations

import base64
import shlex
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from crm_integration.audit import trail
from crm_integration.credentials import vault
from crm_integration.credentials.master_key import master_key
from crm_integration.credentials.rotation import Rotated, rotate
from crm_integration.errors import BadSetting, SealBroken
from crm_integration.intake.webhook_paths import PREFIX, make_path, path_digest
from crm_integration.settings import Settings, get_settings, reset_settings
from crm_integration.storage.sealing import MasterKey
from crm_integration.tenancy.scope import Tenancy
from crm_integration_tests.house import House, Tenant, account, at

OLD, NEW = b"k" * 32, b"n" * 32
"""The tests' houses are made with the first."""


def _under(house: House, master: MasterKey) -> Tenancy:
    """As another process sees it."""
    return Tenancy(house.tenancy.engine, master)


def test_during_a_rotation_both_keys_open_everything(house: House, tenant: Tenant) -> None:
    """Processes get the new key one after another, and none of them stands still."""
    both, late = _under(house, MasterKey(NEW, (OLD,))), _under(house, MasterKey(OLD, (NEW,)))
    for before_and_after in range(2):
        for tenancy in (both, late):
            with tenancy.scope(tenant.name) as scope:
                secrets = vault.open_secrets(scope, "crm")
            assert secrets == {"access_token": tenant.portal.token}, before_and_after
        rotate(both, [tenant.name], actor="ada")


def test_after_it_the_old_key_alone_opens_nothing_and_the_new_one_all(
    house: House, tenant: Tenant
) -> None:
    assert rotate(_under(house, MasterKey(NEW, (OLD,))), [tenant.name], actor="ada").anew == 1
    with _under(house, MasterKey(NEW)).scope(tenant.name) as scope:
        assert vault.open_secrets(scope, "crm")
        assert trail.verify(scope).problem is None
    with pytest.raises(SealBroken), _under(house, MasterKey(OLD)).scope(tenant.name):
        pass


def test_it_may_be_repeated_and_is_in_the_trail(house: House, tenant: Tenant) -> None:
    tenancy = _under(house, MasterKey(NEW, (OLD,)))
    assert rotate(tenancy, [tenant.name], actor="ada") == Rotated(1, 0)
    assert rotate(tenancy, [tenant.name], actor="ada") == Rotated(0, 1)
    with tenancy.scope(tenant.name) as scope:
        found = scope.connection.exec_driver_sql(
            "select actor from audit_trail where action = 'keys.rotate'"
        ).scalars()
        assert list(found) == ["ada"]


def test_keys_that_nobody_can_open_stay_as_they_are(house: House, tenant: Tenant) -> None:
    """A wrong key given as the old one must not lock a merchant out."""
    wrong = _under(house, MasterKey(NEW, (b"w" * 32,)))
    with pytest.raises(SealBroken, match="MASTER_KEY_PREVIOUS"):
        rotate(wrong, [tenant.name], actor="ada")
    with tenant.scope() as scope:
        assert vault.open_secrets(scope, "crm")


def test_what_was_sealed_before_is_written_to_the_crm_after(house: House, tenant: Tenant) -> None:
    """Only the wrapping changes: raw records, canonical rows and digests stay what they are."""
    tenant.keep(account(1, at(1), "ada@example.com"))
    tenancy = _under(house, MasterKey(NEW, (OLD,)))
    rotate(tenancy, [tenant.name], actor="ada")
    tenant.house = replace(
        house, tenancy=tenancy, engines=replace(house.engines, tenancy=tenancy)
    )
    tenant.derive()
    tenant.sync("contact")
    assert tenant.portal.one("contact")["email"] == "ada@example.com"


def test_webhook_addresses_of_the_old_key_stay_while_it_is_there(
    house: House, tenant: Tenant
) -> None:
    """Every store would have sent into the void the moment the key changed."""
    with tenant.scope() as scope:
        path = make_path(scope, MasterKey(OLD), "main", actor="ada")
    token = path.removeprefix(PREFIX)
    assert path_digest(MasterKey(NEW, (OLD,)), token) == path_digest(MasterKey(OLD), token)
    assert path_digest(MasterKey(NEW), token) is None


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CRM_INTEGRATION_HOME", str(tmp_path / "home"))
    for name in ("", "_FILE", "_COMMAND", "_PREVIOUS"):
        monkeypatch.delenv(f"CRM_INTEGRATION_MASTER_KEY{name}", raising=False)
    return tmp_path


def _command(code: str) -> str:
    return f"{shlex.quote(sys.executable)} -c {shlex.quote(code)}"


def test_a_secret_managers_command_may_give_the_key(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that lies in no file and in no environment."""
    text = base64.b64encode(NEW).decode()
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY_COMMAND", _command(f"print({text!r})"))
    before = ",".join(base64.b64encode(one).decode() for one in (OLD, b"o" * 32))
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY_PREVIOUS", before)
    assert master_key(Settings()) == MasterKey(NEW, (OLD, b"o" * 32))
    assert not (home / "home").exists()


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (_command("import sys; print('s3cret'); sys.exit(3)"), "ended with 3"),
        (_command("print('s3cret, not base64')"), "not base64"),
        (_command("import sys; sys.stdout.buffer.write(bytes([255, 254]))"), "not base64"),
        ("/no/such/program s3cret", "did not run"),
        ("'s3cret", "did not run"),
    ],
)
def test_a_command_that_fails_says_so_and_repeats_nothing(
    home: Path, monkeypatch: pytest.MonkeyPatch, command: str, why: str
) -> None:
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY_COMMAND", command)
    settings = Settings()
    with pytest.raises(BadSetting, match=why) as refused:
        master_key(settings)
    assert "s3cret" not in str(refused.value)
    assert "s3cret" not in repr(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MASTER_KEY_FILE", "/etc/hostname"),
        ("MASTER_KEY_COMMAND", "cat /etc/hostname"),
        ("MASTER_KEY_PREVIOUS", "bm90IDMyIGJ5dGVz"),
    ],
)
def test_two_ways_to_the_key_or_a_malformed_old_one_are_refused(
    home: Path, monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Which of two keys was meant nobody could say later."""
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY", base64.b64encode(NEW).decode())
    monkeypatch.setenv(f"CRM_INTEGRATION_{name}", value)
    reset_settings()
    with pytest.raises(BadSetting, match=f"CRM_INTEGRATION_{name}") as refused:
        get_settings()
    reset_settings()
    assert value not in str(refused.value)
