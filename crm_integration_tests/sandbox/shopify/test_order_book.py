"""How an order book's orders, credit notes, people, parcels and carts show in Shopify."""

from __future__ import annotations

from typing import Any

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.shop_state import ConsentRecord, ShipmentRecord, ShopState
from crm_integration_tests.sandbox.shopify.shops import Caller, caller, generated_shop, shop_of

_MONEY = "{ shopMoney { amount currencyCode } }"


def _order(called: Caller, key: int, fields: str) -> Any:
    query = f"query($id: ID!) {{ order(id: $id) {{ {fields} }} }}"
    return called.data(query, id=f"gid://shopify/Order/{key}")["order"]


def test_an_order_has_the_number_of_the_book_and_prices_with_all_their_decimals() -> None:
    """Two lines of 17.995 are 53.99 and not 54.00: the unit price must not be rounded first."""
    called = caller(shop_of(("500001", "A", 3, "2026-01-01T10:00", 17.995, 12345)))
    order = _order(called, 500001, f"""name legacyResourceId createdAt processedAt updatedAt tags
      displayFinancialStatus displayFulfillmentStatus totalPriceSet {_MONEY}
      customAttributes {{ key value }} customer {{ id state tags }}
      lineItems(first: 5) {{ nodes {{ id sku quantity originalUnitPriceSet {_MONEY}
        discountedTotalSet {_MONEY} }} }}""")  # fmt: skip
    assert (order["name"], order["legacyResourceId"], order["tags"]) == ("#500001", "500001", [])
    assert order["createdAt"] == order["processedAt"] == order["updatedAt"]
    assert order["createdAt"] == "2026-01-01T10:00:00Z"
    assert order["customAttributes"] == [{"key": "_invented_identity", "value": "yes"}]
    assert order["customer"] == {"id": "gid://shopify/Customer/12345", "state": "ENABLED",
                                 "tags": ["_invented_identity: yes"]}  # fmt: skip
    assert order["totalPriceSet"]["shopMoney"] == {"amount": "53.99", "currencyCode": "GBP"}
    line = order["lineItems"]["nodes"][0]
    assert (line["id"], line["quantity"]) == ("gid://shopify/LineItem/5000010001", 3)
    assert line["originalUnitPriceSet"]["shopMoney"]["amount"] == "17.995"
    assert line["discountedTotalSet"]["shopMoney"]["amount"] == "53.99"


def test_a_guests_order_has_an_email_and_no_customer() -> None:
    """Whoever reads people from `customer` alone never hears of guests."""
    called = caller(shop_of(("500002", "A", 1, "2026-01-01T10:00", 2.0, None)))
    order = _order(called, 500002, "email customer { id } billingAddress { lastName country }")
    assert order["customer"] is None
    assert order["email"].endswith(("@example.com", "@example.org", "@example.net"))
    assert order["billingAddress"]["country"] == "United Kingdom"


def test_a_refund_takes_quantities_off_the_order_and_leaves_its_total() -> None:
    """totalPriceSet is before returns; what is left is in the fields named current."""
    called = caller(shop_of(("500001", "A", 10, "2026-01-01T10:00", 1.0, 12345),
                            ("C500003", "A", -2, "2026-01-03T10:00", 1.0, 12345)))  # fmt: skip
    order = _order(called, 500001, f"""displayFinancialStatus updatedAt totalPriceSet {_MONEY}
      currentTotalPriceSet {_MONEY} totalRefundedSet {_MONEY}
      lineItems(first: 1) {{ nodes {{ quantity currentQuantity }} }}
      refunds {{ id note createdAt totalRefundedSet {_MONEY} refundLineItems(first: 5) {{ nodes {{
        quantity subtotalSet {_MONEY} lineItem {{ id }} }} }} }}
      transactions {{ kind amountSet {_MONEY} }}""")  # fmt: skip
    amounts = [order[name]["shopMoney"]["amount"] for name in
               ("totalPriceSet", "currentTotalPriceSet", "totalRefundedSet")]  # fmt: skip
    assert amounts == ["10.0", "8.0", "2.0"]
    assert order["displayFinancialStatus"] == "PARTIALLY_REFUNDED"
    assert order["updatedAt"] == "2026-01-03T10:00:00Z"
    assert order["lineItems"]["nodes"] == [{"quantity": 10, "currentQuantity": 8}]
    refund = order["refunds"][0]
    assert (refund["id"], refund["note"]) == ("gid://shopify/Refund/10500003", "C500003")
    back = refund["refundLineItems"]["nodes"][0]
    assert (back["quantity"], back["subtotalSet"]["shopMoney"]["amount"]) == (2, "2.0")
    assert back["lineItem"]["id"] == "gid://shopify/LineItem/5000010001"
    assert [one["kind"] for one in order["transactions"]] == ["SALE", "REFUND"]


