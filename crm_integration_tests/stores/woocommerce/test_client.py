"""What a shop's answers mean, and that nothing leads the client astray."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
import respx
import stamina
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.errors import MissingScope, NeedsReconnect, Permanent, Transient
from crm_integration.stores._contract import Gone, SourceObject
from crm_integration.stores.woocommerce import extract
from crm_integration.stores.woocommerce.client import Client
from crm_integration.stores.woocommerce.oauth1 import OAuth1, signature
from crm_integration_tests.shared_data import SHARED
from crm_integration_tests.stores.woocommerce.shops import (
    NOON,
    SECRET,
    Emulated,
    Listed,
    access,
    gmt,
    opened,
)


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


class Scripted:
    """Answers from a list, the last one for ever; counts the calls."""

    def __init__(self, *answers: Response) -> None:
        self.answers, self.calls = list(answers), 0
        self.app = Starlette(routes=[Route("/{path:path}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        self.calls += 1
        return self.answers[min(self.calls, len(self.answers)) - 1]


def refusal(status: int, code: str, **data: object) -> Response:
    body = {"code": code, "message": "m", "data": {"status": status, **data}}
    return Response(json.dumps(body), status_code=status, media_type="application/json")


OKAY = Response("[]", media_type="application/json")


def test_a_signed_request_opens_the_shop_and_states_who_it_is() -> None:
    """Over http Basic is ignored; the emulator checks signature, nonce and time."""
    with opened(Emulated().app) as client:
        account = extract.check(client)
    assert (account.account_id, account.currency) == ("elsewhere.invalid", "GBP")
    assert (account.timezone, account.name) == ("UTC-05:00", "Test shop")


def test_the_currency_setting_spares_the_shops_settings_but_not_the_key() -> None:
    """A key that may not read settings still works; a wrong key must not pass the check."""
    shop = Emulated()
    with opened(shop.app, settings={"currency": "eur"}) as client:
        assert extract.check(client).currency == "EUR"
    wrong = {"secrets": {"consumer_secret": "cs_other"}, "settings": {"currency": "EUR"}}
    with opened(shop.app, **wrong) as client, pytest.raises(NeedsReconnect):
        extract.check(client)


def test_our_signature_is_the_one_a_real_shop_accepted() -> None:
    """The recorded request was answered 200 by WooCommerce 11.0.1."""
    if SHARED is None:
        pytest.skip("the recordings (../shared/payloads) are not beside this checkout")
    path = SHARED / "payloads/woocommerce/api/auth_oauth1_http.json"
    url = httpx.URL(json.loads(path.read_text("utf-8"))["request"]["url"])
    params = [pair for pair in url.params.multi_items() if pair[0] != "oauth_signature"]
    made = signature("GET", str(url.copy_with(query=None)), params, "cs_" + "b" * 40)
    assert made == url.params["oauth_signature"]


@respx.mock
def test_over_https_the_key_travels_as_basic_auth_and_in_no_address() -> None:
    """Addresses end up in access logs: over TLS nothing of the key is in the query."""
    route = respx.get("https://shop.example.com/wp-json/wc/v3/orders").respond(json=[])
    with Client(access("https://shop.example.com/")) as client:
        client.get("orders", {"per_page": "1"})
    request = route.calls.last.request
    assert request.headers["authorization"].startswith("Basic ")
    assert request.url.query == b"per_page=1"


def test_each_attempt_is_signed_with_a_nonce_of_its_own() -> None:
    """A shop remembers nonces: a repeated one turns a retry into a 401."""
    auth = OAuth1("k", "s")
    nonces = {
        next(auth.auth_flow(httpx.Request("GET", "http://127.0.0.1/x?a=b%20c"))).url.params[
            "oauth_nonce"
        ]
        for _ in range(3)
    }
    assert len(nonces) == 3


def test_a_wrong_secret_and_a_wrong_key_are_told_apart() -> None:
    """`cannot_view` looks like a missing permission and mostly is a wrong key."""
    shop = Emulated()
    with (
        opened(shop.app, secrets={"consumer_secret": "cs_other"}) as client,
        pytest.raises(NeedsReconnect, match="consumer secret or signature") as wrong_secret,
    ):
        client.get("orders")
    assert wrong_secret.value.code == "woocommerce_rest_authentication_error"
    with (
        opened(shop.app, secrets={"consumer_key": "ck_other"}) as client,
        pytest.raises(NeedsReconnect, match="key is wrong, or its user lacks") as wrong_key,
    ):
        client.get("orders")
    assert wrong_key.value.code == "woocommerce_rest_cannot_view"
    assert SECRET not in str(wrong_key.value)


def test_a_forbidden_read_names_the_permission() -> None:
    shop = Scripted(refusal(403, "woocommerce_rest_cannot_view"))
    with opened(shop.app) as client, pytest.raises(MissingScope) as error:
        client.get("orders")
    assert (error.value.scope, shop.calls) == ("read", 1)


def test_a_refused_parameter_is_named_and_not_tried_again() -> None:
    """The real answer to per_page=101 and to a date that is none."""
    with opened(Emulated().app) as client, pytest.raises(Permanent, match="per_page"):
        client.get("orders", {"per_page": "101"})
    shop = Scripted(refusal(400, "rest_invalid_param", params={"modified_after": "Invalid."}))
    with opened(shop.app) as client, pytest.raises(Permanent, match="modified_after"):
        client.get("orders")
    assert shop.calls == 1


def test_a_lasting_outage_ends_with_what_the_shop_asked_for() -> None:
    """A long Retry-After is the caller's to wait for: no process sleeps for minutes."""
    shop = Scripted(Response("", status_code=503, headers={"retry-after": "600"}))
    with opened(shop.app) as client, pytest.raises(Transient) as error:
        client.get("orders")
    assert (error.value.retry_after, shop.calls) == (600.0, 1)
    short = Scripted(Response("", status_code=503, headers={"retry-after": "1"}))
    with opened(short.app) as client, pytest.raises(Transient):
        client.get("orders")
    assert short.calls == 4


