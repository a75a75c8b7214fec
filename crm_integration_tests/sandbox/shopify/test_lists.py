"""Pages, cursors, counts and the search syntax, over a shop that is edited while it is read."""

from __future__ import annotations

from typing import Any

import pytest

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.search import Searchable, read_search
from crm_integration_tests.sandbox.shopify.shops import Caller, caller, generated_shop

_PAGE = """query($after: String, $first: Int = 25) {{ {root}(first: $first, after: $after{more}) {{
  pageInfo {{ hasNextPage hasPreviousPage startCursor endCursor }}
  edges {{ cursor node {{ id }} }} }} }}"""


@pytest.fixture
def shop() -> ShopState:
    return generated_shop(200)


def _ids(called: Caller, root: str, more: str = "") -> list[str]:
    query = _PAGE.format(root=root, more=more)
    return [edge["node"]["id"] for page in called.pages(query, root) for edge in page["edges"]]


@pytest.mark.parametrize(
    "more",
    ["", ", reverse: true", ", sortKey: CREATED_AT", ", sortKey: UPDATED_AT",
     ", sortKey: ID, reverse: true"],
)  # fmt: skip
def test_pages_give_every_order_once(shop: ShopState, more: str) -> None:
    """By every order of the list, in both directions."""
    ids = _ids(caller(shop), "orders", more)
    assert len(ids) == len(set(ids)) == len(shop.orders)


def test_reverse_turns_the_list_round(shop: ShopState) -> None:
    """Ties on one second are turned by their id too."""
    called = caller(shop)
    up, down = (_ids(called, "orders", f", sortKey: UPDATED_AT{more}")
                for more in ("", ", reverse: true"))  # fmt: skip
    assert up == down[::-1]


@pytest.mark.parametrize("root", ["customers", "products", "productVariants"])
def test_the_other_lists_give_everything_once(shop: ShopState, root: str) -> None:
    """Pages of 25 over more than 25."""
    ids = _ids(caller(shop), root)
    held = shop.customers if root == "customers" else shop.products
    assert len(ids) == len(set(ids)) == len(held) > 25


def test_pages_can_be_read_backwards(shop: ShopState) -> None:
    """last and before give the page in front of a cursor, in the list's order."""
    called = caller(shop)
    forwards = called.data("{ orders(first: 20) { edges { cursor node { id } } } }")["orders"][
        "edges"
    ]
    query = """query($before: String) { orders(last: 5, before: $before) {
      pageInfo { hasNextPage hasPreviousPage } nodes { id } } }"""
    page = called.data(query, before=forwards[12]["cursor"])["orders"]
    assert [node["id"] for node in page["nodes"]] == [one["node"]["id"] for one in forwards[7:12]]
    assert page["pageInfo"] == {"hasNextPage": True, "hasPreviousPage": True}


def test_an_order_edited_in_mid_scan_moves_to_the_end_and_no_other_is_lost(shop: ShopState) -> None:
    """By update time the reader meets it twice; page numbers would have lost its neighbour."""
    called = caller(shop)
    query = _PAGE.format(root="orders", more=", sortKey: UPDATED_AT")
    seen: list[str] = []
    edited = ""
    for page in called.pages(query, "orders"):
        seen += [edge["node"]["id"] for edge in page["edges"]]
        if not edited:
            edited = seen[3]
            shop_edits.edit_order(shop, shop.orders[int(edited.rsplit("/", 1)[1])], {})
    assert len(set(seen)) == len(shop.orders)
    assert [one for one in seen if seen.count(one) > 1] == [edited, edited]
    assert seen[-1] == edited


def test_an_order_deleted_at_the_cursor_does_not_shift_the_rest(shop: ShopState) -> None:
    """The cursor names a value and an id, which need not be there any more."""
    called = caller(shop)
    expected = _ids(called, "orders", ", sortKey: ID")
    query = _PAGE.format(root="orders", more=", sortKey: ID")
    seen: list[str] = []
    for page in called.pages(query, "orders"):
        seen += [edge["node"]["id"] for edge in page["edges"]]
        last = shop.orders.get(int(seen[-1].rsplit("/", 1)[1]))
        if last is not None:
            shop.delete_order(last)
    assert seen == expected


def test_lines_come_in_pages_of_their_own(shop: ShopState) -> None:
    """Orders of more than 250 lines exist: the inner connection must be read to its end."""
    order = max(shop.orders.values(), key=lambda one: len(one.lines))
    query = """query($id: ID!, $after: String) { order(id: $id) { lineItems(first: 2, after: $after)
      { pageInfo { hasNextPage endCursor } nodes { id } } } }"""
    called, after, seen = caller(shop), None, list[str]()
    while True:
        lines = called.data(query, id=f"gid://shopify/Order/{order.id}", after=after)["order"][
            "lineItems"
        ]
        seen += [node["id"] for node in lines["nodes"]]
        after = lines["pageInfo"]["endCursor"]
        if not lines["pageInfo"]["hasNextPage"]:
            break
    assert seen == [f"gid://shopify/LineItem/{order.id_of_line(n)}"
                    for n in range(len(order.lines))]  # fmt: skip


