"""The shop over HTTP, against what was recorded from WooCommerce 11.0.1."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from crm_integration.sandbox.invoices import read_invoices
from crm_integration.sandbox.order_book import fill
from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.woocommerce import WooCommerceApp
from crm_integration_tests.sandbox.books import Row, book
from crm_integration_tests.sandbox.clients import (
    KEY,
    SECRET,
    ShopCaller,
    app_client,
    shop_settings,
    signed,
)
from crm_integration_tests.shared_data import SHARED

_BASE = "http://testserver"
_START = 1_800_000_000


class _Clock:
    """A clock that tests move by hand."""

    now = _START

    def __call__(self) -> float:
        return float(self.now)


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def shop(clock: _Clock) -> ShopState:
    """Twelve orders, the first ten in one second, by one customer and guests."""
    rows: list[Row] = [
        (str(500001 + n), "A", 1 + n, f"2026-01-01T10:{0 if n < 10 else n:02d}", 17.995,
         12345 if n % 3 else None)
        for n in range(12)
    ]  # fmt: skip
    held = ShopState(shop_settings(utc_offset_minutes=-300), clock)
    fill(held, read_invoices(book(*rows)))
    return held


@pytest.fixture
def client(shop: ShopState) -> Iterator[httpx.Client]:
    with app_client(WooCommerceApp(shop).app, _BASE) as made:
        yield made


@pytest.fixture
def caller(client: httpx.Client) -> ShopCaller:
    return ShopCaller(client, _BASE)


def _ids(answer: httpx.Response) -> list[int]:
    assert answer.status_code == 200, answer.text
    return [row["id"] for row in answer.json()]


def _recorded(name: str) -> dict[str, Any]:
    if SHARED is None:
        pytest.skip("the recordings (../shared) are not here")
    path = SHARED / "payloads" / "woocommerce" / "api" / f"{name}.json"
    return json.loads(path.read_text())


@pytest.mark.parametrize("algorithm", ["HMAC-SHA256", "HMAC-SHA1"])
def test_a_signed_call_is_let_in(client: httpx.Client, algorithm: str) -> None:
    """Both methods that WooCommerce takes over plain http, with characters worth encoding."""
    url = f"{_BASE}/wp-json/wc/v3/orders"
    query = signed("GET", url, {"search": "a b&c=é~*", "per_page": 3}, algorithm=algorithm)
    assert len(_ids(client.get(url, params=query))) == 3


def test_a_signature_in_the_header_is_let_in(client: httpx.Client) -> None:
    """OAuth 1.0a may travel in Authorization; the query is signed all the same."""
    url = f"{_BASE}/wp-json/wc/v3/orders"
    made = signed("GET", url, {"per_page": 2})
    oauth = {name: value for name, value in made.items() if name.startswith("oauth_")}
    header = "OAuth " + ", ".join(f'{k}="{quote(v, safe="~")}"' for k, v in oauth.items())
    answer = client.get(url, params={"per_page": "2"}, headers={"Authorization": header})
    assert len(_ids(answer)) == 2


def test_wrong_credentials_are_refused_with_the_recorded_codes(client: httpx.Client) -> None:
    """A wrong key looks like a missing permission; Basic over http is not looked at."""
    url = f"{_BASE}/wp-json/wc/v3/orders"
    wrong_key = client.get(url, params=signed("GET", url, {}, key="ck_other"))
    wrong_secret = client.get(url, params=signed("GET", url, {}, secret="cs_other"))
    basic = client.get(url, auth=(KEY, SECRET))
    assert {wrong_key.status_code, wrong_secret.status_code, basic.status_code} == {401}
    assert wrong_key.json() == _recorded("auth_bad_key")["body"]
    assert basic.json() == _recorded("auth_basic_over_http")["body"]
    assert wrong_secret.json()["code"] == _recorded("auth_bad_secret")["body"]["code"]


def test_a_call_cannot_be_replayed_nor_altered(client: httpx.Client) -> None:
    """A nonce counts once, and a changed parameter breaks the signature."""
    url = f"{_BASE}/wp-json/wc/v3/orders"
    query = signed("GET", url, {"page": 1})
    assert client.get(url, params=query).status_code == 200
    assert "nonce" in client.get(url, params=query).json()["message"]
    altered = {**signed("GET", url, {"page": 1}), "page": "2"}
    assert "signature" in client.get(url, params=altered).json()["message"]


def test_refused_parameters_answer_as_recorded(caller: ShopCaller) -> None:
    """101 a page and a date of 'yesterday' are 400s with WordPress' details."""
    for recording, params in (
        ("orders_list_per_page_101", {"per_page": 101}),
        ("orders_list_bad_date", {"modified_after": "yesterday"}),
    ):
        answer = caller.get("/orders", **params)
        assert (answer.status_code, answer.json()) == (400, _recorded(recording)["body"])


def test_past_the_end_is_an_empty_list_with_totals_of_nought(caller: ShopCaller) -> None:
    """Recorded: 200, [], X-WP-Total 0. Who trusts the total there thinks the shop is empty."""
    answer = caller.get("/orders", page=99, per_page=5)
    assert (answer.status_code, answer.json()) == (200, [])
    assert (answer.headers["X-WP-Total"], answer.headers["X-WP-TotalPages"]) == ("0", "0")


