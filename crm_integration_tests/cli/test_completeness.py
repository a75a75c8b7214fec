"""`crm-integration completeness` as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest
import typer
from typer.testing import CliRunner, Result

from crm_integration.cli import completeness as module
from crm_integration.errors import BadInput
from crm_integration.sync.path import House
from crm_integration_tests.house import MAPPINGS, Tenant
from crm_integration_tests.sync.proving import lives

Run = Callable[..., Result]


@pytest.fixture
def run(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> Run:
    """A command on the house of the test, whose tenant's shop lives in its CRM."""
    opened = House(tenant.house.engines, MAPPINGS)
    monkeypatch.setattr(module, "house", lambda: opened)
    lives(tenant)
    app = typer.Typer()
    app.command()(module.completeness)

    def invoked(*arguments: str) -> Result:
        return CliRunner().invoke(app, ["--tenant", tenant.name, *arguments])

    return invoked


def test_a_whole_tenant_is_said_to_be_whole(run: Run) -> None:
    """The exit code is what a script believes."""
    done = run("--from", "2024-03-01", "--to", "2024-03-01", "--surplus")
    assert done.exit_code == 0, done.exception
    assert "everything is proven or accounted for" in done.stdout
    assert "ada@example.com" not in done.stdout


def test_what_is_missing_is_told_with_its_ids_healed_and_proven_again(
    tenant: Tenant, run: Run
) -> None:
    """The whole way of somebody whom a merchant has called."""
    order = tenant.shop.guest_order("unheard@example.com")
    found = run("--object-type", "order", "--json")
    assert found.exit_code == 1
    told = json.loads(found.stdout)
    (wrong,) = [one for one in told["proofs"] if not one["passed"]]
    assert (wrong["entity"], wrong["day"], wrong["wrong"]) == ("order", "2024-03-01", 1)
    assert wrong["samples"]["raw"]["missing"] == [str(order)]
    assert told["next"] == [
        f"Heal what is missing or differs: crm-integration completeness --tenant {tenant.name} "
        "--heal"
    ]
    shown = run("--object-type", "order")
    assert shown.exit_code == 1
    assert "1 missing" in shown.stdout
    assert "--heal" in shown.stdout
    mended = run("--heal", "--json")
    assert mended.exit_code == 0, mended.stdout
    assert json.loads(mended.stdout)["healed"] == 1
    assert tenant.portal.one("contact", email="unheard@example.com")
    audited = tenant.value("select count(*) from audit_trail where action = 'completeness.heal'")
    assert audited == 1
    assert run().exit_code == 0


def test_a_crm_object_is_known_by_its_own_name(run: Run) -> None:
    """People say contact; the entity is called customer."""
    told = json.loads(run("--object-type", "contact", "--json").stdout)
    assert {one["entity"] for one in told["proofs"]} == {"customer"}


@pytest.mark.parametrize(
    "arguments",
    [("--from", "2024-03-01"), ("--object-type", "invoice"),
     ("--from", "2024-03-02", "--to", "2024-03-01")],
)  # fmt: skip
def test_what_makes_no_sense_is_refused_with_what_would(
    run: Run, arguments: tuple[str, ...]
) -> None:
    """Half a window must not be taken for everything."""
    refused = run(*arguments)
    assert isinstance(refused.exception, BadInput)
