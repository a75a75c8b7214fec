"""Keys, parameters, cursors and throttling: what API2Cart says within its 200s."""

from __future__ import annotations

from urllib.parse import unquote

import pytest

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.api2cart.app import Api2CartApp
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shop_state import ShopState
from crm_integration_tests.sandbox.api2cart.stores import Clock, StoreCaller


def test_keys_that_do_not_fit_are_refused_within_a_200(app: Api2CartApp) -> None:
    """Who looks at the HTTP status sees a healthy store."""
    assert StoreCaller(app, api_key="other").refused("order.list")[0] == 2
    assert StoreCaller(app, api_key=None).refused("order.list")[0] == 2
    assert StoreCaller(app, store_key="other").refused("order.list")[0] == 101
    assert StoreCaller(app, store_key=None).refused("order.list")[0] == 4
    assert StoreCaller(app, store_key=None).call("account.cart.list")["result"]["carts_count"] == 1


def test_the_sandbox_knows_this_kind_of_store(shop: ShopState) -> None:
    """Hosting finds the app and its two secrets by the platform's name."""
    kind = SHOP_KINDS["api2cart"]
    assert kind.secrets(shop.settings) == {"api_key": "ck_tests", "store_key": "cs_tests"}
    assert callable(kind.app(shop))


@pytest.mark.parametrize("code", [4, 5, 6, 100, 110])
def test_a_store_or_key_in_another_state_says_so_with_its_code(
    app: Api2CartApp, caller: StoreCaller, code: int
) -> None:
    """Each of these asks for another action of a person."""
    app.refusing = code
    assert caller.refused("order.list")[0] == code
    app.refusing = None
    assert caller.orders()


@pytest.mark.parametrize(
    ("params", "code", "named"),
    [
        ({"modified_form": "2026-01-01"}, 109, "modified_form"),
        ({"count": "251"}, 109, "count"),
        ({"count": "0"}, 109, "count"),
        ({"start": "-1"}, 109, "start"),
        ({"is_deleted": "maybe"}, 109, "is_deleted"),
        ({"modified_from": "yesterday"}, 109, "modified_from"),
        ({"modified_from": "2026-01-01T00:00:00 0000"}, 109, "modified_from"),
        ({"modified_from": "2026-13-01T00:00:00Z"}, 109, "modified_from"),
        ({"sort_by": "weight"}, 109, "sort_by"),
        ({"sort_direction": "up"}, 109, "sort_direction"),
        ({"ebay_order_status": "x"}, 109, "ebay_order_status"),
        ({"customer_id": ""}, 109, "customer_id"),
        ({"store_id": "7"}, 112, "7"),
    ],
)
def test_a_parameter_that_is_wrong_is_named(
    caller: StoreCaller, params: dict[str, str], code: int, named: str
) -> None:
    """A typing error that answers with the first ten orders of everything loses all others."""
    refused = caller.refused("order.list", **params)
    assert refused[0] == code
    assert named in refused[1]


def test_a_required_parameter_that_is_missing_is_code_114(caller: StoreCaller) -> None:
    """In the vendor's own words."""
    message = "Parameter 'order_id' is required."
    assert caller.refused("order.shipment.list") == (114, message)
    assert caller.refused("order.info")[0] == 114


def test_what_is_not_there_is_code_112(caller: StoreCaller) -> None:
    """Not found looks like success to whoever reads the HTTP status."""
    assert caller.refused("order.info", order_id="1")[0] == 112
    assert caller.refused("order.info", id="x")[0] == 112
    assert caller.refused("customer.info", id="1")[0] == 112
    assert caller.refused("product.info", id="1")[0] == 112
    assert caller.refused("order.shipment.list", order_id="1")[0] == 112
    assert caller.refused("order.shipment.info", order_id="500012", id="1")[0] == 112
    assert caller.refused("webhook.delete", verb="DELETE", id="1")[0] == 112


def test_a_method_that_is_not_there_or_has_another_verb_is_code_3(caller: StoreCaller) -> None:
    """There is no 404 and no 405 here."""
    assert caller.refused("order.everything")[0] == 3
    assert caller.refused("webhook.create", entity="order", action="add")[0] == 3


def test_a_cursor_is_encoded_once_in_the_answer_and_stands_alone(caller: StoreCaller) -> None:
    """Sent as it stands in the answer a client encodes it a second time."""
    first = caller.call("order.list", count=5, customer_id="12345", params="order_id")
    cursor = first["pagination"]["next"]
    assert "%2F" in cursor
    assert first["pagination"]["previous"] is None
    assert caller.refused("order.list", page_cursor=cursor)[0] == 109
    plain = unquote(cursor)
    for extra in ({"customer_id": "12345"}, {"count": "5"}, {"start": "5"}, {"sort_by": "id"}):
        code, message = caller.refused("order.list", page_cursor=plain, **extra)
        assert code == 109
        assert next(iter(extra)) in message
    second = caller.call("order.list", page_cursor=plain, params="order_id")
    assert [row["order_id"] for row in second["result"]["order"]] == ["500009", "500011", "500012"]
    assert second["pagination"]["next"] is None
    back = caller.call("order.list", page_cursor=unquote(second["pagination"]["previous"]))
    assert [row["order_id"] for row in back["result"]["order"]] == [
        row["order_id"] for row in first["result"]["order"]
    ]


