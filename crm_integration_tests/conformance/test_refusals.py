"""What a shop refuses or fails to send becomes the error that says what to do next, or is tried
again; never an empty shop, never a part taken for the whole."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest
import stamina

from crm_integration.errors import CrmIntegrationError, NeedsReconnect, RemoteError, Transient
from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Window
from crm_integration_tests.conformance.books import NOON, PARTS, plant
from crm_integration_tests.conformance.conftest import Furnished
from crm_integration_tests.conformance.street import CUT, EmulatedStore, Spoiler
from crm_integration_tests.conformance.truth import day_of, numbers, one_day

CROWD, FEW = 260, 110
DAY = one_day(day_of(NOON))
"""As a poll asks for it; without a window some connectors list in another way."""
GARBAGE = (b"", b"{}", b"null", b"<html>Back soon</html>", b'{"a": ', CUT)
THROTTLED_INSIDE_200: Mapping[str, Any] = {
    "shopify": {"errors": [{"message": "Throttled", "extensions": {"code": "THROTTLED"}}]},
    "api2cart": {"return_code": 111, "return_message": "Too many requests", "result": {}},
}
"""How a vendor that answers 200 to everything says `slow down`; a store without an entry is
throttled by status 429 alone."""


def _keys(object_type: str) -> range:
    return range(1, 1 + (FEW if object_type in PARTS else CROWD))


@pytest.fixture
def crowd(store: EmulatedStore, object_type: str) -> EmulatedStore:
    for key in _keys(object_type):
        plant(store, object_type, key, NOON + key)
    return store


def _all_or_an_error(store: EmulatedStore, object_type: str, window: Window | None = None) -> None:
    """Whatever happened on the way: everything came, or the caller knows that it did not."""
    try:
        found = store.listed(object_type, window)
    except CrmIntegrationError as error:
        assert str(error)
    else:
        assert found.kept_back or numbers(found.objects) == set(_keys(object_type))


@pytest.mark.parametrize("which", [0, 1])
def test_a_wrong_credential_asks_for_a_reconnect(
    crowd: EmulatedStore, object_type: str, which: int
) -> None:
    """Revoked keys are no outage: trying again for hours would hide what the merchant must do."""
    name = crowd.connector.manifest.secrets[which % len(crowd.connector.manifest.secrets)]
    wrong = {**crowd.secrets, name: "another-one"}
    extract = crowd.connector.extract
    with crowd.opened(secrets=wrong) as client:
        with pytest.raises(NeedsReconnect):
            extract.check(client)
        with pytest.raises(NeedsReconnect):
            list(extract.pages(client, object_type, None, None))
        with pytest.raises(NeedsReconnect):
            list(extract.fetch(client, object_type, ["1", "2"]))


def test_a_short_rate_limit_is_waited_for(store: EmulatedStore) -> None:
    """Coming back at once is how an account gets blocked: a second asked for is a second."""
    object_type = store.connector.manifest.object_types[0]
    plant(store, object_type, 1, NOON)
    store.follow(FaultRule("status", status=429, retry_after=1))
    began = time.monotonic()
    with stamina.set_testing(False):
        try:
            found = store.listed(object_type)
        except Transient as error:
            assert error.retry_after == 1
            return
    assert time.monotonic() - began + store.paused >= 0.9
    assert numbers(found.objects) == {1}


def test_a_long_rate_limit_is_the_callers_to_wait_for(
    crowd: EmulatedStore, object_type: str
) -> None:
    """No process sleeps for ten minutes, and nobody asks before they are over."""
    crowd.follow(FaultRule("status", status=429, retry_after=600, count=0))
    with pytest.raises(Transient) as error:
        crowd.listed(object_type)
    assert error.value.retry_after == 600
    assert crowd.calls.count == 1


def test_throttled_inside_a_200_is_no_empty_shop(crowd: EmulatedStore, object_type: str) -> None:
    """A status of 200 around `slow down` was once kept as a page without orders."""
    body = THROTTLED_INSIDE_200.get(crowd.platform)
    fault = FaultRule("status", status=200 if body else 429, body=body, count=0)
    crowd.follow(fault)
    with pytest.raises(Transient):
        crowd.listed(object_type)
    for first in (1, 2):
        crowd.follow(FaultRule("status", status=fault.status, body=body, first=first))
        _all_or_an_error(crowd, object_type)


@pytest.mark.parametrize("status", [500, 503])
def test_a_hiccup_is_tried_again(crowd: EmulatedStore, object_type: str, status: int) -> None:
    """Reads are; what starts something at the store may be left to the caller."""
    for first in (1, 2):
        crowd.follow(FaultRule("status", status=status, first=first), FaultRule("cut", first=2))
        assert numbers(crowd.listed(object_type, DAY).objects) == set(_keys(object_type))
        crowd.follow(FaultRule("status", status=status, first=first), FaultRule("cut", first=2))
        _all_or_an_error(crowd, object_type)


def test_a_lasting_refusal_is_an_error_that_says_something(
    store: EmulatedStore, object_type: str
) -> None:
    with store.opened() as client:
        for status in (400, 403, 404, 429, 500, 503):
            store.follow(FaultRule("status", status=status, count=0))
            with pytest.raises(RemoteError) as error:
                list(store.pages(client, object_type))
            assert len(str(error.value)) > 20


BAD_ANSWERS = (
    (1, DAY, b"{}"), (2, DAY, b""), (2, DAY, b"null"), (2, DAY, b'{"a": '), (2, DAY, CUT),
    (1, None, CUT), (3, None, b"null"), (4, None, b""), (4, None, CUT),
)  # fmt: skip


@pytest.mark.parametrize(("at", "window", "body"), BAD_ANSWERS, ids=range(len(BAD_ANSWERS)))
def test_one_bad_answer_never_passes_for_the_whole(
    crowd: EmulatedStore, object_type: str, at: int, window: Window | None, body: bytes | None
) -> None:
    """A proxy's page, a PHP warning, a connection cut in mid-body: one answer of a listing."""
    crowd.traffic.spoil = _only(at, lambda number, sent: body)
    _all_or_an_error(crowd, object_type, window)


