"""Settings are read once, checked at the start, and never quoted when they are secret."""

from __future__ import annotations

import base64
import os
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import pytest
from pydantic import ValidationError

from crm_integration.errors import BadSetting
from crm_integration.settings import ROOT_HOME, get_settings, reset_settings

KEY = base64.b64encode(bytes(range(32))).decode()


@pytest.fixture(autouse=True)
def _clean(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    for name in [name for name in os.environ if name.startswith("CRM_INTEGRATION_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("CRM_INTEGRATION_MAPPINGS", str(tmp_path))
    reset_settings()
    yield
    reset_settings()


def test_an_empty_environment_gives_what_the_documentation_says() -> None:
    """The first start on a fresh machine has no variables at all."""
    settings = get_settings()
    assert settings.home == (ROOT_HOME if os.geteuid() == 0 else Path.home() / ".crm_integration")
    assert settings.window == "day"
    assert settings.start_day == date(2024, 1, 1)
    assert settings.app_url is None
    assert settings.log_level == "INFO"


@pytest.mark.parametrize(
    ("name", "value", "fix"),
    [
        ("WINDOW", "week", "day or month"),
        ("START_DAY", "yesterday", "ISO day"),
        ("DATABASE", "Bad Name", "starting with a letter"),
        ("ALERT_URL", "http://hooks.example.com/x", "https"),
        ("ALERT_URL", "hooks.example.com", "https"),
        ("PG_BIN", "/nowhere/at/all", "initdb"),
        ("MAPPINGS", "/nowhere/at/all", "mapping files"),
        ("LOG_LEVEL", "LOUD", "WARNING"),
    ],
)
def test_a_bad_value_names_its_variable_and_the_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, fix: str
) -> None:
    """ "1 validation error for Settings" sent people to the source code."""
    monkeypatch.setenv(f"CRM_INTEGRATION_{name}", value)
    with pytest.raises(BadSetting, match=f"CRM_INTEGRATION_{name}: .*{fix}"):
        get_settings()


@pytest.mark.parametrize("key", ["hidden-word", KEY[:-8], KEY + KEY, "ä" * 44])
def test_a_bad_master_key_is_refused_without_being_shown(
    monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    """A key with one character lost was printed whole, into a log that many read."""
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY", key)
    with pytest.raises(
        BadSetting, match="CRM_INTEGRATION_MASTER_KEY: .*32 random bytes"
    ) as refused:
        get_settings()
    assert key not in str(refused.value)
    assert refused.value.__suppress_context__


def test_two_sources_of_the_master_key_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """With two keys nobody knows which one sealed the data."""
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY", KEY)
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY_FILE", str(tmp_path / "key"))
    with pytest.raises(BadSetting, match="both set"):
        get_settings()


def test_secrets_do_not_show_in_the_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings get printed when something else is wrong."""
    monkeypatch.setenv("CRM_INTEGRATION_MASTER_KEY", KEY)
    url = "postgresql://u:hidden-word@localhost/d"  # pragma: allowlist secret
    monkeypatch.setenv("CRM_INTEGRATION_APP_URL", url)
    monkeypatch.setenv("CRM_INTEGRATION_ALERT_URL", "https://hooks.example.com/hidden-word")
    shown = repr(get_settings()) + str(get_settings())
    assert KEY not in shown
    assert "hidden-word" not in shown


def test_settings_cannot_be_changed_after_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """A value changed by one part under another is found by nobody."""
    settings = get_settings()
    with pytest.raises(ValidationError, match="frozen"):
        settings.window = "month"  # type: ignore[misc]
    monkeypatch.setenv("CRM_INTEGRATION_WINDOW", "month")
    assert get_settings().window == "day"
    reset_settings()
    assert get_settings().window == "month"


def test_an_alert_address_on_this_machine_may_be_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo's own receiver of alerts has no certificate."""
    monkeypatch.setenv("CRM_INTEGRATION_ALERT_URL", "http://127.0.0.1:8099/alerts")
    assert get_settings().alert_url == "http://127.0.0.1:8099/alerts"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("RECEIVER_URL", "http://hooks.example.com"),
        ("RECEIVER_URL", "hooks.example.com"),
        ("RECEIVER_RATE", "0"),
        ("RECEIVER_RATE", "many"),
    ],
)
def test_a_wrong_setting_of_the_receiver_is_named_with_its_fix(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str
) -> None:
    """Stores would have been told an address over which everybody reads along."""
    monkeypatch.setenv(f"CRM_INTEGRATION_{name}", value)
    with pytest.raises(BadSetting, match=f"CRM_INTEGRATION_{name}.*Give "):
        get_settings()
