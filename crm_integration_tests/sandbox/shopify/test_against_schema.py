"""Everything this emulator serves is in Shopify's own schema, with that very type.

Without this a connector could be built on fields that exist in the sandbox alone.
"""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from graphql import parse, validate

from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.bulk import BulkHabits
from crm_integration.sandbox.shopify.plan import Tables
from crm_integration.sandbox.shopify.schema import all_tables
from crm_integration.sandbox.shopify.types import Field
from crm_integration_tests.published import shopify_admin_schema
from crm_integration_tests.sandbox.shopify.answer_check import AnswerCheck
from crm_integration_tests.sandbox.shopify.shops import Caller, caller, generated_shop

_SORTS = ("OrderSortKeys", "CustomerSortKeys", "ProductSortKeys", "ProductVariantSortKeys",
          "AbandonedCheckoutSortKeys", "BulkOperationType", "BulkOperationsSortKeys",
          "WebhookSubscriptionSortKeys", "WebhookSubscriptionTopic")  # fmt: skip


@pytest.fixture(scope="module")
def tables() -> Tables:
    return all_tables()


@pytest.fixture(scope="module")
def shop() -> ShopState:
    return generated_shop()


def test_every_field_has_the_type_and_arguments_it_has_in_shopifys_schema(tables: Tables) -> None:
    """A connector that reads `email` as non-null must not get the idea from here."""
    published = shopify_admin_schema().type_map
    for name, table in tables.types.items():
        theirs = published[name].fields
        for field, ours in table.items():
            assert field in theirs, f"{name}.{field} is not Shopify's"
            assert str(theirs[field].type) == ours.type, f"{name}.{field}"
            for argument, kind in ours.args.items():
                if argument == "reverse" and argument not in theirs[field].args:
                    continue
                told = str(theirs[field].args[argument].type)
                assert told.rstrip("!") == kind.rstrip("!"), f"{name}.{field}({argument})"


@pytest.mark.parametrize("enum", _SORTS)
def test_every_enum_value_is_shopifys(tables: Tables, enum: str) -> None:
    """A sort key that only the sandbox knows would be refused at a merchant."""
    assert tables.enums[enum] <= set(shopify_admin_schema().type_map[enum].values)


def _whole(tables: Tables, kind: str, above: tuple[str, ...] = ()) -> str:
    """A selection of every field of a type; a type inside itself is left out, depth is three."""
    parts: list[str] = []
    for name, field in tables.types[kind].items():
        if field.base not in tables.types:
            parts.append(name)
        elif field.base not in above and (len(above) < 6 or field.base in _SMALL):
            page = "(first: 2)" if field.is_connection else ""
            parts.append(f"{name}{page} {_whole(tables, field.base, (*above, kind, field.base))}")
    return "{ " + (" ".join(parts) or "__typename") + " }"


_SMALL = {"MoneyBag", "MoneyV2", "Count", "PageInfo", "Attribute"}


def _arguments(field: Field, values: Mapping[str, str]) -> str:
    given = [f"{name}: {values[name]}" for name in field.args if name in values]
    return f"({', '.join(given)})" if given else ""


def _asked_whole(called: Caller, query: str) -> int:
    """Ask, check the query and every value against the schema; the number of values."""
    document = parse(query)
    assert validate(shopify_admin_schema(), document) == []
    answer = called.answer(query)
    assert "errors" not in answer, answer["errors"]
    check = AnswerCheck(shopify_admin_schema(), document)
    assert check.problems(answer["data"]) == []
    return check.checked


@pytest.mark.parametrize(
    ("root", "first", "least"),
    [("orders", 60, 20_000), ("customers", 40, 3_000), ("products", 60, 1_500),
     ("productVariants", 60, 1_000), ("abandonedCheckouts", 20, 400)],
)  # fmt: skip
def test_every_field_of_every_list_answers_with_values_of_its_type(
    tables: Tables, shop: ShopState, root: str, first: int, least: int
) -> None:
    """Not one null where the schema forbids it, over invented people, guests and bad lines."""
    field = tables.types["QueryRoot"][root]
    kind = field.base.removesuffix("Connection")
    checked = 0
    called = caller(shop, maximum=1e9)
    for name, one in tables.types[kind].items():
        page = "(first: 2)" if one.is_connection else ""
        inner = _whole(tables, one.base, (kind, one.base)) if one.base in tables.types else ""
        query = f"{{ {root}(first: {first}) {{ nodes {{ {name}{page} {inner} }} }} }}"
        checked += _asked_whole(called, query)
    assert checked >= least


