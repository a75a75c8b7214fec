"""GraphQL as such: what is refused and in which words, fragments, variables, directives."""

from __future__ import annotations

from typing import Any

import pytest

from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shopify.app import ALL_SCOPES
from crm_integration_tests.sandbox.clients import app_client
from crm_integration_tests.sandbox.shopify.shops import Caller, caller, generated_shop

_SHOP = generated_shop(60)


@pytest.fixture
def called() -> Caller:
    return caller(_SHOP)


def _first_error(called: Caller, query: str, **variables: Any) -> dict[str, Any]:
    answer = called.post(query, **variables)
    assert answer.status_code == 200
    return answer.json()["errors"][0]


def test_a_field_that_shopify_does_not_have_is_refused_with_its_words(called: Caller) -> None:
    """A connector asking nonsense must be seen here and not at a merchant."""
    error = _first_error(called, "query Mine {\n  orders(first: 1) { nodes { total } }\n}")
    assert error == {
        "message": "Field 'total' doesn't exist on type 'Order'",
        "locations": [{"line": 2, "column": 30}],
        "path": ["query Mine", "orders", "nodes", "total"],
        "extensions": {"code": "undefinedField", "typeName": "Order", "fieldName": "total"},
    }


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{ orders(first: 1, sort: ID) { nodes { id } } }", "argumentNotAccepted"),
        ("{ orders(first: 1, sortKey: PRICE) { nodes { id } } }", "argumentLiteralsIncompatible"),
        ('{ orders(first: "1") { nodes { id } } }', "argumentLiteralsIncompatible"),
        ("{ order { id } }", "missingRequiredArguments"),
        ("{ shop }", "selectionMismatch"),
        ("{ shop { name { x } } }", "selectionMismatch"),
        ("{ shop { ...Gone } }", "useAndDefineFragment"),
        ("{ nodes(ids: []) { name } }", "undefinedField"),
        ("{ nodes(ids: []) { ... on Nothing { id } } }", "undefinedType"),
        ("{ order(id: $id) { id } }", "variableNotDefined"),
        ("query($id: ID!) { order(id: $id) { id } }", "INVALID_VARIABLE"),
        ("{ orders { nodes { id } } }", "BAD_REQUEST"),
        ("{ orders(first: 251) { nodes { id } } }", "BAD_REQUEST"),
        ("{ orders(first: 1, last: 1) { nodes { id } } }", "BAD_REQUEST"),
        ('{ orders(first: 1, after: "x") { nodes { id } } }', "BAD_REQUEST"),
    ],
)
def test_each_way_of_asking_wrongly_has_its_code(called: Caller, query: str, code: str) -> None:
    """The connector's own tests tell these apart by code."""
    assert _first_error(called, query)["extensions"]["code"] == code


def test_all_mistakes_are_told_at_once_and_nothing_is_paid(called: Caller) -> None:
    """As there: no data, no cost."""
    answer = called.answer("{ shop { one two } }")
    assert [error["extensions"]["fieldName"] for error in answer["errors"]] == ["one", "two"]
    assert answer.keys() == {"errors"}


def test_a_text_that_is_no_graphql_is_a_syntax_error(called: Caller) -> None:
    """A query cut in the middle is answered, not a 500."""
    assert "Syntax Error" in _first_error(called, "{ shop { name }")["message"]


def test_aliases_fragments_variables_and_directives_work_together(called: Caller) -> None:
    """Generated clients use all of them in one query."""
    query = """query Page($size: Int = 2, $with: Boolean!, $without: Boolean!) {
      newest: orders(first: $size, sortKey: CREATED_AT, reverse: true) { ...Ids }
      oldest: orders(first: 1, sortKey: CREATED_AT) { ...Ids nodes { name } }
      shop { name @include(if: $with) currencyCode @skip(if: $without) }
    } fragment Ids on OrderConnection { nodes { id __typename } }"""
    data = called.data(query, **{"with": True, "without": True})
    assert [len(data[name]["nodes"]) for name in ("newest", "oldest")] == [2, 1]
    assert data["oldest"]["nodes"][0].keys() == {"id", "__typename", "name"}
    assert data["shop"] == {"name": "test"}


def test_the_named_operation_of_several_is_run(called: Caller) -> None:
    """ShopifyAPI sends operationName with documents of several operations."""
    body = {"query": "query A { shop { id } } query B { shop { name } }", "operationName": "B"}
    answer = called.http.post("/admin/api/2026-10/graphql.json", json=body).json()
    assert answer["data"] == {"shop": {"name": "test"}}


def test_a_wrong_token_is_401_and_an_unknown_version_404() -> None:
    """The words are those a merchant's revoked token brings."""
    refused = Caller(caller(_SHOP).app, token="shpat_other").post("{ shop { id } }")
    assert refused.status_code == 401
    assert refused.json() == {
        "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"
    }
    assert caller(_SHOP).post("{ shop { id } }", "2031-01").status_code == 404


