"""`connection webhooks`: the table, the repair and the exit code, against a served shop."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_integration.cli import connection_webhooks
from crm_integration.intake.webhook_paths import make_path
from crm_integration.settings import reset_settings
from crm_integration.sync.path import House as OpenHouse
from crm_integration_tests.house import MAPPINGS, House, Tenant

HOOKS = "https://hooks.example.com"


@pytest.fixture(autouse=True)
def _command(house: House, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(connection_webhooks, "house", lambda: OpenHouse(house.engines, MAPPINGS))
    monkeypatch.setenv("CRM_INTEGRATION_RECEIVER_URL", HOOKS)
    monkeypatch.setenv("COLUMNS", "200")
    reset_settings()
    yield
    reset_settings()


def _run(tenant: Tenant, capsys: pytest.CaptureFixture[str], **more: bool) -> tuple[int, str]:
    code = 0
    try:
        options = {"mend": False, "as_json": False, **more}
        connection_webhooks.webhooks(tenant.name, **options)
    except connection_webhooks.typer.Exit as left:
        code = left.exit_code
    return code, capsys.readouterr().out


def _addressed(tenant: Tenant) -> None:
    with tenant.scope() as scope:
        make_path(scope, tenant.house.tenancy.master, "main", actor="test")


def test_what_differs_is_shown_with_its_fix_and_an_exit_code(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    """A watch in a shell script must hear of it, and a person must be told what to type."""
    _addressed(tenant)
    code, shown = _run(tenant, capsys)
    assert code == 1
    assert "order.created" in shown
    assert "missing" in shown
    assert f"crm-integration connection webhooks {tenant.name} --mend" in shown
    assert tenant.shop.state.webhooks == {}, "a look changed something"


def test_mending_puts_right_and_says_so_in_one_document(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    _addressed(tenant)
    code, shown = _run(tenant, capsys, mend=True, as_json=True)
    document = json.loads(shown)
    assert code == 0
    assert {one["actual"] for one in document["topics"]} == {"missing, mended"}
    assert HOOKS + "/webhooks/" not in shown, "an address is a secret"
    assert len(tenant.shop.state.webhooks) == len(document["topics"]) == 9
    code, shown = _run(tenant, capsys)
    assert code == 0
    assert "active" in shown


def test_who_is_polled_alone_is_told_how_to_change_that(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    code, shown = _run(tenant, capsys)
    assert code == 0
    assert f"crm-integration connection webhook {tenant.name} main" in " ".join(shown.split())