def test_the_other_roots_answer_with_values_of_their_type(tables: Tables, shop: ShopState) -> None:
    """Shop, counts, single reads and nodes by id, each with all its fields."""
    called = caller(shop, maximum=1e9)
    refund, parcel = next(iter(shop.refunds)), next(iter(shop.shipments))
    ids = {
        "order": next(key for key, one in shop.orders.items() if one.shipments),
        "refund": refund, "fulfillment": parcel, "customer": next(iter(shop.customers)),
        "product": next(iter(shop.products)),
        "productVariant": 4_000_000_000 + next(iter(shop.products)),
    }  # fmt: skip
    for root, field in tables.types["QueryRoot"].items():
        if field.is_connection or root in {"node", "nodes", "bulkOperation",
                                           "webhookSubscription"}:  # fmt: skip
            continue
        kind = field.base
        values = {"id": f'"gid://shopify/{kind}/{ids.get(root, 1)}"'}
        small = " ".join(name for name, one in tables.types[kind].items()
                         if one.base not in tables.types)  # fmt: skip
        query = f"{{ {root}{_arguments(field, values)} {{ {small} }} }}"
        assert _asked_whole(called, query) > 0, root
        if root in ids:
            assert called.data(query)[root]["id"] == values["id"].strip('"')


def test_nodes_of_every_kind_come_back_by_their_id(shop: ShopState) -> None:
    """A webhook carries an id alone; gone and unknown ones are null, not an error."""
    order = next(one for one in shop.orders.values() if one.shipments)
    ids = [
        f"gid://shopify/Order/{order.id}",
        f"gid://shopify/LineItem/{order.id_of_line(0)}",
        f"gid://shopify/Fulfillment/{order.shipments[0].id}",
        f"gid://shopify/Refund/{next(iter(shop.refunds))}",
        f"gid://shopify/Customer/{next(iter(shop.customers))}",
        f"gid://shopify/AbandonedCheckout/{next(iter(shop.carts))}",
        "gid://shopify/Order/1", "gid://shopify/Metaobject/1",
    ]  # fmt: skip
    query = """query($ids: [ID!]!) { nodes(ids: $ids) { __typename id ... on Order { name }
      ... on Customer { displayName } ...Refunded } }
      fragment Refunded on Refund { totalRefundedSet { shopMoney { amount } } }"""
    called = caller(shop)
    nodes = called.data(query, ids=ids)["nodes"]
    assert [node and node["id"] for node in nodes] == [*ids[:6], None, None]
    assert [node["__typename"] for node in nodes[:6]] == [one.split("/")[3] for one in ids[:6]]
    check = AnswerCheck(shopify_admin_schema(), parse(query))
    assert check.problems({"nodes": nodes}) == []


def test_mutations_answer_with_values_of_their_type(shop: ShopState) -> None:
    """Bulk operations and subscriptions, with every field of their payloads."""
    called = caller(shop, habits=BulkHabits(polls=1))
    bulk = "id status type errorCode createdAt completedAt objectCount rootObjectCount fileSize"
    for query in (
        f"""mutation {{ bulkOperationRunQuery(query: "{{ orders {{ edges {{ node {{ id }} }} }} }}",
          groupObjects: false) {{ bulkOperation {{ {bulk} url partialDataUrl query }}
          userErrors {{ field message code }} }} }}""",
        f"{{ currentBulkOperation {{ {bulk} url partialDataUrl query }} }}",
        f"{{ bulkOperations(first: 5) {{ nodes {{ {bulk} }} }} }}",
        """mutation { webhookSubscriptionCreate(topic: ORDERS_UPDATED, webhookSubscription:
          {uri: "https://hooks.example.com/one"}) { userErrors { field message }
          webhookSubscription { id legacyResourceId topic uri callbackUrl format filter name
            includeFields createdAt updatedAt apiVersion { handle displayName supported } } } }""",
        """{ webhookSubscriptions(first: 5) { edges { cursor node { id topic uri } }
          pageInfo { hasNextPage } } }""",
    ):
        assert _asked_whole(called, query) > 5
