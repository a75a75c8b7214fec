"""`crm-integration mapping` as people type it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from crm_integration.cli import mapping as module
from crm_integration.errors import BadInput
from crm_integration.mapping.tenant_file import tenant_config
from crm_integration_tests.house import Tenant
from crm_integration_tests.served import writes
from crm_integration_tests.sync.merchant import Merchant

Run = Callable[..., Result]
V2 = "hubspot/contact@v2"


@pytest.fixture
def merchant(tenant: Tenant, tmp_path: Path) -> Merchant:
    """Two months of a shop, written to the CRM by version 1 of the contact's mapping."""
    return Merchant.idle(tenant, tmp_path).live()


@pytest.fixture
def run(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on the merchant's house, its tenant filled in."""
    monkeypatch.setattr(module, "house", lambda: merchant.house)

    def invoked(*arguments: str, typed: str | None = None) -> Result:
        whole = [*arguments, "--tenant", merchant.tenant.name]
        return CliRunner().invoke(module.mapping, whole, input=typed)

    return invoked


def _pinned(merchant: Merchant) -> int:
    return tenant_config(merchant.root, merchant.tenant.name, crm=None).pins["contact"]


def test_two_versions_are_compared_without_a_merchant() -> None:
    """The review of a new version begins with what its rules say differently."""
    told = CliRunner().invoke(module.mapping, ["diff", "hubspot/contact@v1", "@v2"])
    assert told.exit_code == 0, told.exception
    assert "ci_current_stage: added (from current_stage" in told.stdout
    assert "ci_lifecycle_stage: label: " in told.stdout
    assert "associations: (none) → company by company_id" in told.stdout
    assert "firstname" not in told.stdout


def test_versions_are_compared_on_what_was_recorded(run: Run) -> None:
    """Counts by field over all rows, and examples that name nobody."""
    told = json.loads(run("diff", "hubspot/contact@v1", "@v2", "--json").stdout)
    recorded = told["recorded"]
    assert (recorded["rows"], recorded["differing"]) == (9, 9)
    counts = {(one["name"], one["change"]): one["rows"] for one in recorded["fields"]}
    assert counts["ci_current_stage", "added"] == 9
    assert ("firstname", "value") not in counts
    assert len(recorded["examples"]["ci_current_stage"]) == 3
    shown = run("diff", "hubspot/contact@v1", "@v2")
    assert "9 of 9 recorded rows differ" in shown.stdout
    assert "example.com" not in shown.stdout


def test_a_pin_shows_what_it_would_write_and_asks(merchant: Merchant, run: Run) -> None:
    """Declined, nothing has changed anywhere."""
    declined = run("pin", V2, typed="n\n")
    assert declined.exit_code == 1
    assert "uses hubspot/contact/v1" in declined.stdout
    assert "contact   9 update" in declined.stdout
    assert _pinned(merchant) == 1
    assert merchant.tenant.value("select count(*) from audit_trail where action = 'mapping.pin'"
                                 ) == 0  # fmt: skip
    assert writes(merchant.tenant.portal.calls) == 0


def test_a_pin_is_kept_in_the_file_and_in_the_trail_and_the_next_run_follows(
    merchant: Merchant, run: Run
) -> None:
    """What the plan showed is what the next ordinary run writes."""
    pinned = run("pin", V2, "--yes")
    assert pinned.exit_code == 0, pinned.exception
    assert _pinned(merchant) == 2
    ((details,),) = merchant.tenant.rows(
        "select details from audit_trail where action = 'mapping.pin'"
    )
    assert (details["before"], details["after"], details["writes"]) == (
        "hubspot/contact/v1",
        "hubspot/contact/v2",
        9,
    )
    merchant.everything()
    written = merchant.tenant.portal.records("contact").values()
    assert all("ci_current_stage" in one for one in written)


def test_a_pin_as_json_moves_only_with_yes(merchant: Merchant, run: Run) -> None:
    """A script must be able to look before it leaps."""
    looked = json.loads(run("pin", V2, "--json").stdout)
    assert (looked["pinned"], looked["writes"], _pinned(merchant)) == (False, 9, 1)
    assert json.loads(run("pin", V2, "--json", "--yes").stdout)["pinned"]
    assert _pinned(merchant) == 2


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("hubspot/contact", "hubspot/contact@v2"),
        ("hubspot/contact@v7", "versions of it: v1, v2"),
        ("zoho/contact@v1", "versions of it: none"),
    ],
)
def test_a_name_of_no_mapping_is_refused_with_those_there_are(
    run: Run, name: str, said: str
) -> None:
    """A typing error must not pin anything."""
    refused = run("pin", name, "--yes")
    assert isinstance(refused.exception, BadInput)
    assert said in str(refused.exception)