def test_a_count_is_exact_below_its_limit_and_at_least_beyond(shop: ShopState) -> None:
    """A count at its limit says nothing of the rest; completeness must not believe it."""
    count = caller(shop).data(
        "{ one: ordersCount(limit: 50) { count precision } two: ordersCount { count precision }"
        " three: ordersCount(limit: null) { count precision } }"
    )
    held = len(shop.orders)
    assert count["one"] == {"count": 50, "precision": "AT_LEAST"}
    assert count["two"] == count["three"] == {"count": held, "precision": "EXACT"}


def test_a_window_by_update_time_holds_exactly_the_orders_of_that_window(shop: ShopState) -> None:
    """Both ends, in quotes and without, with another sort than the one searched by."""
    called = caller(shop)
    times = sorted(one.modified for one in shop.orders.values())
    low, high = _text(times[40]), _text(times[120])
    query = """query($q: String!, $n: Int = 250) { orders(first: $n, sortKey: %s, query: $q)
      { nodes { id updatedAt } } }"""
    for sort in ("UPDATED_AT", "CREATED_AT", "ID"):
        found = [
            {one["id"] for one in called.data(query % sort, q=text)["orders"]["nodes"]}
            for text in (
                f"updated_at:>='{low}' AND updated_at:<'{high}'",
                f'updated_at:>="{low}" updated_at:<"{high}"',
                f"updated_at:>={low} updated_at:<{high}",
            )
        ]
        everything = called.data(query % sort, q="")["orders"]["nodes"]
        wanted = {one["id"] for one in everything if low <= one["updatedAt"] < high}
        assert found == [wanted] * 3
        assert len(wanted) > 50


def _text(epoch: int) -> str:
    from crm_integration.sandbox.shopify.values import moment

    return moment(epoch)


def test_a_field_that_cannot_be_searched_by_is_ignored_and_told(shop: ShopState) -> None:
    """The list is then wider than meant: only extensions.search says so."""
    answer = caller(shop).answer(
        '{ orders(first: 250, query: "modified:>2020-01-01") { nodes { id } } }'
    )
    assert len(answer["data"]["orders"]["nodes"]) == len(shop.orders)
    assert answer["extensions"]["search"][0]["warnings"] == [
        {"field": "modified", "message": "Invalid search field for this query."}
    ]


_FIELDS = {
    "at": Searchable("time", lambda one: one["at"]),
    "day": Searchable("day", lambda one: one["at"]),
    "id": Searchable("id", lambda one: one["id"]),
    "tag": Searchable("text", lambda one: one["tag"]),
}


@pytest.mark.parametrize(
    ("query", "hits"),
    [
        ("id:1", [1]), ("id:1,3", [1, 3]), ("id:>1", [2, 3]), ("id:<=2", [1, 2]),
        ("id:gid://shopify/Order/2", [2]), ("NOT id:2", [1, 3]), ("-id:2", [1, 3]),
        ("tag:blue", [1, 2]), ("tag:BLUE", [1, 2]), ("tag:b*", [1, 2]), ('tag:"dark red"', [3]),
        ("tag:blue AND id:2", [2]), ("tag:blue id:2", [2]), ("tag:blue OR id:3", [1, 2, 3]),
        ("(tag:blue OR id:3) AND -id:1", [2, 3]), ("id:1 OR id:2 AND tag:red", [1]),
        ("at:1970-01-02", [2]), ("at:>1970-01-02", [3]), ("at:<1970-01-02", [1]),
        ("at:<='1970-01-02T00:00:00Z'", [1, 2]), ("at:>'1970-01-01T23:59:59+00:00'", [2, 3]),
        ("at: >= 1970-01-03", [3]), ("", [1, 2, 3]), ("at:<=1970", [1, 2, 3]), ("at:>1970", []),
        ("day:>='1970-01-02T13:00:00Z'", [2, 3]), ("day:<'1970-01-02T13:00:00Z'", [1]),
    ],
)  # fmt: skip
def test_the_search_syntax_means_what_shopifys_means(query: str, hits: list[int]) -> None:
    """Each operator, connective, quote and list once."""
    things: list[dict[str, Any]] = [
        {"id": 1, "at": 0, "tag": ["blue"]},
        {"id": 2, "at": 86_400, "tag": ["blue", "sea"]},
        {"id": 3, "at": 2 * 86_400, "tag": ["dark red"]},
    ]
    search = read_search(query, _FIELDS)
    assert search.warnings == []
    assert [one["id"] for one in things if search.test is None or search.test(one)] == hits


def test_a_bare_date_is_a_day_of_the_shop(shop: ShopState) -> None:
    """Five hours behind UTC a day begins at five in the morning."""
    search = read_search("at:>=1970-01-02", _FIELDS, -300)
    assert search.bounds["at"][0] == 86_400 + 5 * 3_600
