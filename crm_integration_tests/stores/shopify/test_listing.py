"""Pages and direct reads: nothing missed, everything whole, each byte as it came."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
import stamina

from crm_integration.errors import BadInput, Permanent, Transient
from crm_integration.stores._contract import Gone, SourceObject, Window
from crm_integration.stores.shopify import extract
from crm_integration_tests.stores.shopify.answers import (
    Json,
    always,
    as_node,
    bucket,
    canonical,
    connection,
    line,
    order,
    parcel,
    refused,
    reply,
    shop,
)

DAY = Window(date(2026, 3, 1), date(2026, 3, 2))


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


class LongOrder:
    """A shop with one order of many lines, which can be edited between two pages."""

    def __init__(self, lines: int, edits: int = 0) -> None:
        self.rows = [line(number) for number in range(1, lines + 1)]
        self.edits, self.version = edits, 0

    def node(self, first: int) -> Json:
        return order(1, updatedAt=self._time(), lineItems=self._page(0, first))

    def __call__(self, name: str, given: Json) -> Any:
        if name == "ListOrders":
            return {"orders": connection([self.node(given["nested"])])}
        if name == "ReadOrder":
            return {"nodes": [self.node(10)]}
        assert name == "MoreLineItemsOfOrder"
        if self.edits:
            self.edits, self.version = self.edits - 1, self.version + 1
        page = self._page(int(given["after"]), given["first"])
        return {"node": {"id": given["id"], "updatedAt": self._time(), "lineItems": page}}

    def _time(self) -> str:
        return f"2026-03-01T12:00:{self.version:02}Z"

    def _page(self, start: int, first: int) -> Json:
        end = start + first
        return connection(self.rows[start:end], str(end) if end < len(self.rows) else None)


def listed(client: Any, name: str = "order", resume: str | None = None) -> list[SourceObject]:
    return [found for page in extract.pages(client, name, DAY, resume) for found in page.objects]


def test_an_order_of_2600_lines_is_whole() -> None:
    """The first page of the nested connection looked like the whole order."""
    with shop(LongOrder(2600)) as (client, asked):
        (found,) = listed(client)
    assert found.shape == "pieces"
    (made,) = canonical("order", as_node("order", found.payload, found.shape))
    assert len(made.lines) == 2600
    assert [row.position for row in made.lines] == list(range(2600))
    assert made.lines[2599].sku == "SKU-2600"
    assert len(asked) == 1 + 37


def test_a_short_order_is_its_own_bytes_and_nothing_else() -> None:
    """Key order, number forms and escapes are the store's, to the byte."""
    raw = (
        '{"data": {"orders": {"nodes": [ {"id":"gid://shopify/Order/1" , "odd":1.50,'
        '"name":"#\\u00e9", "lineItems":{"nodes":[],"pageInfo":{"hasNextPage":false}}} ,\n'
        ' {"id":"gid://shopify/Order/2"}],"pageInfo":{"hasNextPage":false}}}}'
    )
    with shop(always(httpx.Response(200, text=raw))) as (client, _):
        one, two = listed(client)
    assert one.payload == (
        b'{"id":"gid://shopify/Order/1" , "odd":1.50,'
        b'"name":"#\\u00e9", "lineItems":{"nodes":[],"pageInfo":{"hasNextPage":false}}}'
    )
    assert (one.shape, two.payload) == ("", b'{"id":"gid://shopify/Order/2"}')
    assert one.source_time is None


def test_an_order_edited_between_its_pages_is_read_again_from_its_start() -> None:
    """Lines of two versions in one record: a sale that never was."""
    with shop(LongOrder(100, edits=1)) as (client, asked):
        (found,) = listed(client)
    node = as_node("order", found.payload, found.shape)
    assert node["updatedAt"] == "2026-03-01T12:00:01Z"
    assert len(node["lineItems"]["nodes"]) == 100
    assert [one["name"] for one in asked][2] == "ReadOrder"


def test_an_order_that_never_stands_still_is_left_for_later() -> None:
    """Rather than kept as a mixture."""
    with shop(LongOrder(100, edits=99)) as (client, _), pytest.raises(Transient, match="order 1 "):
        listed(client)


