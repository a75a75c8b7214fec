"""`crm-integration identity` against a tenant's real tables."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner, Result

from crm_integration.cli import identity as module
from crm_integration.errors import BadInput
from crm_integration_tests.canonical.people import People, seen
from crm_integration_tests.house import MAPPINGS, Tenant

Run = Callable[..., Result]


@pytest.fixture
def run(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on the house of the test, its tenant filled in."""
    opened = SimpleNamespace(engines=tenant.house.engines, mappings=MAPPINGS)
    monkeypatch.setattr(module, "house", lambda: opened)

    def invoked(command: str, *arguments: str) -> Result:
        return CliRunner().invoke(
            module.identity, [command, "--tenant", tenant.name, *arguments]
        )  # fmt: skip

    return invoked


def test_a_merge_is_listed_split_and_accepted_again(tenant: Tenant, run: Run) -> None:
    """The whole way a support engineer goes after a merchant's complaint."""
    people = People(tenant)
    people.write(seen(1, "Ada Smith", "smith@example.com", kind="registered"),
                 seen(2, "Paul Smith", "smith@example.com"))  # fmt: skip
    listed = run("list", "--json")
    assert listed.exit_code == 0, listed.exception
    (merge,) = json.loads(listed.stdout)["merges"]
    assert merge["rule"] == "email"
    undone = run("split", str(merge["merge_id"]), "--reason", "two people")
    assert undone.exit_code == 0, undone.output
    assert len(people.groups()) == 2
    (pair,) = json.loads(run("list", "--state", "dismissed", "--json").stdout)["suggestions"]
    assert run("merge", str(pair["suggestion_id"])).exit_code == 0
    assert len(people.groups()) == 1
    actors = {row.actor for row in tenant.rows("select actor from audit_trail"
                                               " where action like 'identity.%'")}  # fmt: skip
    assert len(actors) == 1
    assert actors.pop().startswith("cli:")


def test_suggestions_are_found_listed_and_dismissed_without_showing_people(
    tenant: Tenant, run: Run
) -> None:
    """A terminal's scrollback is read by others; it holds ids and reasons."""
    people = People(tenant)
    for number, last in enumerate(("Sharpe", "Sharp")):
        one = seen(number, f"Catherine {last}", f"c{number}@example.com", line1="5 High Street")
        people.write(one)
    assert "1 suggestions are new" in run("suggest").stdout
    listed = run("list").stdout
    assert "street" in listed
    assert "Catherine" not in listed
    number = listed.split("suggestion ")[1].split(" ")[0]
    assert run("dismiss", number, "--reason", "cousins").exit_code == 0
    assert "suggestion" not in run("list").stdout


def test_a_state_that_does_not_exist_is_refused_with_those_that_do(run: Run) -> None:
    """An empty list for a typing error looks like nothing to do."""
    refused = run("list", "--state", "opne")
    assert isinstance(refused.exception, BadInput)
    assert "open, accepted, dismissed" in str(refused.exception)
