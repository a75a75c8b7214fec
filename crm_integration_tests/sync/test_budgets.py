"""From the run to the gate: which purpose calls, for whom, and what a CRM's answers change."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import text

from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Window
from crm_integration.sync.live_pass import LivePass
from crm_integration.sync.path import House as OpenHouse
from crm_integration.sync.slices import run_slices
from crm_integration.transport.budget import BudgetGate
from crm_integration_tests.departures import EVERYTHING, SPRING
from crm_integration_tests.house import MAPPINGS, House, Tenant
from crm_integration_tests.sync.live import deliver_order, engine_of

Seen = set[tuple[str, str, str]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    """(side, purpose, tenant) of every call that was booked."""
    found: Seen = set()
    booked = BudgetGate.__call__

    def spy(self: BudgetGate, endpoint_class: str) -> None:
        found.add((self.side, self.purpose, self.tenant))
        booked(self, endpoint_class)

    monkeypatch.setattr(BudgetGate, "__call__", spy)
    return found


@pytest.mark.parametrize("purpose", ["reconcile", "backfill"])
def test_a_run_over_windows_calls_both_sides_for_its_purpose(
    house: House, seen: Seen, purpose: Any
) -> None:
    """A backfill that called the CRM as if it were live kept every live event waiting."""
    tenant = house.tenant("api2cart")
    tenant.shop.guest_order("ada@example.com")
    windows: list[Window] = [SPRING]
    opened = OpenHouse(house.engines, MAPPINGS)
    place = (opened, tenant.name, windows, EVERYTHING)
    for _, report in run_slices(*place, run_id="r", root_run_id="r", purpose=purpose):
        assert not report.problems
    assert seen == {("store", purpose, tenant.name), ("crm", purpose, tenant.name)}


def test_a_live_pass_calls_as_live(tenant: Tenant, seen: Seen) -> None:
    """The reserve that others leave is for it."""
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    one_pass = LivePass(engine_of(tenant), "live")
    assert not one_pass(tenant.name).problems
    one_pass.close()
    assert {(side, purpose) for side, purpose, _ in seen} == {("crm", "live")}


def _budget(tenant: Tenant, name: str) -> Any:
    account = tenant.house.tenancy.master.digest(
        "budget", f"hubspot/{tenant.crm.account_id}".encode()
    )
    with tenant.house.engines.ops.begin() as connection:
        return connection.execute(
            text("select * from budgets where account = :a and endpoint_class = :n"),
            {"a": account, "n": name},
        ).one()


def test_what_a_crm_says_of_its_quotas_is_written_down(tenant: Tenant) -> None:
    """An account with twice the quota of the smallest plan was filled at half its speed."""
    tenant.shop.guest_order("ada@example.com")
    tenant.run_once()
    allowed = tenant.portal.state.settings
    assert _budget(tenant, "all").told_limit == allowed.per_ten_seconds
    assert _budget(tenant, "day").told_limit == allowed.per_day


def test_a_crms_refusal_slows_everybody_down_and_loses_nothing(tenant: Tenant) -> None:
    """A 429 that only one process knew of was met by each of them."""
    tenant.shop.guest_order("ada@example.com")
    busy = {"category": "RATE_LIMITS", "policyName": "TEN_SECONDLY_ROLLING", "status": "error"}
    tenant.portal.follow(
        FaultRule("status", "POST", "batch/upsert", status=429, retry_after=1.0, body=busy)
    )
    tenant.run_once()
    refused = _budget(tenant, "all")
    assert (refused.rate, refused.blocked_until > 0) == (0.5, True)
    tenant.hurry()
    tenant.sync()
    assert tenant.portal.one("contact")["email"] == "ada@example.com"
