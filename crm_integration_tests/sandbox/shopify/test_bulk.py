"""Bulk operations: their states, their files, and how they go wrong."""

from __future__ import annotations

import time
from collections import Counter
from typing import Any

import orjson
import pytest

from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.app import ALL_SCOPES
from crm_integration.sandbox.shopify.bulk import BulkHabits
from crm_integration_tests.sandbox.shopify.shops import Caller, caller, generated_shop

_RUN = """mutation($query: String!, $group: Boolean!) { bulkOperationRunQuery(query: $query,
  groupObjects: $group) { bulkOperation { id status } userErrors { field message code } } }"""
_LOOK = """query($id: ID!) { bulkOperation(id: $id) { status errorCode objectCount rootObjectCount
  fileSize url partialDataUrl completedAt } }"""
_ORDERS = """{ orders { edges { node { id name refunds { id } lineItems { edges { node { id
  quantity } } } } } } }"""


@pytest.fixture(scope="module")
def shop() -> ShopState:
    return generated_shop(200)


def _begin(called: Caller, query: str = _ORDERS, *, group: bool = False) -> dict[str, Any]:
    return called.data(_RUN, query=query, group=group)["bulkOperationRunQuery"]


def _ended(called: Caller, key: str) -> dict[str, Any]:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        run = called.data(_LOOK, id=key)["bulkOperation"]
        if run["status"] not in {"CREATED", "RUNNING"}:
            return run
    raise AssertionError("the operation did not end")


def _lines(called: Caller, url: str) -> list[dict[str, Any]]:
    answer = called.http.get(url, headers={"X-Shopify-Access-Token": ""})
    assert answer.status_code == 200
    return [orjson.loads(line) for line in answer.content.splitlines()]


def test_an_operation_is_created_runs_and_ends_with_a_file(shop: ShopState) -> None:
    """Every order and every line once, children with their parent's id."""
    called = caller(shop, habits=BulkHabits(polls=3))
    begun = _begin(called)
    assert (begun["bulkOperation"]["status"], begun["userErrors"]) == ("CREATED", [])
    key = begun["bulkOperation"]["id"]
    looks = [called.data(_LOOK, id=key)["bulkOperation"]["status"] for _ in range(2)]
    assert looks == ["RUNNING", "RUNNING"]
    run = _ended(called, key)
    assert (run["status"], run["errorCode"], run["partialDataUrl"]) == ("COMPLETED", None, None)
    lines = _lines(called, run["url"])
    kinds = Counter(line["id"].split("/")[3] for line in lines)
    assert kinds == {"Order": len(shop.orders),
                     "LineItem": sum(len(one.lines) for one in shop.orders.values())}  # fmt: skip
    assert int(run["objectCount"]) == len(lines)
    assert int(run["rootObjectCount"]) == len(shop.orders)
    roots = {line["id"] for line in lines if "__parentId" not in line}
    assert all(line["__parentId"] in roots for line in lines if "/LineItem/" in line["id"])


@pytest.mark.parametrize("group", [False, True])
def test_children_follow_their_parent_only_where_that_was_asked_for(
    shop: ShopState, group: bool
) -> None:
    """Since 2025-07 grouping is off unless asked for: a parent may come after its children."""
    called = caller(shop, habits=BulkHabits(polls=1))
    run = _ended(called, _begin(called, group=group)["bulkOperation"]["id"])
    seen: set[str] = set()
    after: list[bool] = []
    for line in _lines(called, run["url"]):
        seen.add(line["id"])
        if "__parentId" in line:
            after.append(line["__parentId"] in seen)
    assert set(after) == {group}


def test_an_empty_result_has_no_file(shop: ShopState) -> None:
    """url is null and not an error: a cursor may not be moved past what was never asked."""
    called = caller(shop, habits=BulkHabits(polls=1))
    query = '{ orders(query: "id:1") { edges { node { id } } } }'
    run = _ended(called, _begin(called, query)["bulkOperation"]["id"])
    assert (run["status"], run["url"], run["objectCount"]) == ("COMPLETED", None, "0")


