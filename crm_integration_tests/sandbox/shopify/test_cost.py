"""What queries cost, and what happens when there is not enough left."""

from __future__ import annotations

from crm_integration.sandbox.shopify.cost import steps
from crm_integration_tests.sandbox.shopify.shops import caller, generated_shop

_SHOP = generated_shop(100)


def test_a_list_of_ids_costs_what_shopify_was_measured_to_take_for_it() -> None:
    """A budget planned by another formula empties the merchant's bucket."""
    query = "{ customers(first: 200) { pageInfo { hasNextPage } edges { cursor node { id } } } }"
    assert caller(_SHOP).answer(query)["extensions"]["cost"]["requestedQueryCost"] == 12


def test_money_is_free_an_object_costs_one_and_a_mutation_ten() -> None:
    """So does a list of objects without pages, such as an order's payments."""
    called = caller(_SHOP)
    query = """{ shop { name } order(id: "gid://shopify/Order/1") { transactions { id
      amountSet { shopMoney { amount } presentmentMoney { amount } } } } }"""
    assert called.answer(query)["extensions"]["cost"]["requestedQueryCost"] == 3
    drop = """mutation { webhookSubscriptionDelete(id: "gid://shopify/WebhookSubscription/1") {
      userErrors { message } } }"""
    assert called.answer(drop)["extensions"]["cost"]["actualQueryCost"] == 10


def test_page_sizes_are_paid_by_their_logarithm() -> None:
    """The sizes of which measured costs are published."""
    assert [steps(size) for size in (1, 10, 25, 50, 100, 200)] == [1, 4, 6, 7, 9, 10]


def test_what_was_not_used_is_given_back() -> None:
    """A page asked for at 250 that gives three costs little."""
    answer = caller(_SHOP, clock=lambda: 0.0).answer(
        '{ orders(first: 250, query: "id:1") { nodes { id } } }'
    )
    cost = answer["extensions"]["cost"]
    assert (cost["requestedQueryCost"], cost["actualQueryCost"]) == (13, 2)
    assert cost["throttleStatus"] == {
        "maximumAvailable": 20_000.0, "currentlyAvailable": 19_998, "restoreRate": 1_000.0,
    }  # fmt: skip


def test_an_empty_bucket_is_a_200_that_says_throttled_and_fills_again() -> None:
    """No 429 and no Retry-After: the wait follows from the cost and the rate."""
    now = [0.0]
    called = caller(_SHOP, maximum=2_000.0, restore_rate=100.0, clock=lambda: now[0])
    query = """{ orders(first: 250) { nodes { id customer { id } lineItems(first: 100) { nodes {
      id product { id } variant { id } } } } } }"""
    answers = [called.post(query) for _ in range(25)]
    assert {answer.status_code for answer in answers} == {200}
    throttled = [answer.json() for answer in answers if "data" not in answer.json()]
    assert throttled
    body = throttled[0]
    assert body["errors"][0]["message"] == "Throttled"
    assert body["errors"][0]["extensions"]["code"] == "THROTTLED"
    cost = body["extensions"]["cost"]
    assert cost["actualQueryCost"] is None
    assert cost["throttleStatus"]["currentlyAvailable"] < cost["requestedQueryCost"]
    missing = cost["requestedQueryCost"] - cost["throttleStatus"]["currentlyAvailable"]
    now[0] += missing / 100.0
    assert "data" in called.answer(query)


def test_a_query_beyond_a_thousand_points_is_refused_before_it_runs() -> None:
    """However full the bucket is; nothing is taken from it."""
    called = caller(_SHOP, clock=lambda: 0.0)
    query = """{ orders(first: 250) { nodes { lineItems(first: 250) { nodes { product { id
      variants(first: 250) { nodes { id product { id } } } } } } } } }"""
    answer = called.answer(query)
    error = answer["errors"][0]
    assert error["extensions"]["code"] == "MAX_COST_EXCEEDED"
    assert error["extensions"]["cost"] > error["extensions"]["maxCost"] == 1_000
    assert "data" not in answer
    status = called.answer("{ shop { id } }")["extensions"]["cost"]["throttleStatus"]
    assert status["currentlyAvailable"] == 19_999