def test_a_web_page_with_status_200_is_no_empty_shop() -> None:
    """Maintenance and bot checks answer 200 with HTML."""
    shop = Scripted(Response("\n<!doctype html><p>Back soon", media_type="text/html"))
    with opened(shop.app) as client, pytest.raises(Transient, match="web page instead of data"):
        client.get("orders")


def test_a_redirect_is_not_followed() -> None:
    shop = Scripted(Response("", status_code=301, headers={"location": "http://127.0.0.1:9/"}))
    with opened(shop.app) as client, pytest.raises(Permanent, match="present address"):
        client.get("orders")


def test_the_host_in_link_headers_is_never_called() -> None:
    """Link is made from the shop's own settings; here it names a host that does not exist."""
    shop = Emulated()
    for number in range(1, 251):
        shop.order(number, NOON + number)
    with opened(shop.app) as client:
        first = client.get("orders", {"per_page": "100"})
        assert "elsewhere.invalid" in first.headers["link"]
        pages = list(extract.pages(client, "order", None, None))
    assert sum(len(page.objects) for page in pages) == 250


def test_ids_a_list_leaves_out_are_read_one_by_one() -> None:
    """Trash is in no list and still readable; only a 404 that says so means gone."""
    shop = Emulated()
    for number in range(1, 206):
        shop.order(number, NOON)
    shop.state.trash(shop.state.orders[9])
    shop.state.delete_order(shop.state.orders[10])
    with opened(shop.app) as client:
        found = list(extract.fetch(client, "order", [str(n) for n in range(1, 206)]))
    payloads = {item.source_id: item.payload for item in found if isinstance(item, SourceObject)}
    gone = [item.source_id for item in found if isinstance(item, Gone)]
    assert (len(found), gone) == (205, ["10"])
    assert json.loads(payloads["9"])["status"] == "trash"


def test_a_missing_route_is_not_taken_for_a_deletion() -> None:
    """A plugin switched off answers 404 for every id: nothing was deleted."""
    shop = Scripted(refusal(404, "rest_no_route"))
    with opened(shop.app) as client, pytest.raises(Permanent, match="no WooCommerce REST API"):
        list(extract.fetch(client, "order", ["1"]))


def test_refunds_are_read_by_include_because_they_have_no_address_of_their_own() -> None:
    rows = [{"id": n, "parent_id": 5, "date_created_gmt": gmt(NOON)} for n in (1, 2)]
    with opened(Listed(rows).app) as client:
        found = {item.source_id: item for item in extract.fetch(client, "refund", ["1", "2", "3"])}
    assert [getattr(found[key], "parent_id", "gone") for key in "123"] == ["5", "5", "gone"]