def test_a_refund_of_what_the_order_does_not_hold_is_an_adjustment() -> None:
    """A refunded line must be a line of the order; the rest of the money is told beside."""
    shop = shop_of(("500001", "A", 10, "2026-01-01T10:00", 1.0, 12345))
    shop_edits.create_refund(shop, shop.orders[500001], {"amount": "3.50"})
    refund = _order(
        caller(shop),
        500001,
        f"""refunds {{ totalRefundedSet {_MONEY}
      refundLineItems(first: 5) {{ nodes {{ quantity }} }}
      orderAdjustments(first: 5) {{ nodes {{ reason amountSet {_MONEY} }} }} }}""",
    )["refunds"][0]
    assert refund["refundLineItems"]["nodes"] == []
    adjustment = refund["orderAdjustments"]["nodes"][0]
    assert (adjustment["reason"], adjustment["amountSet"]["shopMoney"]["amount"]) == (
        "REFUND_DISCREPANCY", "-3.5",
    )  # fmt: skip


def test_a_credit_without_an_order_is_an_import_with_a_tag() -> None:
    """Taken for an order, it would be counted as a sale that never was."""
    called = caller(shop_of(("C500003", "Z", -2, "2026-01-03T10:00", 3.0, 12345)))
    order = _order(called, 20500003, """name tags sourceName displayFinancialStatus
      refunds { note } lineItems(first: 1) { nodes { quantity } }""")  # fmt: skip
    assert (order["name"], order["tags"]) == ("#C500003", ["credit-without-order"])
    assert (order["sourceName"], order["displayFinancialStatus"]) == ("import", "REFUNDED")
    assert order["refunds"] == [{"note": "C500003"}]
    assert order["lineItems"]["nodes"] == [{"quantity": 2}]


def test_what_cannot_be_read_is_served_as_it_is() -> None:
    """Quarantine needs something to quarantine."""
    called = caller(shop_of(("A563185", "B", 1, "2026-01-01T10:00", -11062.06, None),
                            ("500009", "A", -7, "2026-01-01T11:00", 0.0, None)))  # fmt: skip
    fields = f"name totalPriceSet {_MONEY} lineItems(first: 1) {{ nodes {{ quantity }} }}"
    adjustment, bad = _order(called, 30563185, fields), _order(called, 500009, fields)
    assert (adjustment["name"], adjustment["totalPriceSet"]["shopMoney"]["amount"]) == (
        "#A563185", "-11062.06",
    )  # fmt: skip
    assert (bad["name"], bad["lineItems"]["nodes"]) == ("#500009", [{"quantity": -7}])


def test_a_parcel_moves_the_order_and_tells_what_is_in_it() -> None:
    """In Shopify a shipment is an update of its order: polling by updated_at finds it."""
    shop = shop_of(("500001", "A", 2, "2026-01-01T10:00", 1.0, 12345),
                   ("500001", "B", 5, "2026-01-01T10:00", 1.0, 12345))  # fmt: skip
    called, later = caller(shop), shop.orders[500001].created + 86_400
    query = """{ orders(first: 5, query: "updated_at:>'2026-01-01T12:00:00Z'") { nodes { id
      updatedAt displayFulfillmentStatus fulfillments { status displayStatus totalQuantity
        trackingInfo { number company } fulfillmentLineItems(first: 5) { nodes { quantity
          lineItem { sku } } } } } } }"""
    assert called.data(query)["orders"]["nodes"] == []
    parcel = ShipmentRecord(7, 500001, later, later, "shipped", "Evri", "ZZ1", ((0, 2), (1, 3)))
    shop.add_shipment(shop.orders[500001], parcel)
    order = called.data(query)["orders"]["nodes"][0]
    assert order["updatedAt"] == "2026-01-02T10:00:00Z"
    assert order["displayFulfillmentStatus"] == "PARTIALLY_FULFILLED"
    assert order["fulfillments"] == [{
        "status": "SUCCESS", "displayStatus": "IN_TRANSIT", "totalQuantity": 5,
        "trackingInfo": [{"number": "ZZ1", "company": "Evri"}],
        "fulfillmentLineItems": {"nodes": [{"quantity": 2, "lineItem": {"sku": "A"}},
                                           {"quantity": 3, "lineItem": {"sku": "B"}}]},
    }]  # fmt: skip


