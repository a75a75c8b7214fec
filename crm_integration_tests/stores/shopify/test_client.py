"""What a shop's answers mean, and that neither haste nor an answer leads the client astray."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
import respx
import stamina

from crm_integration.errors import BadInput, MissingScope, NeedsReconnect, Permanent, Transient
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify import extract
from crm_integration.stores.shopify.client import PATH, Client
from crm_integration_tests.stores.shopify.answers import (
    HOST,
    TOKEN,
    Json,
    Script,
    bucket,
    refused,
    reply,
    shop,
)

SHOP = {
    "shop": {
        "id": "gid://shopify/Shop/1",
        "myshopifyDomain": "Example.myshopify.com",
        "currencyCode": "GBP",
        "ianaTimezone": "Europe/London",
        "name": "Example",
    }
}


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


class Slept:
    """Counts the seconds that would have been slept, and moves the clock by them."""

    def __init__(self, client: Client) -> None:
        self.seconds: list[float] = []
        self.now = 1000.0
        client.throttle.clock = lambda: self.now
        client.throttle.sleep = self.sleep

    def sleep(self, seconds: float) -> None:
        self.seconds.append(seconds)
        self.now += seconds


def in_turn(*answers: Any) -> Script:
    """Answers from a list, the last one for ever."""
    left = list(answers)
    return lambda name, given: left.pop(0) if len(left) > 1 else left[0]


def test_the_shop_states_who_it_is_by_its_permanent_domain() -> None:
    """A merchant may change the shown domain; the myshopify.com one stays."""
    with shop(in_turn(SHOP)) as (client, _):
        account = extract.check(client)
    assert (account.account_id, account.currency) == ("example.myshopify.com", "GBP")
    assert (account.timezone, account.name) == ("Europe/London", "Example")


def test_the_token_goes_in_its_header_and_the_version_in_the_path() -> None:
    """And nowhere else: neither in the address nor in the body."""
    with respx.mock() as router:
        route = router.post(f"{HOST}/{PATH}").mock(return_value=reply(SHOP))
        with Client(StoreAccess(HOST, {"access_token": TOKEN})) as client:
            extract.check(client)
    request = route.calls.last.request
    assert request.headers["x-shopify-access-token"] == TOKEN
    assert request.url.path == "/admin/api/2026-10/graphql.json"
    assert TOKEN not in request.content.decode() + str(request.url)


def test_a_throttled_200_is_waited_for_and_asked_again() -> None:
    """THROTTLED comes as an error inside a 200; read as data the shop looks empty."""
    no_points = httpx.Response(
        200,
        json={
            "errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}],
            "extensions": bucket(0, requested=100),
        },
    )
    with shop(in_turn(no_points, SHOP)) as (client, asked):
        slept = Slept(client)
        assert extract.check(client).currency == "GBP"
    assert len(asked) == 2
    assert sum(slept.seconds) == pytest.approx(2.0)


def test_a_query_that_would_not_fit_waits_before_it_is_sent() -> None:
    """Sending it all the same costs a round trip and leaves the bucket as empty as before."""
    answer = reply(SHOP, extensions=bucket(20, requested=120))
    with shop(in_turn(answer)) as (client, asked):
        slept = Slept(client)
        extract.check(client)
        assert slept.seconds == []
        extract.check(client)
    assert slept.seconds == [pytest.approx(2.0)]
    assert len(asked) == 2


def test_a_wait_that_is_too_long_is_given_back_with_its_length() -> None:
    """A slow shop must not hold the process that serves fifty others."""
    answer = reply(SHOP, extensions=bucket(0, requested=900, rate=10))
    with shop(in_turn(answer)) as (client, asked):
        Slept(client)
        extract.check(client)
        with pytest.raises(Transient) as caught:
            extract.check(client)
    assert caught.value.retry_after == pytest.approx(90.0)
    assert len(asked) == 1


def test_nonsense_about_the_bucket_is_passed_over() -> None:
    """A restore rate of 0 divided the client by zero."""
    odds: list[Any] = [{"cost": []}, {"cost": {"throttleStatus": {"restoreRate": 0}}}, [], None]
    for odd in odds:
        with shop(in_turn(reply(SHOP, extensions=odd))) as (client, _):
            extract.check(client)
            assert client.throttle.bucket is None


@pytest.mark.parametrize(
    ("extensions", "scope"),
    [
        ({"requiredAccess": "`read_orders` access scope. Also: read_all_orders."},
         "read_orders,read_all_orders"),
        ({}, "shop"),
    ],
)  # fmt: skip
def test_access_denied_names_the_scope_or_the_field(extensions: Json, scope: str) -> None:
    """The merchant has to be told what to grant; half an answer is not used."""
    error = {"message": "Access denied for shop field.", "path": ["shop", 0],
             "extensions": {"code": "ACCESS_DENIED", **extensions}}  # fmt: skip
    answer = httpx.Response(200, json={"data": SHOP, "errors": [error]})
    with shop(in_turn(answer)) as (client, _), pytest.raises(MissingScope) as caught:
        extract.check(client)
    assert caught.value.scope == scope


@pytest.mark.parametrize(
    ("status", "error", "tries"),
    [
        (401, NeedsReconnect, 1),
        (402, NeedsReconnect, 1),
        (423, NeedsReconnect, 1),
        (403, MissingScope, 1),
        (404, Permanent, 1),
        (301, Permanent, 1),
        (429, Transient, 4),
        (430, Transient, 4),
        (502, Transient, 4),
    ],
)
def test_each_status_says_what_to_do_next(status: int, error: type[Exception], tries: int) -> None:
    """A frozen shop (402) answered as a failure of ours would be retried for ever."""
    answer = httpx.Response(status, text="no", headers={"location": "https://example.org/"})
    with shop(in_turn(answer)) as (client, asked), pytest.raises(error):
        extract.check(client)
    assert len(asked) == tries


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("SHOP_INACTIVE", NeedsReconnect),
        ("UNAUTHORIZED", NeedsReconnect),
        ("INTERNAL_SERVER_ERROR", Transient),
        ("TIMEOUT", Transient),
        ("MAX_COST_EXCEEDED", Permanent),
        ("undefinedField", Permanent),
        ("", Permanent),
    ],
)
def test_each_code_inside_a_200_says_what_to_do_next(code: str, error: type[Exception]) -> None:
    """One table; what it does not know is refused for good."""
    with shop(in_turn(refused(code))) as (client, _), pytest.raises(error):
        extract.check(client)


def test_of_several_errors_the_gravest_counts() -> None:
    """A query that is throttled and forbidden stays forbidden however long one waits."""
    codes = ("THROTTLED", "ACCESS_DENIED")
    errors = [{"message": "m", "extensions": {"code": code}} for code in codes]
    answer = httpx.Response(200, json={"errors": errors})
    with shop(in_turn(answer)) as (client, _), pytest.raises(MissingScope):
        extract.check(client)


@pytest.mark.parametrize("body", ["<html>", "", "[]", '{"data": null}', '{"errors": "gone"}'])
def test_an_answer_of_another_form_is_no_empty_shop(body: str) -> None:
    """A maintenance page with status 200."""
    answer = httpx.Response(200, text=body)
    with shop(in_turn(answer)) as (client, _), pytest.raises((Transient, Permanent)):
        extract.check(client)


def test_a_mutation_is_never_sent_twice_unless_it_was_refused() -> None:
    """A lost answer and a second bulk operation; a throttled one was not carried out."""
    with shop(in_turn(httpx.Response(502))) as (client, asked):
        with pytest.raises(Transient):
            client.query(gql.BULK_RUN, {"query": "{ }"}, repeatable=False)
        assert len(asked) == 1
    with shop(in_turn(refused("THROTTLED"), {"done": True})) as (client, asked):
        client.query(gql.BULK_RUN, {"query": "{ }"}, repeatable=False)
        assert len(asked) == 2


def test_another_served_version_is_noted_and_fails_nothing() -> None:
    """When ours expires Shopify answers in the oldest one it still has."""
    answer = reply(SHOP)
    with shop(in_turn(answer)) as (client, _):
        extract.check(client)
        assert not client.version_drifted
        answer.headers["x-shopify-api-version"] = "2027-07"
        extract.check(client)
        assert (client.version_drifted, client.served_version) == (True, "2027-07")


def test_every_call_passes_the_gate_first() -> None:
    """The gate may refuse, and then nothing has left."""
    passed: list[str] = []
    with respx.mock() as router:
        router.post(f"{HOST}/{PATH}").mock(return_value=reply(SHOP))
        access = StoreAccess(HOST, {"access_token": TOKEN}, gate=passed.append)
        with Client(access) as client:
            extract.check(client)
    assert passed == ["graphql"]


def test_a_connection_without_token_or_tls_is_refused_and_a_token_never_shown() -> None:
    """Before anything is sent."""
    with pytest.raises(BadInput, match="access_token"):
        Client(StoreAccess(HOST, {}))
    with pytest.raises(BadInput, match="https"):
        Client(StoreAccess("http://example.myshopify.com", {"access_token": TOKEN}))
    assert TOKEN not in repr(StoreAccess(HOST, {"access_token": TOKEN}))
