"""Every return code is an error that says what to do next; none is an empty store."""

from __future__ import annotations

from typing import Any

import pytest

from crm_integration.errors import (
    BadInput,
    NeedsReconnect,
    Permanent,
    RemoteError,
    Transient,
)
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.api2cart import extract
from crm_integration.stores.api2cart.answers import RefusedParameter
from crm_integration.stores.api2cart.client import Client
from crm_integration_tests.served import Street
from crm_integration_tests.stores.api2cart.carts import KEYS, Cart, Refusal, Shelf, opened, order

CODES: dict[int, type[RemoteError]] = {
    1: Transient, 2: NeedsReconnect, 3: Permanent, 4: NeedsReconnect, 5: NeedsReconnect,
    6: NeedsReconnect, 7: Transient, 8: Permanent, 9: Transient, 10: Transient, 12: Transient,
    100: Transient, 101: NeedsReconnect, 102: NeedsReconnect, 103: NeedsReconnect,
    104: NeedsReconnect, 105: Transient, 106: Transient, 107: Transient, 109: Permanent,
    110: Transient, 111: Transient, 112: Permanent, 113: Permanent, 114: Permanent,
    115: Permanent, 116: Permanent, 999: Permanent,
}  # fmt: skip


def refusing(code: int, message: str = "", result: Any = None) -> Cart:
    def answer(method: str, query: dict[str, str]) -> dict[str, Any]:
        raise Refusal(code, message, result)

    return Cart(answer)


@pytest.mark.parametrize("result", [{}, []], ids=["{}", "[]"])
@pytest.mark.parametrize("code", CODES)
def test_an_error_inside_a_200_is_never_an_empty_list(
    street: Street, code: int, result: Any
) -> None:
    """Status 200 and `result: []`: read as a page without orders it deletes a shop."""
    cart = refusing(code, "No.", result)
    with opened(street, cart.app) as client, pytest.raises(CODES[code]) as error:
        list(extract.pages(client, "order", None, None))
    assert error.value.code == str(code)
    assert str(code) in str(error.value)


@pytest.mark.parametrize("code", [7, 10, 110, 111])
def test_throttling_asks_for_a_pause(street: Street, code: int) -> None:
    with opened(street, refusing(code).app) as client, pytest.raises(Transient) as error:
        client.call("order.list")
    assert error.value.retry_after == 5.0


def test_a_store_that_refuses_its_credentials_is_no_outage(street: Street) -> None:
    """100 is both: the store is down (try again), or the merchant changed its keys."""
    told = "Store API error: API credentials not valid"
    with opened(street, refusing(100, told).app) as client, pytest.raises(NeedsReconnect):
        client.call("order.list")


def test_a_refusal_names_its_parameter_and_never_a_value(street: Street) -> None:
    message = "Parameter 'modified_from' is not valid: ada@example.com"
    cart = refusing(109, message)
    with opened(street, cart.app) as client, pytest.raises(RefusedParameter) as error:
        client.call("order.list")
    assert error.value.names >= {"modified_from"}
    assert "example.com" not in str(error.value)


@pytest.mark.parametrize("result", [[], {}, None, {"order": {}}, {"orders_count": 0}], ids=repr)
def test_success_without_a_list_is_an_error_too(street: Street, result: Any) -> None:
    cart = Cart(lambda method, query: {"result": result})
    with opened(street, cart.app) as client, pytest.raises(Permanent, match="empty store"):
        list(extract.pages(client, "order", None, None))


def test_one_key_serves_two_stores_and_each_call_asks_the_gate(street: Street) -> None:
    """The key is one metered account: retries count as well."""
    asked: list[str] = []
    cart = Cart(Shelf([order(1)]).answer)
    app = cart.app
    for store_key in ("first", "second"):
        with opened(street, app, secrets={"store_key": store_key}, gate=asked.append) as client:
            list(extract.pages(client, "order", None, None))
    assert cart.keys == [(KEYS["api_key"], "first"), (KEYS["api_key"], "second")]
    assert asked == ["all", "all"]
    failing = refusing(9)
    with opened(street, failing.app, gate=asked.append) as client, pytest.raises(Transient):
        client.call("order.list")
    assert len(failing.calls) == 4
    assert asked == ["all"] * 6


def test_a_used_up_budget_stops_before_the_call(street: Street) -> None:
    def closed(endpoint_class: str) -> None:
        raise Transient("used up", retry_after=20.0, code="budget")

    cart = Cart(Shelf([order(1)]).answer)
    with opened(street, cart.app, gate=closed) as client, pytest.raises(Transient):
        list(extract.pages(client, "order", None, None))
    assert cart.calls == []


@pytest.mark.parametrize("name", list(KEYS))
def test_a_missing_key_is_named(name: str) -> None:
    with pytest.raises(BadInput, match=name):
        Client(StoreAccess("https://api.example", {**KEYS, name: ""}))


def test_the_account_is_the_stores_own_address(street: Street) -> None:
    """Recorded answers nest the stores twice and list several currencies."""
    stores = [{"store_info": [
        {"name": "Old", "active": "False", "timezone": "UTC", "currency": [{"iso3": "USD"}]},
        {"name": "Mugs", "active": "True", "timezone": "Europe/Kyiv",
         "currency": [{"iso3": "EUR"}, {"iso3": "UAH", "default": True}]},
    ]}]  # fmt: skip
    result = {"name": "", "url": "https://Shop.Example/shop/", "stores_info": stores}
    with opened(street, Cart(lambda method, query: {"result": result}).app) as client:
        account = extract.check(client)
    assert account.account_id == "shop.example/shop"
    assert (account.currency, account.timezone, account.name) == ("UAH", "Europe/Kyiv", "Mugs")


@pytest.mark.parametrize("result", [[], None, "fine"], ids=repr)
def test_a_store_that_says_nothing_of_itself_is_no_account(street: Street, result: Any) -> None:
    cart = Cart(lambda method, query: {"result": result})
    with opened(street, cart.app) as client, pytest.raises(Permanent, match="no result"):
        extract.check(client)


@pytest.mark.parametrize("code", [109, 113, 999])
def test_a_read_by_id_that_fails_otherwise_deletes_nothing(street: Street, code: int) -> None:
    """Only 112 says that there is no such item."""
    with opened(street, refusing(code).app) as client, pytest.raises(Permanent):
        list(extract.fetch(client, "order", ["1"]))
