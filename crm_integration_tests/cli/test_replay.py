"""`crm-integration replay` as people type it: one looks, another one runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from crm_integration.cli import replay as module
from crm_integration.errors import BadInput
from crm_integration_tests.house import Tenant
from crm_integration_tests.served import writes
from crm_integration_tests.sync.merchant import Merchant

Run = Callable[..., Result]
MARCH = ("--from", "2024-03-01", "--to", "2024-03-31")
NAMES = ("--object", "contact", "--force", "firstname")


@pytest.fixture
def merchant(tenant: Tenant, tmp_path: Path) -> Merchant:
    """Two months of a shop, written to the CRM by version 1 of the contact's mapping."""
    return Merchant.idle(tenant, tmp_path).live()


@pytest.fixture
def run(merchant: Merchant, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command about March, typed by `who`."""
    monkeypatch.setattr(module, "house", lambda: merchant.house)

    def invoked(command: str, *more: str, who: str = "bob", typed: str | None = None) -> Result:
        monkeypatch.setattr(module, "actor", lambda: f"cli:{who}")
        whole = [command, "--tenant", merchant.tenant.name, *MARCH, *more]
        return CliRunner().invoke(module.replay, whole, input=typed)

    return invoked


def test_a_plan_is_shown_with_its_differences_and_without_people(
    merchant: Merchant, run: Run
) -> None:
    """It is pasted into a ticket before it is run."""
    merchant.tenant.portal.edit(
        "contact", next(iter(merchant.tenant.portal.records("contact"))), ci_orders_count="99"
    )
    shown = run("plan", "--mapping", "hubspot/contact@v2", "--limit", "100")
    assert shown.exit_code == 0, shown.exception
    assert "ci_orders_count: 99 → 1   (store, overwrite: the store owns it)" in shown.stdout
    assert "8 records would be written; nothing was" in shown.stdout
    assert "example.com" not in shown.stdout
    assert writes(merchant.tenant.portal.calls) == 0


def test_a_plan_as_json_is_one_document_with_counts_and_digest(
    merchant: Merchant, run: Run
) -> None:
    """For a pull request that changes a mapping."""
    plan = json.loads(run("plan", "--mapping", "hubspot/contact@v2", "--json").stdout)
    assert (plan["writes"], plan["counts"]["contact"]["update"]) == (8, 8)
    assert plan["counts"]["order"] == {"unchanged": 8}
    assert plan["mappings"]["contact"] == "hubspot/contact/v2"
    assert plan["fields"]["contact"]["ci_current_stage"] == 8
    field = plan["differences"][0]["fields"][0]
    assert set(field) == {"name", "old", "new", "owner", "rule", "reason"}
    assert len(plan["digest"]) == 64


def test_who_shows_personal_values_is_kept(merchant: Merchant, run: Run) -> None:
    """Forty customers on a screen leave a trace."""
    merchant.tenant.portal.edit(
        "contact", next(iter(merchant.tenant.portal.records("contact"))), ci_orders_count="99"
    )
    assert run("plan", "--mapping", "hubspot/contact@v2", "--show").exit_code == 0
    ((actor,),) = merchant.tenant.rows(
        "select actor from audit_trail where action = 'replay.show'"
    )  # fmt: skip
    assert actor == "cli:bob"


def test_a_replay_says_what_it_did(merchant: Merchant, run: Run) -> None:
    """Nothing, over unchanged data; and that is success."""
    done = run("run", "--json")
    assert done.exit_code == 0, done.exception
    told = json.loads(done.stdout)
    assert (told["done"], told["calls"], told["created"], told["updated"]) == (True, 0, 0, 0)
    assert told["read"] > 0
    merchant.pin(2)
    assert "0 created, 8 updated" in run("run").stdout


def test_a_replay_through_another_version_names_the_way(run: Run) -> None:
    """With the command that pins it."""
    refused = run("run", "--mapping", "hubspot/contact@v2")
    assert isinstance(refused.exception, BadInput)
    assert "mapping pin --tenant" in str(refused.exception)


def test_a_forced_rewrite_takes_two_people(merchant: Merchant, run: Run) -> None:
    """Ada looks and allows, Bob runs; neither does both."""
    for number in merchant.tenant.portal.records("contact"):
        merchant.tenant.portal.edit("contact", number, firstname="Bob")
    given = run("approve", *NAMES, "--yes", "--json", who="ada")
    assert given.exit_code == 0, given.exception
    code = json.loads(given.stdout)["approval"]
    ran = ("run", *NAMES, "--reason", "an import renamed everybody", "--approval", code)
    own = run(*ran, who="ada")
    assert "another person" in str(own.exception)
    done = run(*ran)
    assert done.exit_code == 0, done.exception
    assert "8 were planned and approved" in done.stdout
    names = {one["firstname"] for one in merchant.tenant.portal.records("contact").values()}
    assert names == {"Ada", "Gus", "Bob"}, "April is still Bob"


def test_an_approval_shows_what_it_allows_and_asks(merchant: Merchant, run: Run) -> None:
    """No is an answer, and nothing is allowed by it."""
    declined = run("approve", *NAMES, typed="n\n")
    assert declined.exit_code == 1
    assert "firstname" in declined.stdout
    assert merchant.tenant.value("select count(*) from approvals") == 0


def test_a_reason_without_force_is_refused(run: Run) -> None:
    """Somebody believes that they force something."""
    assert "--force" in str(run("run", "--reason", "x", "--approval", "y").exception)


def test_a_replay_that_a_hold_stops_is_no_success(merchant: Merchant, run: Run) -> None:
    """Exit code 0 only when it did what it says."""
    merchant.hold("contact")
    merchant.pin(2)
    stopped = run("run")
    assert stopped.exit_code == 1
    assert "a hold is open" in stopped.stdout
