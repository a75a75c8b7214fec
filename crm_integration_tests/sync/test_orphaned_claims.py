"""What a killed live run had claimed is written by its successor, soon and only then."""

from __future__ import annotations

import time
from typing import Any

import pytest

from crm_integration.intake.lanes import ALL_LANES, Lanes
from crm_integration.intake.process_life import this_process
from crm_integration.sync import dispatch, live_run, orphaned_claims
from crm_integration.sync.live_pass import LivePass
from crm_integration.sync.orphaned_claims import claim_id_of
from crm_integration_tests.house import Tenant
from crm_integration_tests.sync.live import deliver_order, engine_of, running, until


class _Killed(BaseException):
    """Nothing of the process goes on."""


def _dies_with_a_claim(tenant: Tenant, process: str, patch: pytest.MonkeyPatch) -> None:
    """A live run of this process claims a record, and is no more."""

    def dies(*_: Any) -> None:
        raise _Killed

    with Lanes(tenant.house.engines.ops, "dead", 60, process=process) as lanes:
        lanes.take(ALL_LANES)
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        one_pass = LivePass(engine_of(tenant), "dead")
        with patch.context() as during, pytest.raises(_Killed):
            during.setattr(dispatch, "look", dies)
            one_pass(tenant.name)
        one_pass.close()
    assert _in_flight(tenant)


def _in_flight(tenant: Tenant) -> int:
    return tenant.value("select count(*) from ledger where state = 'in_flight'")


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (orphaned_claims, live_run):
        monkeypatch.setattr(module, "GRACE", 0.5)


def test_claims_of_a_killed_run_are_free_soon(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its successor drained at once, and the record in its hands waited for two minutes."""
    machine, pid, _ = this_process().split(" ")
    _dies_with_a_claim(tenant, f"{machine} {pid} 1", monkeypatch)
    began = time.monotonic()
    with running(engine_of(tenant), "next"):
        until(lambda: tenant.portal.records("contact") and not _in_flight(tenant))
    assert time.monotonic() - began > 0.5, "its last call may be under way for a moment"
    assert len(tenant.portal.records("contact")) == 1


def test_claims_of_one_that_lives_are_left_alone(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It had only lost its lanes, and both wrote one record."""
    _dies_with_a_claim(tenant, this_process(), monkeypatch)
    with running(engine_of(tenant), "next"):
        with pytest.raises(AssertionError):
            until(lambda: tenant.portal.records("contact"), 3.0)
        assert _in_flight(tenant)


def test_a_claim_tells_its_run_and_no_other(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run over windows that was sending at that moment lost its claims with the dead one's."""
    assert claim_id_of("a").bytes[:8] == claim_id_of("a").bytes[:8] != claim_id_of("b").bytes[:8]
    assert claim_id_of("a") != claim_id_of("a")
    _dies_with_a_claim(tenant, this_process(), monkeypatch)
    with tenant.scope() as scope:
        assert orphaned_claims.release(scope, "another") == 0
        assert orphaned_claims.release(scope, "dead") == _in_flight(tenant)