def test_only_one_operation_runs_at_a_time(shop: ShopState) -> None:
    """The second is refused and names the first."""
    called = caller(shop, habits=BulkHabits(polls=5))
    key = _begin(called)["bulkOperation"]["id"]
    second = _begin(called)
    assert second["bulkOperation"] is None
    assert second["userErrors"] == [{
        "field": None, "code": "OPERATION_IN_PROGRESS",
        "message": f"A bulk query operation for this app and shop is already in progress: {key}.",
    }]  # fmt: skip
    assert called.data("{ currentBulkOperation { id } }")["currentBulkOperation"]["id"] == key
    _ended(called, key)
    assert _begin(called)["bulkOperation"] is not None


def test_a_file_can_hold_fewer_lines_than_objects_were_counted(shop: ShopState) -> None:
    """A file that was cut is still a 200: only the count tells."""
    called = caller(shop, habits=BulkHabits(polls=1, drop_lines=3))
    run = _ended(called, _begin(called)["bulkOperation"]["id"])
    assert len(_lines(called, run["url"])) == int(run["objectCount"]) - 3


@pytest.mark.parametrize("code", ["TIMEOUT", "INTERNAL_SERVER_ERROR"])
def test_a_failed_operation_tells_why_and_has_a_part(shop: ShopState, code: Any) -> None:
    """What is there of it has an address of its own, so that nobody takes it for the whole."""
    called = caller(shop, habits=BulkHabits(polls=1, fail_with=code))
    run = _ended(called, _begin(called)["bulkOperation"]["id"])
    assert (run["status"], run["errorCode"], run["url"]) == ("FAILED", code, None)
    lines = _lines(called, run["partialDataUrl"])
    roots = [line for line in lines if "/Order/" in line["id"]]
    assert len(roots) == len(shop.orders) // 2


def test_a_missing_scope_fails_the_operation(shop: ShopState) -> None:
    """Unlike an ordinary query it is begun, and fails."""
    called = caller(
        shop, habits=BulkHabits(polls=1), scopes=ALL_SCOPES - {"read_products"}
    )  # fmt: skip
    query = "{ products { edges { node { id } } } }"
    run = _ended(called, _begin(called, query)["bulkOperation"]["id"])
    assert (run["status"], run["errorCode"], run["partialDataUrl"]) == (
        "FAILED", "ACCESS_DENIED", None,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("{ shop { name } }", "at least one connection"),
        ("{ orders { edges { node { total } } } }", "doesn't exist on type 'Order'"),
        ("{ orders { edges { node { id", "Syntax Error"),
        ("{ orders { edges { node { name lineItems { edges { node { id } } } } } } }",
         "must select the 'id' field"),
        ("{ orders { edges { node { id refunds { refundLineItems { nodes { id } } } } } } }",
         "connection field within a list field"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_in_bulk_is_refused_before_it_begins(
    shop: ShopState, query: str, told: str
) -> None:
    """Each of these restrictions has cost somebody an afternoon."""
    payload = _begin(caller(shop), query)
    assert payload["bulkOperation"] is None
    assert told in payload["userErrors"][0]["message"]
    assert payload["userErrors"][0]["code"] == "INVALID"


def test_a_cancelled_operation_serves_no_file(shop: ShopState) -> None:
    """Whoever polls on sees CANCELED."""
    called = caller(shop, habits=BulkHabits(polls=9))
    key = _begin(called)["bulkOperation"]["id"]
    cancel = "mutation($id: ID!) { bulkOperationCancel(id: $id) { bulkOperation { status } } }"
    payload = called.data(cancel, id=key)["bulkOperationCancel"]
    assert payload["bulkOperation"]["status"] == "CANCELED"
    assert _ended(called, key)["url"] is None