def test_links_name_another_host_than_the_one_asked(caller: ShopCaller) -> None:
    """Link comes from the shop's settings: who follows it blindly leaves this shop."""
    answer = caller.get("/orders", page=2, per_page=5)
    assert answer.headers["X-WP-TotalPages"] == "3"
    assert answer.headers["Link"].count("https://test.shop.example/wp-json/wc/v3/orders?") == 2


def test_modified_after_is_strict_in_whole_seconds_and_drops_ties(caller: ShopCaller) -> None:
    """Ten orders share a second: a cursor on the last seen time never sees the other nine."""
    at, before = "2026-01-01T10:00:00", "2026-01-01T09:59:59"
    base = {"orderby": "modified", "order": "asc", "per_page": 100}
    assert len(_ids(caller.get("/orders", **base, modified_after=at, dates_are_gmt="true"))) == 2
    strict = caller.get("/orders", **base, modified_after=before, dates_are_gmt="true")
    assert _ids(strict) == [500001 + n for n in range(12)]
    assert len(_ids(caller.get("/orders", **base, modified_after=f"{at}Z"))) == 2


def test_a_date_without_a_zone_is_read_in_shop_time(caller: ShopCaller) -> None:
    """The shop lies five hours behind UTC: the same text means another moment."""
    at = "2026-01-01T05:00:01"
    assert len(_ids(caller.get("/orders", modified_after=at, per_page=100))) == 2
    gmt = caller.get("/orders", modified_after=at, dates_are_gmt="true", per_page=100)
    assert len(_ids(gmt)) == 12


def test_page_numbers_over_modified_lose_rows_that_move(caller: ShopCaller, clock: _Clock) -> None:
    """The recorded trap: edits after page 1 shift page 2 under the reader."""
    base = {"orderby": "modified", "order": "asc", "per_page": 4, "status": "any"}
    seen = _ids(caller.get("/orders", **base, page=1))
    for key in seen[:2]:
        clock.now += 60
        assert caller.call("PUT", f"/orders/{key}", json={}).status_code == 200
    for page in (2, 3):
        seen += _ids(caller.get("/orders", **base, page=page))
    assert len(seen) == 12
    assert len(set(seen)) == 10


def test_an_order_has_the_fields_of_the_recording(caller: ShopCaller) -> None:
    """Every field WooCommerce wrote is here, with JSON of the same type; a price is a number."""
    served = caller.get("/orders/500002").json()
    recorded = _recorded("order_create")["body"]
    assert set(served) == set(recorded)
    for name, value in recorded.items():
        if value is not None and served[name] is not None:
            assert type(served[name]) is type(value), name
    assert set(served["line_items"][0]) == set(recorded["line_items"][0])
    assert set(served["billing"]) == set(recorded["billing"])
    line = served["line_items"][0]
    assert (line["price"], line["total"], served["total"]) == (17.995, "35.99", "35.99")
    assert served["date_created"] == "2026-01-01T05:00:00"
    assert served["date_created_gmt"] == "2026-01-01T10:00:00"


def test_a_customer_and_a_refund_have_the_fields_of_the_recordings(caller: ShopCaller) -> None:
    """The other two bodies a connector reads."""
    customer = caller.get("/customers/12345").json()
    assert set(customer) == set(_recorded("customer_get")["body"])
    made = caller.call("POST", "/orders/500002/refunds", json={"amount": "5.00"})
    assert (made.status_code, set(made.json())) == (201, set(_recorded("refund_partial")["body"]))


def test_a_partial_refund_moves_the_order_and_a_full_one_its_status(
    caller: ShopCaller, clock: _Clock
) -> None:
    """Polling by date_modified sees refunds; too much money is refused."""
    clock.now += 5
    caller.call("POST", "/orders/500002/refunds", json={"amount": "11.25", "reason": "broken"})
    order = caller.get("/orders/500002").json()
    assert (order["status"], order["refunds"][0]["total"]) == ("completed", "-11.25")
    assert order["date_modified_gmt"] == time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(clock.now))
    assert caller.call("POST", "/orders/500002/refunds", json={"amount": "99"}).status_code >= 400
    caller.call("POST", "/orders/500002/refunds", json={"amount": "24.74"})
    assert caller.get("/orders/500002").json()["status"] == "refunded"


def test_trash_leaves_the_list_and_deletion_leaves_nothing(caller: ShopCaller) -> None:
    """Absence has two meanings: a trashed order still answers by id, a deleted one is a 404."""
    assert caller.call("DELETE", "/orders/500003").status_code == 200
    assert caller.get("/orders/500003").json()["status"] == "trash"
    assert caller.call("DELETE", "/orders/500004", force="true").status_code == 200
    gone = caller.get("/orders/500004")
    assert (gone.status_code, gone.json()) == (404, _recorded("order_get_deleted")["body"])
    assert not {500003, 500004} & set(_ids(caller.get("/orders", per_page=100)))


