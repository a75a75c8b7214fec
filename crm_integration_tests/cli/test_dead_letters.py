"""`crm-integration dead-letters` as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from crm_integration.cli import dead_letters as module
from crm_integration.errors import BadInput, NotFound
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync.path import House
from crm_integration_tests.house import MAPPINGS, Tenant, account, at

Run = Callable[..., Result]


@pytest.fixture
def run(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on the house of the test; one contact of its tenant was refused."""
    opened = House(tenant.house.engines, MAPPINGS)
    monkeypatch.setattr(module, "house", lambda: opened)
    tenant.keep(account(1, at(0), "ada@example.com"))
    tenant.derive()
    refusal = FaultRule("partial", "POST", "upsert", records=("ada@example.com",), count=0)
    tenant.portal.follow(refusal)
    tenant.sync("contact")

    def invoked(command: str, *arguments: str, typed: str | None = None) -> Result:
        whole = [command, tenant.name, *arguments]
        return CliRunner().invoke(module.dead_letters, whole, input=typed)

    return invoked


def _id(run: Run) -> str:
    (found,) = json.loads(run("list", "--json").stdout)
    return found["object_id"]


def test_a_letter_is_listed_shown_edited_redriven_and_gone(tenant: Tenant, run: Run) -> None:
    """The whole way a support engineer goes after a merchant's complaint."""
    letter = _id(run)
    listed = run("list", "--object", "contact")
    assert letter in listed.stdout
    assert "ada@example.com" not in listed.stdout, "a list is read over shoulders"
    shown = run("show", letter)
    assert shown.exit_code == 0, shown.exception
    for part in ("ada@example.com", "payload: raw record", "canonical row:", "request:", "answer"):
        assert part in shown.stdout
    edited = run("edit", letter, "--set", "email=ada.smith@example.com", "--reason", "typed twice")
    assert edited.exit_code == 0, edited.exception
    assert "ada.smith" not in edited.stdout
    assert "before the edit:" in run("show", letter).stdout
    redriven = run("redrive", letter, "--yes")
    assert redriven.exit_code == 0, redriven.exception
    assert "1 to be sent again" in redriven.stdout
    tenant.sync("contact")
    assert tenant.portal.one("contact")["email"] == "ada.smith@example.com"
    assert run("list").stdout == ""


def test_a_redrive_shows_what_it_would_send_and_asks(tenant: Tenant, run: Run) -> None:
    """No is an answer, and it is not success."""
    declined = run("redrive", "--object", "contact", typed="n\n")
    assert declined.exit_code == 1
    assert "1 contact" in declined.stdout
    assert _id(run) in declined.stdout
    assert tenant.state("contact")[0][0] == "dead"
    assert run("redrive", "--object", "contact", typed="y\n").exit_code == 0
    assert tenant.state("contact")[0][0] == "pending"


def test_a_redrive_as_json_is_one_document_and_only_with_yes_an_act(
    tenant: Tenant, run: Run
) -> None:
    """A script must be able to look before it leaps."""
    looked = json.loads(run("redrive", "--all", "--json").stdout)
    assert (looked["letters"], looked["redriven"]) == (1, 0)
    assert tenant.state("contact")[0][0] == "dead"
    done = json.loads(run("redrive", "--all", "--json", "--yes").stdout)
    assert (done["letters"], done["redriven"]) == (1, 1)


def test_a_redrive_of_nothing_in_particular_is_refused(run: Run) -> None:
    """An empty filter is a slip more often than a wish."""
    assert isinstance(run("redrive", "--yes").exception, BadInput)


def test_a_redrive_that_finds_nothing_is_no_success(run: Run) -> None:
    """A script that redrives by a code that was spelled wrong must stop."""
    assert isinstance(run("redrive", "--code", "OTHER", "--yes").exception, NotFound)


def test_what_is_shown_as_json_holds_the_whole_story(run: Run) -> None:
    """For a ticket, or for a script of the support desk."""
    story = json.loads(run("show", _id(run), "--json").stdout)
    assert story["payload"]["body"]["email"] == "ada@example.com"
    assert story["tries"][0]["request"]["email"] == "ada@example.com"
    assert story["letter"]["object_type"] == "contact"


def test_an_assignment_without_an_equals_sign_is_refused(run: Run) -> None:
    """With an example of what is meant."""
    refused = run("edit", _id(run), "--set", "email", "--reason", "x")
    assert isinstance(refused.exception, BadInput)
    assert "FIELD=VALUE" in str(refused.exception)