def test_a_cursor_does_not_carry_the_fields(caller: StoreCaller) -> None:
    """Page two has the default fields again unless they are asked for again."""
    first = caller.call("order.list", count=5, params="force_all")
    second = caller.call("order.list", page_cursor=unquote(first["pagination"]["next"]))
    assert "currency" in first["result"]["order"][0]
    assert "currency" not in second["result"]["order"][0]


@pytest.mark.parametrize("cursor", ["x", "////", "////eJwDAAAAAAE=", "%2F%2F"])
def test_a_cursor_that_is_none_is_refused(caller: StoreCaller, cursor: str) -> None:
    """A cut cursor must not begin from the start again."""
    assert caller.refused("order.list", page_cursor=cursor)[0] == 109


def test_a_cursor_of_another_method_is_refused(caller: StoreCaller) -> None:
    """Mixed up between two scans it would list the wrong things."""
    page = caller.call("order.list", count=5)["pagination"]["next"]
    assert caller.refused("product.list", page_cursor=unquote(page))[0] == 109


def test_more_calls_than_allowed_are_throttled_within_a_200(shop: ShopState, clock: Clock) -> None:
    """Three at once, then one for each third of a second."""
    caller = StoreCaller(Api2CartApp(shop, calls_per_second=3, clock=clock))
    for _ in range(3):
        caller.call("order.count")
    assert caller.refused("order.count")[0] == 111
    clock.now += 1
    caller.call("order.count")


def test_the_store_s_own_limit_has_a_code_of_its_own(shop: ShopState, clock: Clock) -> None:
    """110 means wait for this store; others behind the same key may go on."""
    app = Api2CartApp(shop, calls_per_second=1, throttle_code=110, clock=clock)
    caller = StoreCaller(app)
    caller.call("order.count")
    assert caller.refused("order.count")[0] == 110


def test_page_numbers_over_modified_lose_rows_that_move(
    caller: StoreCaller, shop: ShopState, clock: Clock
) -> None:
    """Edits after page 1 shift page 2 under the reader, by `start` and by cursor alike."""
    first = caller.call("order.list", sort_by="modified_at", count=4)
    seen = [row["order_id"] for row in first["result"]["order"]]
    for number in seen[:2]:
        clock.now += 60
        shop_edits.edit_order(shop, shop.orders[int(number)], {})
    cursor = first["pagination"]["next"]
    while cursor:
        page = caller.call("order.list", page_cursor=unquote(cursor))
        seen += [row["order_id"] for row in page["result"]["order"]]
        cursor = page["pagination"]["next"]
    assert len(seen) == len(shop.orders)
    assert len(set(seen)) == len(shop.orders) - 2


def test_webhooks_are_kept_and_made_once(caller: StoreCaller) -> None:
    """A subscription at every start must not make a second one."""
    asked = {"entity": "order", "action": "update", "callback": "https://example.com/hook"}
    key = caller.call("webhook.create", verb="POST", **asked)["result"]["id"]
    assert caller.refused("webhook.create", verb="POST", **asked)[0] == 113
    assert caller.refused("webhook.create", verb="POST", entity="moon", action="add")[0] == 109
    assert caller.refused("webhook.create", verb="POST", entity="order", action="eat")[0] == 109
    assert caller.call("webhook.count")["result"] == {"webhook_count": 1}
    (hook,) = caller.call("webhook.list", entity="order")["result"]["webhook"]
    assert hook == {"id": int(key), **asked}
    caller.call("webhook.update", verb="PUT", id=key, active="false")
    assert caller.call("webhook.count", active="true")["result"] == {"webhook_count": 0}
    caller.call("webhook.delete", verb="DELETE", id=key)
    assert caller.call("webhook.list")["result"]["webhook"] == []


def test_failed_deliveries_are_ids_of_the_last_day_only(
    app: Api2CartApp, caller: StoreCaller, clock: Clock
) -> None:
    """What failed two days ago is gone from the list: look at it daily or lose it."""
    app.failed_deliveries.add(1, "500001", clock.now - 100_000)
    app.failed_deliveries.add(1, "500002", clock.now - 10)
    result = caller.call("account.failed_webhooks")["result"]
    assert result["all_failed_webhook"] == "1"
    assert [row["entity_id"] for row in result["webhook"]] == ["500002"]


def test_a_store_says_which_it_is(caller: StoreCaller) -> None:
    """What a connection compares before it reads."""
    cart = caller.call("cart.info", params="force_all")["result"]
    assert (cart["name"], cart["url"]) == ("test", "https://test.shop.example")
    assert cart["stores_info"][0]["timezone"] == "-05:00"
    assert set(caller.call("cart.info")["result"]) == {"name", "url", "db_prefix"}
    other = caller.call("account.cart.list", store_key="other")["result"]
    assert other == {"carts_count": 0, "carts": []}
