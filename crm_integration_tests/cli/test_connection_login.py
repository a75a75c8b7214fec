"""`connection login` and `connection status`: consent in a browser, and what support reads."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Iterator
from urllib.parse import parse_qs, urlencode, urlsplit

import httpx
import orjson
import pytest
import typer

from crm_integration.cli import connection_login, connection_status
from crm_integration.credentials.authorization import Callback, Consent
from crm_integration.credentials.standing import LoginState
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import BadInput, Transient
from crm_integration.stores._registry import connector
from crm_integration.sync.connecting import Side
from crm_integration.sync.path import House as OpenHouse
from crm_integration_tests.credentials.logged_in import connect_by_oauth, ran_out, stands
from crm_integration_tests.house import MAPPINGS, House, Tenant, account, at

WAY = crm_connector("hubspot").manifest.logins["oauth"]


@pytest.fixture(autouse=True)
def opened(house: House, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for module in (connection_login, connection_status):
        monkeypatch.setattr(module, "house", lambda: OpenHouse(house.engines, MAPPINGS))
    yield


def _typed(tenant: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    """Client id and secret on standard input."""
    desk = tenant.portal.desk
    given = {"client_id": desk.client_id, "client_secret": desk.client_secret}
    monkeypatch.setattr("sys.stdin", io.StringIO(orjson.dumps(given).decode()))


def _browser(tenant: Tenant, address: str) -> str:
    """Opens the address as the owner would, at the account's own desk; where they are sent."""
    asked = urlsplit(address)
    assert address.startswith("https://app.hubspot.com/oauth/authorize?")
    sent = httpx.get(f"{tenant.portal.url}/oauth/authorize?{asked.query}", trust_env=False)
    return sent.headers["location"]


def test_an_owner_who_consents_in_the_browser_connects_the_account(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The whole dance, with state, PKCE and a callback on loopback."""
    _typed(tenant, monkeypatch)
    shown = threading.Event()
    address: list[str] = []

    def echo(text: str, **_: object) -> None:
        address.extend(re.findall(r"https://\S+", text))
        shown.set()

    monkeypatch.setattr(connection_login.typer, "echo", echo)

    def person() -> None:
        assert shown.wait(20)
        httpx.get(_browser(tenant, address[0]), trust_env=False)

    owner = threading.Thread(target=person)
    owner.start()
    connection_login.login(
        tenant.name, Side.crm, "hubspot", tenant.portal.url,
        secrets_stdin=True, way="oauth", name=None, port=0, redirect=None, wait=20.0,
    )  # fmt: skip
    owner.join(20)

    assert f"hubspot account {tenant.crm.account_id}" in capsys.readouterr().out
    assert tenant.value("select settings->>'login' from connections where side = 'crm'") == "oauth"
    assert stands(tenant).state is LoginState.active


def test_where_the_browser_is_elsewhere_its_owner_pastes_what_they_were_sent_to(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _typed(tenant, monkeypatch)
    monkeypatch.setattr(
        connection_login.typer,
        "prompt",
        lambda *_, **__: _browser(tenant, capsys.readouterr().err.split()[-1]),
    )
    connection_login.login(
        tenant.name, Side.crm, "hubspot", tenant.portal.url, secrets_stdin=True, way="oauth",
        name=None, port=0, redirect="https://connect.example.com/done", wait=20.0,
    )  # fmt: skip
    assert "hubspot account" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("said", "why"),
    [
        ({"code": "c", "state": "another"}, "another consent"),
        ({"code": "c"}, "another consent"),
        ({"error": "access_denied"}, "did not allow"),
        ({}, "holds no code"),
    ],
)
def test_what_comes_back_wrong_is_refused_with_the_fix(said: dict[str, str], why: str) -> None:
    """Without the state somebody else's account could be slipped in."""
    consent = Consent(WAY, "https://api.hubapi.com", "app", "http://127.0.0.1:1/callback")
    kept = {} if "state" in said or said == {"code": "c"} else {"state": consent.state}
    with pytest.raises(BadInput, match=why):
        consent.code(f"http://127.0.0.1:1/callback?{urlencode({**said, **kept})}")


def test_scopes_stand_in_the_address_as_the_platform_reads_them() -> None:
    """Commas at Shopify, spaces at HubSpot: with the wrong one a single unknown scope is asked."""
    shopify = connector("shopify").manifest.logins["oauth"]
    asked = [
        parse_qs(urlsplit(Consent(way, "https://x.example", "app", "http://127.0.0.1:1/").address)
                 .query)["scope"][0]
        for way in (shopify, WAY)
    ]  # fmt: skip
    assert asked[0] == "read_customers,read_orders,read_products"
    assert asked[1].startswith("oauth crm.objects.contacts.read ")


def test_a_code_without_its_verifier_is_worth_nothing(tenant: Tenant) -> None:
    """Whoever reads the address in a log cannot use it."""
    first = Consent(WAY, tenant.portal.url, tenant.portal.desk.client_id, "http://127.0.0.1:1/x")
    stolen = _browser(tenant, first.address)
    code = parse_qs(urlsplit(stolen).query)["code"][0]
    thief = Consent(WAY, tenant.portal.url, tenant.portal.desk.client_id, "http://127.0.0.1:1/x")
    given = {"client_id": thief.client_id, "client_secret": tenant.portal.desk.client_secret}
    with pytest.raises(Exception, match="connect the account again"):
        returned = urlencode({"code": code, "state": thief.state})
        thief.tokens(f"http://127.0.0.1:1/x?{returned}", given)


def test_the_callback_waits_no_longer_than_it_is_told_and_takes_no_icon_for_an_answer() -> None:
    with Callback() as callback:
        origin = callback.address.rsplit("/", 1)[0]
        icon = threading.Thread(target=httpx.get, args=(f"{origin}/favicon.ico",), daemon=True)
        icon.start()
        with pytest.raises(Transient, match="nobody gave consent"):
            callback.returned(1.5)


def test_a_login_that_the_platform_does_not_have_is_named_with_those_there_are(
    tenant: Tenant,
) -> None:
    with pytest.raises(BadInput, match="there are: oauth"):
        connection_login.login(
            tenant.name, Side.crm, "hubspot", tenant.portal.url, way="saml", name=None,
            secrets_stdin=True, port=0, redirect=None, wait=1.0,
        )  # fmt: skip


def test_support_reads_how_each_login_stands_and_what_to_tell(
    tenant: Tenant, capsys: pytest.CaptureFixture[str]
) -> None:
    connect_by_oauth(tenant, seconds=1800)
    connection_status.status(tenant.name, as_json=False)
    assert "active since" in capsys.readouterr().out

    tenant.portal.desk.end()
    ran_out(tenant)
    tenant.keep(account(1, at(1), "ada@example.com"))
    tenant.derive()
    tenant.sync("contact")
    with pytest.raises(typer.Exit) as left:
        connection_status.status(tenant.name, as_json=False)
    shown = capsys.readouterr().out
    assert left.value.exit_code == 1
    assert re.search(r"crm +hubspot +revoked \(revoked\) since", shown)
    assert "Connect the account again" in shown
    with pytest.raises(typer.Exit):
        connection_status.status(tenant.name, as_json=True)
    told = {one["connection"]: one["state"] for one in orjson.loads(capsys.readouterr().out)}
    assert told == {"crm": "revoked", "main": "active"}
