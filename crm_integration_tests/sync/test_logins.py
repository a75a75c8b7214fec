"""A CRM login that runs out, is taken back or opens another account, in mid-work."""

from __future__ import annotations

import time
from dataclasses import replace

import pytest

from crm_integration.audit import trail
from crm_integration.credentials.standing import LoginState
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync import crm_session, dispatch
from crm_integration_tests.credentials.logged_in import (
    changes,
    connect_by_oauth,
    stands,
    token_of,
)
from crm_integration_tests.house import Tenant, account, at
from crm_integration_tests.served import writes

UPSERT = "contacts/batch/upsert"


def _people(tenant: Tenant, count: int) -> None:
    tenant.keep(*(account(n, at(n), f"p{n}@example.com") for n in range(1, count + 1)))
    tenant.derive()


def _states(tenant: Tenant) -> set[str]:
    return {state for state, _ in tenant.state("contact")}


def test_a_token_that_runs_out_in_mid_batch_is_renewed_once_and_the_batch_goes_on(
    tenant: Tenant,
) -> None:
    """A 401 between the read and the write put a hundred rows back and called a person."""
    connect_by_oauth(tenant, seconds=1800)
    _people(tenant, 3)
    before = token_of(tenant)
    tenant.portal.follow(FaultRule("revoke", "POST", UPSERT, count=1))

    run = tenant.sync("contact")

    assert run.problem is None
    assert _states(tenant) == {"synced"}
    assert len(tenant.portal.records("contact")) == 3
    assert token_of(tenant) != before
    assert tenant.portal.desk.renewals == 1


def test_tokens_that_live_for_moments_lose_no_write(tenant: Tenant) -> None:
    """Fifty passes over tokens that live for a fifth of a second."""
    connect_by_oauth(tenant, seconds=0.2, rotates=True)
    for number in range(1, 26):
        tenant.keep(account(number, at(number), f"p{number}@example.com"))
        tenant.derive()
        assert tenant.sync("contact").problem is None
    assert len(tenant.portal.records("contact")) == 25
    assert tenant.portal.desk.reused == 0
    assert tenant.portal.desk.renewals > 5


def test_a_login_that_was_taken_back_parks_its_connection_until_it_is_connected_again(
    tenant: Tenant, neighbour: Tenant
) -> None:
    """And nobody else's; what waited is written by itself."""
    connect_by_oauth(tenant, seconds=1800)
    _people(tenant, 2)
    _people(neighbour, 2)
    tenant.portal.desk.end()

    assert tenant.sync("contact").problem == "NeedsReconnect revoked"
    tenant.portal.calls.clear()
    tenant.hurry()
    rested = tenant.sync("contact")
    assert neighbour.sync("contact").problem is None

    assert rested.problem == "NeedsReconnect revoked"
    assert sum(tenant.portal.calls.values()) == 0, "it was asked although it had refused"
    assert stands(tenant).state is LoginState.revoked
    connect_by_oauth(tenant, seconds=1800)
    tenant.hurry()
    assert tenant.sync("contact").problem is None
    assert _states(tenant) == {"synced"}
    assert [state for _, state, _ in changes(tenant)] == ["revoked", "active"]
    with tenant.scope() as scope:
        assert trail.verify(scope).problem is None


def test_a_key_that_is_refused_once_may_be_tried_at_once_and_then_rests(tenant: Tenant) -> None:
    """A hiccup must not park a merchant for an hour; a dead key must not be tried each second."""
    _people(tenant, 2)
    tenant.portal.follow(FaultRule("revoke", "", "", count=0))
    tenant.sync("contact")
    assert stands(tenant).state is LoginState.needs_reconnect
    tenant.hurry()
    tenant.sync("contact")
    tenant.portal.calls.clear()
    tenant.hurry()
    tenant.sync("contact")
    assert sum(tenant.portal.calls.values()) == 0
    tenant.portal.follow()
    tenant.rows("update credentials set next_try_at = now() returning 1")
    tenant.hurry()
    assert tenant.sync("contact").problem is None
    assert stands(tenant).state is LoginState.active


@pytest.mark.parametrize("slow", ["token endpoint", "account"])
def test_what_is_sent_again_leaves_within_its_claim_or_not_at_all(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, slow: str
) -> None:
    """Renewing took a while: meanwhile another process took the claim over and wrote."""
    connect_by_oauth(tenant, seconds=1800)
    _people(tenant, 1)
    monkeypatch.setattr(dispatch, "SEND_WITHIN", 1.0)
    monkeypatch.setattr(crm_session, "ROUNDS", 1)
    refused = FaultRule("revoke", "POST", UPSERT, count=1)
    # It is asked for its name when it is opened, and once more after the renewal.
    waits = FaultRule("delay", "GET", "account-info", first=2, seconds=1.5)
    if slow == "account":
        tenant.portal.follow(refused, waits)
    else:
        tenant.portal.desk.after_renewal = lambda: time.sleep(1.5)
        tenant.portal.follow(refused)

    tenant.sync("contact")
    assert tenant.portal.records("contact") == {}
    assert _states(tenant) == {"unknown"}, "the next one looks before it writes"
    tenant.hurry()
    assert tenant.sync("contact").problem is None
    assert len(tenant.portal.records("contact")) == 1


def test_a_rest_is_no_longer_for_those_who_look_at_it(tenant: Tenant) -> None:
    """Each look put the next try an hour further away: it never came."""
    connect_by_oauth(tenant, seconds=1800)
    _people(tenant, 1)
    tenant.portal.desk.end()
    ends = "select next_try_at from credentials where connection_id = 'crm'"
    tenant.sync("contact")
    before = tenant.value(ends)
    for _ in range(3):
        tenant.hurry()
        assert tenant.sync("contact").problem == "NeedsReconnect revoked"
    assert tenant.value(ends) == before
    assert len(changes(tenant)) == 1


def test_a_renewed_token_of_another_account_makes_not_one_call_more(
    tenant: Tenant, neighbour: Tenant
) -> None:
    """A refresh brought a token for another portal: one merchant's customers went to another."""
    connect_by_oauth(tenant, seconds=1800)
    _people(tenant, 3)
    state, theirs = tenant.portal.state, neighbour.portal.state.settings.portal_id
    another = replace(state.settings, portal_id=theirs)
    tenant.portal.desk.after_renewal = lambda: setattr(state, "settings", another)
    # It had proven to be the right account; then, in mid-batch, its token ran out.
    tenant.portal.follow(FaultRule("revoke", "POST", UPSERT, count=1))

    assert tenant.sync("contact").problem == "NeedsReconnect other_account"
    assert tenant.portal.records("contact") == {}
    assert stands(tenant).reason == "other_account"
    tenant.portal.calls.clear()
    tenant.hurry()
    assert tenant.sync("contact").problem == "NeedsReconnect other_account"
    assert writes(tenant.portal.calls) == sum(tenant.portal.calls.values()) == 0
