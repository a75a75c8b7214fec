"""Customers, guests, consents, products and carts."""

from __future__ import annotations

from typing import Any
from urllib.parse import unquote

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.shop_state import ShopState
from crm_integration_tests.sandbox.api2cart.stores import CUSTOMER, Clock, StoreCaller


def test_guests_are_listed_only_when_asked_for_and_have_no_id(caller: StoreCaller) -> None:
    """The default list misses everybody who never made an account."""
    base: dict[str, Any] = {"params": "force_all", "count": 250}
    accounts = caller.call("customer.list", **base)["result"]["customer"]
    assert {row["id"] for row in accounts} == {str(CUSTOMER), "22222"}
    everyone = caller.call("customer.list", include_guests="true", **base)["result"]["customer"]
    guests = [row for row in everyone if row["is_guest"]]
    emails = {
        row["customer"]["email"].lower()
        for row in caller.orders(count=250)
        if not row["customer"]["id"] and row["customer"]["email"]
    }
    assert {row["email"].lower() for row in guests} == emails
    assert {row["id"] for row in guests} == {""}
    count = caller.call("customer.count", include_guests="true")["result"]["customers_count"]
    assert count == len(everyone) == len(accounts) + len(emails)


def test_a_guest_s_two_orders_are_one_guest(caller: StoreCaller, shop: ShopState) -> None:
    """Whatever the letter case of the e-mail; the later order moves the guest's date."""
    before = caller.call("customer.count", include_guests="true")["result"]["customers_count"]
    for email in ("Some.Guest@example.com", "some.guest@example.com"):
        body = {"billing": {"email": email, "first_name": "Some", "last_name": "Guest"}}
        shop_edits.create_order(shop, body)
    after = caller.call("customer.count", include_guests="true")["result"]["customers_count"]
    assert after == before + 1


def test_pages_of_customers_join_without_a_gap(caller: StoreCaller) -> None:
    """By cursor, which carries `include_guests` on."""
    everyone = caller.call("customer.list", include_guests="true", count=250)["result"]["customer"]
    page = caller.call("customer.list", include_guests="true", count=2)
    seen = page["result"]["customer"]
    while page["pagination"]["next"]:
        page = caller.call("customer.list", page_cursor=unquote(page["pagination"]["next"]))
        seen += page["result"]["customer"]
    assert seen == everyone


def test_consent_has_three_answers(caller: StoreCaller) -> None:
    """Yes, no (pending is no), and nothing at all; the consent's own time is a bare string."""
    held = {
        row["id"]: row
        for row in caller.call("customer.list", params="force_all")["result"]["customer"]
    }
    assert held[str(CUSTOMER)]["news_letter_subscription"] is True
    (consent,) = held[str(CUSTOMER)]["consents"]
    assert (consent["status"], consent["opt_in_level"]) == ("subscribed", "confirmed_opt_in")
    assert consent["modified_time"] == "2027-01-15T02:45:00-0500"
    assert held["22222"]["news_letter_subscription"] is False
    assert held["22222"]["consents"][0]["modified_time"] is None


def test_an_account_without_consent_says_nothing(caller: StoreCaller, shop: ShopState) -> None:
    """Nothing known is not a no."""
    made = shop_edits.create_customer(shop, {"email": "new@example.com"})
    row = caller.call("customer.info", id=str(made.id), params="force_all")["result"]
    assert (row["email"], row["news_letter_subscription"], row["consents"]) == (
        "new@example.com", None, [],
    )  # fmt: skip
    assert row["custom_fields"] == {"_invented_identity": "yes"}


def test_an_edited_account_moves_in_the_list(
    caller: StoreCaller, shop: ShopState, clock: Clock
) -> None:
    """Its orders do not move it; its own edits do."""
    clock.now += 60
    shop_edits.edit_customer(shop, shop.customers[CUSTOMER], {"first_name": "Other"})
    changed = caller.call("customer.list", modified_from="2027-01-15T00:00:00Z")["result"]
    assert [(row["id"], row["first_name"]) for row in changed["customer"]] == [
        (str(CUSTOMER), "Other"),
    ]  # fmt: skip
    newest: dict[str, Any] = {"sort_by": "modified_time", "sort_direction": "desc", "count": 1}
    (row,) = caller.call("customer.list", **newest)["result"]["customer"]
    assert row["id"] == str(CUSTOMER)
    assert caller.call("customer.list", ids="22222")["result"]["customers_count"] == 1
    assert caller.call("customer.list", since_id="12345")["result"]["customers_count"] == 1
    assert caller.call("customer.count", avail="false")["result"]["customers_count"] == 0


def test_open_carts_are_listed_and_completed_ones_are_gone(
    caller: StoreCaller, shop: ShopState, clock: Clock
) -> None:
    """A reminder after the purchase comes from a list that still held the cart."""
    base = {"params": "force_all"}
    rows = caller.call("order.abandoned.list", **base)["result"]["order"]
    assert [row["id"] for row in rows] == ["81", "82", "84"]
    account, guest, nobody = rows
    assert account["customer"]["id"] == str(CUSTOMER)
    assert (guest["customer"]["id"], "@" in guest["customer"]["email"]) == ("", True)
    assert nobody["customer"]["email"] == ""
    assert account["totals"]["total"] == 35.99
    named = caller.call("order.abandoned.list", skip_empty_email="true")["result"]["order"]
    assert len(named) == 2
    mine = caller.call(
        "order.abandoned.list", customer_email=guest["customer"]["email"].upper(), **base
    )["result"]["order"]
    assert [row["id"] for row in mine] == ["82"]
    shop.carts[81].completed = clock.now
    assert len(caller.call("order.abandoned.list")["result"]["order"]) == 2


def test_a_product_is_found_by_the_id_of_an_order_line(caller: StoreCaller) -> None:
    """And by its stock code."""
    line = caller.orders(order_ids="500002")[0]["order_products"][0]
    found = caller.call("product.info", id=line["product_id"], params="force_all")["result"]
    assert found["u_sku"] == line["model"] == "A"
    (same,) = caller.call("product.list", sku="A")["result"]["product"]
    assert same["id"] == line["product_id"]
    assert set(same) == {"id", "name", "description", "price", "categories_ids"}
    count = caller.call("product.count")["result"]["products_count"]
    by_name = caller.call("product.list", sort_by="name", sort_direction="desc")["result"]
    names = [row["name"] for row in by_name["product"]]
    assert (len(names), names) == (count, sorted(names, reverse=True))