def test_the_pages_of_a_listing_follow_its_cursors_and_can_be_gone_on_with() -> None:
    """The checkpoint behind a page leads to the next one, in another process, too."""

    def script(name: str, given: Json) -> Any:
        number = int(given["after"] or 0) + 1
        return {"orders": connection([order(number)], str(number) if number < 4 else None)}

    with shop(script) as (client, asked):
        pages = list(extract.pages(client, "order", DAY, None))
        again = [found.source_id for found in listed(client, resume=pages[1].checkpoint)]
        assert listed(client, resume=pages[-1].checkpoint) == []
    assert [found.source_id for page in pages for found in page.objects] == ["1", "2", "3", "4"]
    assert again == ["3", "4"]
    assert asked[0]["query"] == (
        "updated_at:>='2026-03-01T00:00:00Z' updated_at:<'2026-03-02T00:00:00Z'"
    )


def test_customers_are_asked_for_a_day_more_at_both_ends() -> None:
    """Their filter matches whole days, and the shop's day is not ours."""
    with shop(always({"customers": connection([])})) as (client, asked):
        assert listed(client, "customer") == []
    assert asked[0]["query"] == (
        "updated_at:>='2026-02-28T00:00:00Z' updated_at:<'2026-03-03T00:00:00Z'"
    )


def test_products_of_every_status_are_asked_for() -> None:
    """The filter's documented default is active ones: an archived product stayed active with us."""
    with shop(always({"products": connection([])})) as (client, asked):
        listed(client, "product")
    assert asked[0]["query"].endswith("status:active,archived,draft,unlisted")


def test_carts_of_an_open_window_are_listed_a_second_time() -> None:
    """They cannot be sorted by change: one edited behind the cursor would be missed."""
    near = Window(date(2998, 12, 31), date(2999, 1, 1))
    with shop(always({"abandonedCheckouts": connection([])})) as (client, asked):
        list(extract.pages(client, "cart", near, None))
        assert len(asked) == 2
        assert asked[1]["query"].count("updated_at:>=") == 2
        list(extract.pages(client, "cart", DAY, None))
    assert len(asked) == 3


def test_a_page_that_is_too_dear_is_asked_for_in_halves() -> None:
    """Shopify's prices are its own; it refuses before it runs."""

    def script(name: str, given: Json) -> Any:
        if given["first"] > 2:
            return refused("MAX_COST_EXCEEDED")
        return {"orders": connection([order(1)])}

    with shop(script) as (client, asked):
        assert len(listed(client)) == 1
    assert [one["first"] for one in asked] == [6, 3, 1]


def test_a_shop_that_charges_little_is_asked_for_longer_pages() -> None:
    """Our costs are upper bounds; by them a day of a busy shop takes ten times the calls."""

    def script(name: str, given: Json) -> Any:
        place = int(given["after"] or 0) + 1
        more = str(place) if place < 4 else None
        cost = 10 * given["first"]
        return reply({"orders": connection([], more)}, extensions=bucket(1000, requested=cost))

    with shop(script) as (client, asked):
        assert listed(client) == []
    assert [(one["first"], one["nested"]) for one in asked] == [
        (6, 10), (6, 100), (80, 100), (80, 100),
    ]  # fmt: skip


def test_pages_that_do_not_advance_are_an_error_and_no_endless_loop() -> None:
    """A proxy that answers from a cache."""
    with (
        shop(always({"orders": connection([order(1)], "same")})) as (client, _),
        pytest.raises(Permanent, match="advance"),
    ):
        listed(client)


def test_elements_that_are_no_objects_are_kept_with_a_reason() -> None:
    """One strange node must not stop the page."""
    nodes = [order(1), {"name": "no id"}, None, {"id": "gid://shopify/Order/abc"}]
    with shop(always({"orders": connection(nodes)})) as (client, _):
        (page,) = extract.pages(client, "order", DAY, None)
    assert [found.source_id for found in page.objects] == ["1"]
    assert [odd.reason for odd in page.unreadable] == ["no_id", "not_an_object", "no_id"]
    assert json.loads(page.unreadable[0].payload) == {"name": "no id"}