@pytest.mark.parametrize(("at", "window"), [(1, DAY), (2, DAY), (4, None)], ids=range(3))
def test_half_a_body_that_claims_to_be_whole_is_noticed(
    crowd: EmulatedStore, object_type: str, at: int, window: Window | None
) -> None:
    """A proxy cut the body and mended Content-Length; lines of a bulk file still parse."""
    crowd.traffic.spoil = _only(at, lambda number, sent: sent[: len(sent) // 2])
    _all_or_an_error(crowd, object_type, window)
    crowd.traffic.quiet()
    crowd.traffic.spoil = _only(at, lambda number, sent: _half_of_the_lines(sent))
    _all_or_an_error(crowd, object_type, window)


def _half_of_the_lines(body: bytes) -> bytes:
    lines = body.splitlines(keepends=True)
    return b"".join(lines[: len(lines) // 2]) if len(lines) > 2 else body


def _only(at: int, spoil: Spoiler) -> Spoiler:
    return lambda number, body: spoil(number, body) if number == at else body


def test_a_shop_that_sends_only_garbage_is_an_error(crowd: EmulatedStore, object_type: str) -> None:
    """An empty list would look like a shop whose orders were all deleted."""
    with crowd.opened() as client:
        for body in GARBAGE:
            crowd.traffic.spoil = lambda number, sent, body=body: body
            with pytest.raises(CrmIntegrationError):
                list(crowd.pages(client, object_type))


def test_an_unreachable_shop_is_transient(store: EmulatedStore, object_type: str) -> None:
    with store.opened(base_url="http://127.0.0.1:9") as client, pytest.raises(Transient):
        list(store.connector.extract.pages(client, object_type, None, None))


def test_each_call_asks_the_gate_first(crowd: EmulatedStore, object_type: str) -> None:
    """The budget is shared by all processes of an account: a call that passes by it is the one
    that gets everybody throttled. A store that meters nobody need not ask, and a file that a
    store lays down for a whole listing is no call of its API."""
    asked: list[str] = []
    budgets = crowd.connector.manifest.budgets
    with crowd.opened(gate=asked.append) as client:
        found = list(crowd.pages(client, object_type, DAY))
        list(crowd.connector.extract.fetch(client, object_type, ["1", "2"]))
    assert found
    assert not budgets or set(asked) <= budgets.keys()
    assert len(asked) == crowd.calls.count or not (asked or budgets)


def test_a_closed_gate_lets_no_call_leave(crowd: EmulatedStore, object_type: str) -> None:
    """Nothing is sent once the budget is used up, and the caller hears when to come back."""
    asked: list[str] = []

    def closed(endpoint_class: str) -> None:
        asked.append(endpoint_class)
        raise Transient("the budget is used up", retry_after=60.0, code="budget")

    with crowd.opened(gate=closed) as client:
        try:
            list(crowd.pages(client, object_type))
        except Transient as error:
            assert error.retry_after == 60.0
    assert not (asked and crowd.calls.count)
    assert asked or not crowd.connector.manifest.budgets


def test_the_check_states_the_account(furnished: Furnished) -> None:
    """The account's id guards against a reconnect to another shop; it is not a secret, it is
    the same each time, and currency and name are the shop's."""
    store = furnished.store
    with store.opened() as client:
        first, second = (store.connector.extract.check(client) for _ in range(2))
    assert first == second
    assert first.account_id
    assert first.currency == store.currency
    assert not any(secret in repr(first) for secret in store.secrets.values())