def test_customers_have_no_modified_after_and_guests_never_appear(caller: ShopCaller) -> None:
    """The parameter is ignored, silently: everything comes back."""
    assert _ids(caller.get("/customers", modified_after="2030-01-01T00:00:00")) == [12345]
    assert caller.get("/orders/500001").json()["customer_id"] == 0


def test_an_order_does_not_move_its_customer_nor_an_edit_the_orders(
    caller: ShopCaller, clock: _Clock
) -> None:
    """Two clocks: a customer's date says nothing of its orders."""
    before = caller.get("/customers/12345").json()["date_modified_gmt"]
    clock.now += 60
    item = {"sku": "A", "quantity": 1, "total": "3.00"}
    made = caller.call("POST", "/orders", json={"customer_id": 12345, "line_items": [item]})
    assert (made.status_code, made.json()["total"]) == (201, "3.00")
    assert caller.get("/customers/12345").json()["date_modified_gmt"] == before
    order_date = caller.get("/orders/500002").json()["date_modified_gmt"]
    edit = {"first_name": "Renamed", "billing": {"city": "Elsewhere"}}
    edited = caller.call("PUT", "/customers/12345", json=edit).json()
    assert edited["date_modified_gmt"] > before
    assert (edited["first_name"], edited["billing"]["city"]) == ("Renamed", "Elsewhere")
    assert caller.get("/orders/500002").json()["date_modified_gmt"] == order_date


def test_a_guest_registers_later_and_the_email_is_taken_in_any_case(caller: ShopCaller) -> None:
    """The account repeats the guest's address with other capitals; a second one is refused."""
    billing = caller.get("/orders/500001").json()["billing"]
    email = billing["email"] or "someone@example.com"
    made = caller.call("POST", "/customers", json={"email": email.swapcase()})
    assert (made.status_code, made.json()["email"]) == (201, email.swapcase())
    again = caller.call("POST", "/customers", json={"email": email})
    assert (again.status_code, again.json()["code"]) == (400, "registration-error-email-exists")


def test_billing_email_is_the_accounts_up_to_letter_case(shop: ShopState) -> None:
    """Identity must not hang on capitals."""
    from crm_integration.sandbox.identities import billing_email, invented

    people = [f"customer:{n}" for n in range(200)]
    pairs = [(billing_email(7, one), invented(7, one).email) for one in people]
    assert all(left.lower() == right.lower() for left, right in pairs)
    assert any(left != right for left, right in pairs)


def test_lists_can_be_narrowed(caller: ShopCaller) -> None:
    """include, exclude, status, customer, offset and _fields do what WordPress says."""
    assert _ids(caller.get("/orders", include="500005,500007")) == [500007, 500005]
    assert 500005 not in _ids(caller.get("/orders", exclude="500005", per_page=100))
    assert _ids(caller.get("/orders", status="pending")) == []
    assert len(_ids(caller.get("/orders", customer=12345, per_page=100))) == 8
    assert _ids(caller.get("/orders", orderby="id", order="asc", offset=10)) == [500011, 500012]
    named = caller.get("/orders", include="500005", _fields="id,billing.city,total").json()
    assert [set(row) for row in named] == [{"id", "billing", "total"}]
    assert set(named[0]["billing"]) == {"city"}


def test_an_edit_of_lines_and_meta_changes_the_order(caller: ShopCaller) -> None:
    """Quantities change, lines go and come, the total follows, a tag can be set."""
    line = caller.get("/orders/500002").json()["line_items"][0]["id"]
    body = {
        "status": "cancelled",
        "meta_data": [{"key": "crm_integration_tag", "value": "checked"}],
        "line_items": [{"id": line, "quantity": 0}, {"sku": "N", "quantity": 2, "total": "8.00"}],
    }
    order = caller.call("PUT", "/orders/500002", json=body).json()
    assert (order["status"], order["total"], len(order["line_items"])) == ("cancelled", "8.00", 1)
    assert order["meta_data"][-1]["value"] == "checked"


def test_a_page_of_a_hundred_orders_is_fast() -> None:
    """100 orders with 25 lines each in less than 60 ms, best of five, or demos crawl."""
    rows: list[Row] = [
        (str(500000 + n), f"S{line}", 1, "2026-01-01T10:00", 1.5, 12345)
        for n in range(100)
        for line in range(25)
    ]
    shop = ShopState(shop_settings())
    fill(shop, read_invoices(book(*rows)))
    with app_client(WooCommerceApp(shop).app, _BASE) as client:
        caller, spent = ShopCaller(client, _BASE), list[float]()
        for _ in range(5):
            started = time.perf_counter()
            answer = caller.get("/orders", per_page=100)
            spent.append(time.perf_counter() - started)
        assert sum(len(order["line_items"]) for order in answer.json()) == 2500
    assert min(spent) < 0.06


def test_products_know_modified_after(caller: ShopCaller) -> None:
    """Unlike customers: the one product was first sold at ten."""
    base = {"dates_are_gmt": "true"}
    assert len(_ids(caller.get("/products", **base, modified_after="2026-01-01T09:59:59"))) == 1
    assert _ids(caller.get("/products", **base, modified_after="2026-01-01T10:00:00")) == []