def test_the_version_that_answered_is_told(called: Caller) -> None:
    """A version that is no more falls forward: the header is the only sign of it."""
    asked = {
        version: called.post("{ shop { id } }", version).headers["x-shopify-api-version"]
        for version in ("2026-10", "2026-07", "2024-01")
    }
    assert asked == {"2026-10": "2026-10", "2026-07": "2026-07", "2024-01": "2025-10"}
    called.app.serves = "2027-01"
    assert called.post("{ shop { id } }").headers["x-shopify-api-version"] == "2027-01"


def test_the_shop_is_opened_by_its_kind_with_the_secret_that_a_connection_holds() -> None:
    """Hosting, tests and the demo know platforms by name alone."""
    kind = SHOP_KINDS["shopify"]
    token = kind.secrets(_SHOP.settings)["access_token"]
    headers = {"X-Shopify-Access-Token": token}
    client = app_client(kind.app(_SHOP), "http://127.0.0.1", headers=headers)
    answer = client.post("/admin/api/2026-10/graphql.json", json={"query": "{ shop { name } }"})
    assert answer.json()["data"] == {"shop": {"name": "test"}}


def test_a_missing_scope_denies_the_field_and_names_the_scope() -> None:
    """The rest of the data is still there; only what cannot be null takes it along."""
    called = caller(_SHOP, scopes=ALL_SCOPES - {"read_customers"})
    query = """{ shop { name } orders(first: 3, query: "customer_id:>0") {
      nodes { name customer { id } } } }"""
    answer = called.answer(query)
    assert answer["errors"] == [{
        "message": "Access denied for customer field. Required access: `read_customers` access"
                   " scope.",
        "locations": [{"line": 2, "column": 20}],
        "path": ["orders", "nodes", 0, "customer"],
        "extensions": {"code": "ACCESS_DENIED",
                       "documentation": "https://shopify.dev/api/usage/access-scopes",
                       "requiredAccess": "`read_customers` access scope."},
    }]  # fmt: skip
    assert [node["customer"] for node in answer["data"]["orders"]["nodes"]] == [None] * 3
    denied = called.answer("{ shop { name } customers(first: 1) { nodes { id } } }")
    assert denied["data"] is None
    assert denied["errors"][0]["path"] == ["customers"]
    scopes = called.data("{ currentAppInstallation { accessScopes { handle } } }")
    handles = [one["handle"] for one in scopes["currentAppInstallation"]["accessScopes"]]
    assert handles == ["read_all_orders", "read_orders", "read_products"]


def test_without_read_all_orders_only_sixty_days_are_there() -> None:
    """No error: the older orders are simply not in the shop, by no way of asking."""
    shop = generated_shop(60)
    newest = max(order.created for order in shop.orders.values())
    shop._clock = lambda: newest + 30 * 86_400  # pyright: ignore[reportPrivateUsage]
    called = caller(shop, scopes=ALL_SCOPES - {"read_all_orders"})
    query = "{ ordersCount { count } }"
    whole, part = (one.data(query)["ordersCount"]["count"] for one in (caller(shop), called))
    recent = sum(order.created >= shop.now() - 60 * 86_400 for order in shop.orders.values())
    assert (whole, part) == (len(shop.orders), recent)
    assert 0 < recent < whole
    old = min(shop.orders.values(), key=lambda order: order.created)
    read = "query($id: ID!) { order(id: $id) { id } }"
    assert called.data(read, id=f"gid://shopify/Order/{old.id}") == {"order": None}


def test_subscriptions_are_kept_listed_and_deleted(called: Caller) -> None:
    """The same address for the same topic is taken; what is deleted is gone from the list."""
    make = """mutation($uri: String!) { webhookSubscriptionCreate(topic: ORDERS_CREATE,
      webhookSubscription: {uri: $uri}) { webhookSubscription { id } userErrors { message } } }"""
    first = called.data(make, uri="https://hooks.example.com/a")["webhookSubscriptionCreate"]
    key = first["webhookSubscription"]["id"]
    again = called.data(make, uri="https://hooks.example.com/a")["webhookSubscriptionCreate"]
    assert again["webhookSubscription"] is None
    assert again["userErrors"][0]["message"] == "Address for this topic has already been taken"
    listing = "{ webhookSubscriptions(first: 9, topics: [ORDERS_CREATE]) { nodes { id uri } } }"
    assert called.data(listing)["webhookSubscriptions"]["nodes"] == [
        {"id": key, "uri": "https://hooks.example.com/a"}
    ]
    drop = """mutation($id: ID!) { webhookSubscriptionDelete(id: $id) {
      deletedWebhookSubscriptionId userErrors { message } } }"""
    assert called.data(drop, id=key)["webhookSubscriptionDelete"] == {
        "deletedWebhookSubscriptionId": key, "userErrors": [],
    }  # fmt: skip
    assert called.data(listing)["webhookSubscriptions"]["nodes"] == []
