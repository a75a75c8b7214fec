"""Tokens that run out: renewed once, whoever asks, and never lost."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest

from crm_integration.credentials import vault
from crm_integration.credentials.renewal import COOLS, Login
from crm_integration.credentials.standing import LoginState
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import NeedsReconnect, Permanent, Transient
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration.tenancy.scope import Tenancy
from crm_integration_tests.credentials.logged_in import (
    changes,
    connect_by_oauth,
    login_of,
    ran_out,
    stands,
    token_of,
)
from crm_integration_tests.house import Tenant

PROCESSES = 8


def test_a_token_that_runs_out_is_renewed_before_it_is_used(tenant: Tenant) -> None:
    connect_by_oauth(tenant, seconds=1800)
    before = token_of(tenant)
    ran_out(tenant)

    with tenant.scope() as scope:
        known = vault.open_credential(scope, "crm")
    renewed = login_of(tenant).fresh(known)

    assert known.due and known.over
    assert renewed.secrets["access_token"] == token_of(tenant) != before
    assert not renewed.due
    assert tenant.portal.desk.renewals == 1


def test_a_token_is_renewed_early_and_not_all_at_one_moment(tenant: Tenant) -> None:
    """A thousand tenants connected in one hour would ask in one second."""
    left: set[float] = set()
    for _ in range(12):
        connect_by_oauth(tenant, seconds=1000)
        early = tenant.value(
            "select extract(epoch from expires_at - renew_at) from credentials "
            "where connection_id = 'crm'"
        )
        left.add(round(float(early), 1))
    assert all(150 <= one <= 250 for one in left)
    assert len(left) > 6


def test_the_vendors_clock_does_not_matter(tenant: Tenant) -> None:
    """Its clock was an hour off; only how long a token lives was believed."""
    connect_by_oauth(tenant, seconds=100)
    left = tenant.value(
        "select extract(epoch from expires_at - now()) from credentials where connection_id = 'crm'"
    )
    assert 95 < float(left) <= 100


def test_a_rotated_refresh_token_is_kept_with_the_access_token(tenant: Tenant) -> None:
    """Kept apart, a crash between the two left a login that nobody could renew."""
    connect_by_oauth(tenant, seconds=1800, rotates=True)
    for _ in range(3):
        login_of(tenant).renewed(token_of(tenant))
    assert (tenant.portal.desk.renewals, tenant.portal.desk.reused) == (3, 0)


def _renew(url: str, base_url: str, tenant: str, refused: str, gate: Any, told: Any) -> None:
    """In a process of its own."""
    tenancy = Tenancy(engine_for(url), MasterKey(b"k" * 32))
    way = crm_connector("hubspot").manifest.logins["oauth"]
    gate.wait(60)
    found = Login(tenancy, tenant, "crm", base_url, way).renewed(refused)
    told.put(found.secrets["access_token"])


def test_of_eight_processes_one_renews_and_all_get_its_token(tenant: Tenant) -> None:
    """A vendor that rotates ends the login of whoever brings a used refresh token."""
    connect_by_oauth(tenant, seconds=1800, rotates=True)
    context = get_context("spawn")
    gate, told = context.Barrier(PROCESSES), context.Queue()
    place = (tenant.house.urls.app, tenant.portal.url, tenant.name, token_of(tenant))
    running = [
        context.Process(target=_renew, args=(*place, gate, told)) for _ in range(PROCESSES)
    ]
    for one in running:
        one.start()
    tokens = [told.get(timeout=90) for _ in running]
    for one in running:
        one.join(30)

    desk = tenant.portal.desk
    assert (desk.renewals, desk.reused, desk.refused) == (1, 0, 0)
    assert set(tokens) == {token_of(tenant)}


def test_while_somebody_renews_the_others_go_on_with_the_old_token(tenant: Tenant) -> None:
    """All of a run's tenants waited for one slow token endpoint."""
    connect_by_oauth(tenant, seconds=1800)
    tenant.rows("update credentials set renew_at = now() - interval '1 s' returning 1")
    old = token_of(tenant)
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        with tenant.scope() as scope:
            vault.locked_credential(scope, "crm", wait=True)
            locked.set()
            done.wait(30)

    with ThreadPoolExecutor(1) as pool:
        pool.submit(hold)
        assert locked.wait(10)
        try:
            assert login_of(tenant).renewed().secrets["access_token"] == old
            assert stands(tenant).state is LoginState.refreshing
        finally:
            done.set()
    assert tenant.portal.desk.renewals == 0


def test_after_a_failure_it_cools_and_says_how_long(tenant: Tenant) -> None:
    """A token endpoint that was down got a request a second from each tenant."""
    connect_by_oauth(tenant, seconds=1800)
    tenant.portal.desk.broken = 2
    ran_out(tenant)
    for _ in range(2):
        with pytest.raises(Transient):
            login_of(tenant).renewed()
    with pytest.raises(Transient) as cooling:
        login_of(tenant).renewed()

    assert cooling.value.code == COOLS
    assert 0 < (cooling.value.retry_after or 0) <= 5
    assert stands(tenant).state is LoginState.expiring
    tenant.rows("update credentials set next_try_at = now() returning 1")
    login_of(tenant).renewed()
    assert stands(tenant).state is LoginState.active
    assert [state for _, state, _ in changes(tenant)] == ["expiring", "active"]


def test_a_failure_to_renew_early_costs_nobody_the_token_that_still_works(tenant: Tenant) -> None:
    connect_by_oauth(tenant, seconds=1800)
    tenant.portal.desk.broken = 1
    tenant.rows("update credentials set renew_at = now() - interval '1 s' returning 1")
    assert login_of(tenant).renewed().secrets["access_token"] == token_of(tenant)


def test_a_login_that_was_taken_back_says_so_and_rests(tenant: Tenant) -> None:
    """It was tried every minute for weeks."""
    connect_by_oauth(tenant, seconds=1800)
    tenant.portal.desk.end()
    ran_out(tenant)
    with pytest.raises(NeedsReconnect):
        login_of(tenant).renewed()
    asked = tenant.portal.desk.refused
    with pytest.raises(NeedsReconnect):
        login_of(tenant).renewed()

    assert tenant.portal.desk.refused == asked == 1
    assert stands(tenant).state is LoginState.revoked
    assert "Connect the account again" in stands(tenant).tell


def test_an_app_that_the_vendor_does_not_know_is_our_fault_not_the_merchants(
    tenant: Tenant,
) -> None:
    connect_by_oauth(tenant, seconds=1800)
    tenant.portal.desk.client_secret = "rotated-there"  # noqa: S105
    ran_out(tenant)
    with pytest.raises(Permanent, match="check its client id"):
        login_of(tenant).renewed()
    assert stands(tenant).reason == "unknown_app"


def test_no_secret_is_told(tenant: Tenant, caplog: pytest.LogCaptureFixture) -> None:
    """Neither in an error, nor in a repr, nor in a log, nor in the history."""
    connect_by_oauth(tenant, seconds=1800)
    desk = tenant.portal.desk
    with tenant.scope() as scope:
        known = vault.open_credential(scope, "crm")
    secrets = set(known.secrets.values()) - {desk.client_id}
    desk.end()
    ran_out(tenant)
    with pytest.raises(NeedsReconnect) as refused:
        login_of(tenant).renewed()
    history = tenant.rows("select row_to_json(c) from credential_changes c")
    audited = tenant.rows("select row_to_json(a) from audit_trail a")
    told = f"{refused.value} {known!r} {login_of(tenant)!r} {caplog.text} {history} {audited}"
    assert not [one for one in secrets if one in told]