def test_a_partial_parcels_lines_are_read_and_a_full_ones_are_not() -> None:
    """Two of five items left: which ones cannot be known without asking."""
    rows = [line(1, quantity=2), line(2, quantity=3)]
    parcels = [parcel(31, 2), parcel(32, 3), parcel(33, 5), parcel(34, 2, status="CANCELLED")]

    def script(name: str, given: Json) -> Any:
        if name == "ListOrders":
            return {"orders": connection([order(1, *rows, fulfillments=parcels)])}
        if name == "MoreParcelLines":
            page = connection([{"quantity": 1, "lineItem": {"id": "gid://shopify/LineItem/2"}}])
            return {"node": {"id": given["id"], "fulfillmentLineItems": page}}
        assert name == "ParcelLines"
        held = [{"quantity": 2, "lineItem": {"id": "gid://shopify/LineItem/2", "sku": "SKU-2"}}]
        after = {gid: "x" if gid.endswith("32") else None for gid in given["ids"]}
        return {"nodes": [{"id": gid, "fulfillmentLineItems": connection(held, after[gid])}
                          for gid in given["ids"]]}  # fmt: skip

    with shop(script) as (client, asked):
        (found,) = listed(client)
    assert asked[1]["ids"] == [f"gid://shopify/Fulfillment/{n}" for n in (31, 32)]
    made = canonical("order", as_node("order", found.payload, found.shape))[1:]
    held = [[(row.line_source_id, row.quantity) for row in parcel.lines] for parcel in made]
    assert held == [[("2", 2)], [("2", 2), ("2", 1)], [("1", 2), ("2", 3)], []]


def test_direct_reads_answer_each_id_once_and_say_what_is_gone() -> None:
    """null is a deletion; what is no id at all was never there."""
    there = {"1", "3"}

    def script(name: str, given: Json) -> Any:
        ids = [gid.rpartition("/")[2] for gid in given["ids"]]
        return {"nodes": [order(int(one)) if one in there else None for one in ids]}

    wanted = ["3", "2", "1", "nonsense", "2"]
    with shop(script) as (client, asked):
        found = list(extract.fetch(client, "order", wanted))
    assert [(type(one), one.source_id) for one in found] == [
        (SourceObject, "3"), (Gone, "2"), (SourceObject, "1"), (Gone, "nonsense"),
    ]  # fmt: skip
    assert len(asked) == 1


def test_direct_reads_come_in_batches_that_fit_into_one_query() -> None:
    """And in halves where the shop finds a batch too dear all the same."""

    def script(name: str, given: Json) -> Any:
        if len(given["ids"]) > 3:
            return refused("MAX_COST_EXCEEDED")
        return {"nodes": [order(int(gid.rpartition("/")[2])) for gid in given["ids"]]}

    with shop(script) as (client, asked):
        found = list(extract.fetch(client, "order", [str(n) for n in range(1, 9)]))
    assert [one.source_id for one in found] == [str(n) for n in range(1, 9)]
    assert [len(one["ids"]) for one in asked] == [6, 3, 3, 2]


def test_an_answer_about_other_objects_is_no_deletion() -> None:
    """A proxy's mistake must not delete a customer."""
    for nodes in ([order(9)], [order(1), order(2)], [{"name": "no id"}]):
        answer = {"nodes": nodes}
        with shop(always(answer)) as (client, _), pytest.raises(Permanent):
            list(extract.fetch(client, "order", ["1"]))


def test_unknown_types_and_checkpoints_of_another_making_are_refused() -> None:
    """With what to do, and before anything is asked."""
    with shop(always({})) as (client, asked):
        with pytest.raises(BadInput, match="manifest"):
            list(extract.pages(client, "coupon", DAY, None))
        for text in ("nonsense", "[]", '{"page": 3}'):
            with pytest.raises(BadInput, match="anew"):
                list(extract.pages(client, "order", DAY, text))
        assert asked == []
