"""A store login that runs out while it is listed, that nobody is asked for, or was refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm_integration.credentials import token_requests
from crm_integration.credentials.standing import LoginState
from crm_integration.errors import NeedsReconnect
from crm_integration.sandbox.faults import FaultPlan, FaultRule
from crm_integration.sandbox.token_desk import TokenDesk
from crm_integration.stores._registry import connector
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration_tests.credentials.logged_in import stands
from crm_integration_tests.house import House, Tenant

LOGINS = connector("shopify").manifest.logins
APP = {"client_id": "app-of-ours", "client_secret": "app-secret"}


@pytest.fixture
def merchant(house: House) -> Tenant:
    """Whose shop is Shopify's, and gives tokens to an app of ours."""
    made = house.tenant("shopify")
    made.shop.state.desk = TokenDesk(**APP, rotates=True, grace=True)
    return made


def _connect(tenant: Tenant, way: str, *, lives: float = 3600.0) -> StoredConnection:
    desk = tenant.shop.state.desk
    assert desk is not None
    tokens = (
        desk.first()
        if way == "oauth"
        else token_requests.renew(LOGINS[way], tenant.shop.url, APP).into({})
    )
    known = tenant.store
    connection = replace(known, settings={**known.settings, "login": way})
    with tenant.scope() as scope:
        save_connection(scope, connection, {**APP, **tokens}, actor="test", lives=lives)
    tenant.stores["main"].connection = connection
    return connection


@pytest.mark.parametrize("way", sorted(LOGINS))
def test_a_token_that_runs_out_in_mid_listing_is_renewed_and_the_listing_goes_on(
    merchant: Tenant, way: str
) -> None:
    """A listing of a large shop takes longer than the hour that a token lives."""
    _connect(merchant, way)
    for number in range(3):
        merchant.shop.account(f"p{number}@example.com")
    merchant.shop.faulty.follow(
        FaultPlan((FaultRule("status", "POST", "graphql", first=3, count=1, status=401),))
    )
    merchant.run_once()

    assert len(merchant.portal.records("contact")) == 3
    assert merchant.shop.faulty.acted
    assert stands(merchant, "main").state is LoginState.active


def test_a_token_that_ran_out_while_nobody_asked_is_renewed_first(merchant: Tenant) -> None:
    """Nobody had read the shop for a night; its first answer in the morning was a refusal."""
    _connect(merchant, "oauth", lives=-1.0)
    merchant.shop.account("ada@example.com")
    merchant.run_once()
    desk = merchant.shop.state.desk
    assert desk is not None
    assert desk.renewals == 1
    assert merchant.portal.one("contact")["email"] == "ada@example.com"


def test_a_shop_that_took_our_access_back_is_asked_once_and_left_alone(merchant: Tenant) -> None:
    _connect(merchant, "oauth", lives=-1.0)
    desk = merchant.shop.state.desk
    assert desk is not None
    desk.end()
    for _ in range(3):
        with pytest.raises(NeedsReconnect):
            merchant.opened()
    assert desk.refused == 1
    assert stands(merchant, "main").state is LoginState.revoked


def test_another_shop_behind_a_key_is_asked_no_second_time(
    merchant: Tenant, neighbour: Tenant
) -> None:
    """Its owner had moved the domain: one merchant's orders went to another."""
    with merchant.scope() as scope:
        scope.connection.exec_driver_sql(
            "update connections set account_id = 'gid://shopify/Shop/1' where side = 'store'"
        )
    merchant.stores["main"].connection = replace(
        merchant.store, account_id="gid://shopify/Shop/1"
    )
    with pytest.raises(NeedsReconnect):
        merchant.opened()
    merchant.shop.app.calls.clear()
    with pytest.raises(NeedsReconnect):
        merchant.opened()
    assert sum(merchant.shop.app.calls.values()) == 0
    assert stands(merchant, "main").reason == "other_account"