def test_consent_is_told_with_its_level_and_time() -> None:
    """An unsubscription without a time cannot be ordered against a subscription."""
    shop = shop_of(("500001", "A", 1, "2026-01-01T10:00", 1.0, 12345))
    query = """{ customers(first: 1) { nodes { defaultEmailAddress { marketingState
      marketingOptInLevel marketingUpdatedAt } } } }"""
    called = caller(shop)
    for record, told in (
        (None, ("NOT_SUBSCRIBED", None, None)),
        (ConsentRecord("never_asked", None, "unknown"), ("NOT_SUBSCRIBED", "UNKNOWN", None)),
        (ConsentRecord("subscribed", 86_400, "confirmed"),
         ("SUBSCRIBED", "CONFIRMED_OPT_IN", "1970-01-02T00:00:00Z")),
        (ConsentRecord("unsubscribed", 86_400),
         ("UNSUBSCRIBED", "SINGLE_OPT_IN", "1970-01-02T00:00:00Z")),
    ):  # fmt: skip
        shop.customers[12345].consent = record
        email = called.data(query)["customers"]["nodes"][0]["defaultEmailAddress"]
        assert tuple(email.values()) == told


def test_a_cart_tells_whose_it_is_and_whether_it_became_an_order() -> None:
    """An e-mail typed into a cart is somebody without an account, whom no list holds."""
    shop = generated_shop(2_000)
    called = caller(shop)
    query = """query($after: String) { abandonedCheckouts(first: 20, after: $after) {
      pageInfo { hasNextPage endCursor } nodes { id completedAt
        customer { id state defaultEmailAddress { emailAddress } } } } }"""
    nodes = [one for page in called.pages(query, "abandonedCheckouts") for one in page["nodes"]]
    assert len(nodes) == len(shop.carts)
    assert all(one["customer"]["defaultEmailAddress"]["emailAddress"] for one in nodes)
    states = {one["customer"]["state"] for one in nodes}
    assert states == {"ENABLED", "DISABLED"}
    assert {bool(one["completedAt"]) for one in nodes} == {True, False}
    guest = next(one["customer"] for one in nodes if one["customer"]["state"] == "DISABLED")
    read = called.data("query($id: ID!) { customer(id: $id) { id state } }", id=guest["id"])
    assert read["customer"] == {"id": guest["id"], "state": "DISABLED"}


def test_edits_are_seen_at_once() -> None:
    """A cache in the emulator would make a lost update look like a found one."""
    shop = shop_of(("500001", "A", 1, "2026-01-01T10:00", 1.0, 12345))
    called = caller(shop)
    query = "{ orders(first: 1) { nodes { note email } } ordersCount { count precision } }"
    before = called.data(query)
    order = shop.orders[500001]
    shop_edits.edit_order(shop, order, {"customer_note": "ring twice",
                                        "billing": {"email": "else@example.com"}})  # fmt: skip
    after = called.data(query)
    assert before["orders"]["nodes"][0]["note"] is None
    assert after["orders"]["nodes"] == [{"note": "ring twice", "email": "else@example.com"}]
    _trash(shop, 500001)
    gone = called.data(query)
    assert gone == {"orders": {"nodes": []}, "ordersCount": {"count": 0, "precision": "EXACT"}}
    assert _order(called, 500001, "id") is None


def _trash(shop: ShopState, key: int) -> None:
    shop.trash(shop.orders[key])


def test_an_account_made_by_hand_shows_as_it_was_typed() -> None:
    """Nothing invented is put on a person a test made."""
    shop = shop_of(("500001", "A", 1, "2026-01-01T10:00", 1.0, 12345))
    made = shop_edits.create_customer(shop, {
        "email": "Ada@Example.com", "first_name": "Ada", "last_name": "Account",
        "billing": {"phone": "020 7946 0123", "country": "GB", "city": "Quillhaven"},
    })  # fmt: skip
    query = """query($id: ID!) { customer(id: $id) { firstName displayName email phone tags
      defaultAddress { city countryCodeV2 country } numberOfOrders } }"""
    held = caller(shop).data(query, id=f"gid://shopify/Customer/{made.id}")["customer"]
    assert held == {
        "firstName": "Ada", "displayName": "Ada Account", "email": "Ada@Example.com",
        "phone": "+442079460123", "tags": [], "numberOfOrders": "0",
        "defaultAddress": {"city": "Quillhaven", "countryCodeV2": "GB",
                           "country": "United Kingdom"},
    }  # fmt: skip
