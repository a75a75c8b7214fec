"""Bulk listings: waited for, counted, put together, gone on with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import httpx
import pytest
import respx
import stamina

from crm_integration.errors import MissingScope, Permanent, Transient
from crm_integration.stores._contract import Page, SourceObject, Window
from crm_integration.stores.shopify import bulk, extract
from crm_integration.stores.shopify.client import lines as lines_at
from crm_integration_tests.stores.shopify.answers import (
    FILE,
    Json,
    always,
    as_node,
    canonical,
    connection,
    line,
    order,
    parcel,
    refund,
    shop,
)

YEAR = Window(date(2026, 1, 1), date(2027, 1, 1))
GID = "gid://shopify/BulkOperation/77"


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    with stamina.set_testing(True, attempts=4):
        yield


def lines_of(*orders: Json) -> list[Json]:
    """An order as bulk writes it: its own line, then its lines' with their parent's id."""
    found: list[Json] = []
    for one in orders:
        children = one["lineItems"]["nodes"]
        found.append({key: value for key, value in one.items() if key != "lineItems"})
        found += [{**child, "__parentId": one["id"]} for child in children]
    return found


def file_of(lines: list[Json]) -> bytes:
    return b"".join(json.dumps(one).encode() + b"\n" for one in lines)


def state(**changes: Any) -> Json:
    made = {"id": GID, "status": "COMPLETED", "errorCode": None, "url": FILE}
    return {"bulkOperation": {**made, "objectCount": "0", "rootObjectCount": "0", **changes}}


class Bulk:
    """A shop that runs one operation; `states` are told in turn, the last one for ever."""

    def __init__(self, *states: Json, starts: list[list[Json]] | None = None) -> None:
        self.states = list(states)
        self.starts = starts or []

    def __call__(self, name: str, given: Json) -> Any:
        if name == "BulkRun":
            errors = self.starts.pop(0) if self.starts else []
            made = None if errors else {"id": GID, "status": "CREATED"}
            return {"bulkOperationRunQuery": {"bulkOperation": made, "userErrors": errors}}
        assert name == "BulkState"
        return self.states.pop(0) if len(self.states) > 1 else self.states[0]


def counted(lines: list[Json]) -> Json:
    roots = sum("__parentId" not in one for one in lines)
    return state(objectCount=str(len(lines)), rootObjectCount=str(roots))


def run(lines: list[Json], told: Json | None = None) -> list[Page]:
    with shop(Bulk(told or counted(lines)), file_of(lines)) as (client, _):
        return list(extract.pages(client, "order", YEAR, None))


def objects(pages: list[Page]) -> list[SourceObject]:
    return [found for page in pages for found in page.objects]


def test_a_bulk_file_and_a_page_derive_to_the_same_records() -> None:
    """A backfilled order must not differ from the same order read directly."""
    whole = order(
        1, line(1), line(2, quantity=3), customer=None,
        refunds=[refund(9, "2.00")], fulfillments=[parcel(3, 5)],
    )  # fmt: skip
    with shop(always({"orders": connection([whole])})) as (client, _):
        day = Window(date(2026, 3, 1), date(2026, 3, 2))
        ((by_page,),) = [page.objects for page in extract.pages(client, "order", day, None)]
    (by_bulk,) = objects(run(lines_of(whole)))
    assert (by_page.shape, by_bulk.shape) == ("", "bulk")
    assert by_page.source_time == by_bulk.source_time is not None
    nodes = [as_node("order", one.payload, one.shape) for one in (by_page, by_bulk)]
    assert canonical("order", nodes[0]) == canonical("order", nodes[1])
    assert len(canonical("order", nodes[0])) == 4


def test_the_lines_are_kept_verbatim() -> None:
    """To the byte, in an envelope: spaces, number forms, a raw U+2028 within a text."""
    head = '{"id":"gid://shopify/Order/1",  "note":"a\u2028b\x85", "n":1.50}'
    child = '{"id":"gid://shopify/LineItem/2","__parentId":"gid://shopify/Order/1"}'
    file = f"{head}\n{child}\n".encode()
    with shop(Bulk(state(objectCount="2", rootObjectCount="1")), file) as (client, _):
        (found,) = objects(list(extract.pages(client, "order", None, None)))
    assert found.payload == f'{{"lines":[{head},{child}]}}'.encode()


@pytest.mark.parametrize("disorder", ["parents last", "mixed", "reversed"])
def test_lines_that_lie_apart_or_before_their_parent_belong_to_it(disorder: str) -> None:
    """The order of lines is no promise; lines of one order stay in their own order."""
    lines = lines_of(*(order(n, line(10 * n), line(10 * n + 1)) for n in (1, 2, 3)))
    roots = [one for one in lines if "__parentId" not in one]
    children = [one for one in lines if "__parentId" in one]
    mixed = {
        "parents last": children + roots,
        "mixed": [*children[::2], *roots, *children[1::2]],
        "reversed": list(reversed(roots)) + children,
    }[disorder]
    found = {one.source_id: one for one in objects(run(mixed))}
    assert sorted(found) == ["1", "2", "3"]
    node = as_node("order", found["2"].payload, found["2"].shape)
    assert [row["sku"] for row in node["lineItems"]["nodes"]] == ["SKU-20", "SKU-21"]


@pytest.mark.parametrize(
    ("told", "words"),
    [
        ({"objectCount": "5", "rootObjectCount": "2"}, "4 lines arrived, .* counted 5"),
        ({"objectCount": "4", "rootObjectCount": "3"}, "2 objects arrived, .* counted 3"),
        ({"objectCount": "0", "rootObjectCount": "0"}, "4 lines arrived, .* counted 0"),
    ],
)
def test_a_file_that_is_not_what_was_counted_hands_nothing_on(told: Json, words: str) -> None:
    """A download that broke off looked like a small shop."""
    lines = lines_of(order(1), order(2))
    seen: list[Page] = []
    script = Bulk(state(**told))
    with shop(script, file_of(lines)) as (client, _), pytest.raises(Transient, match=words):
        seen.extend(extract.pages(client, "order", YEAR, None))
    assert objects(seen) == []


def test_a_line_without_its_parent_or_without_sense_hands_nothing_on() -> None:
    """An order's lines without the order are lost where nobody counts them."""
    lines = lines_of(order(1))
    orphan = {**lines[1], "__parentId": "gid://shopify/Order/99"}
    with pytest.raises(Transient, match="1 parents"):
        run([*lines, orphan])
    broken = file_of(lines) + b'{"id": "gid://sho'
    told = state(objectCount="3", rootObjectCount="1")
    with shop(Bulk(told), broken) as (client, _), pytest.raises(Transient, match="line 3"):
        list(extract.pages(client, "order", YEAR, None))


def test_an_empty_result_has_no_file_and_is_an_empty_listing() -> None:
    """`url` is null; but a count without a file is a failure."""
    with shop(Bulk(state(url=None))) as (client, _):
        pages = list(extract.pages(client, "order", None, None))
        assert objects(pages) == []
        assert pages[-1].listed == 0
        assert list(extract.pages(client, "order", None, pages[-1].checkpoint)) == []
    script = Bulk(state(url=None, objectCount="3"))
    with shop(script) as (client, _), pytest.raises(Transient, match="no file"):
        list(extract.pages(client, "order", None, None))


def test_an_operation_is_waited_for_until_it_is_completed() -> None:
    """RUNNING says nothing about the file, even where it counts already."""
    lines = lines_of(order(1))
    waiting = (state(status="CREATED", url=None), state(status="RUNNING", url=None))
    with shop(Bulk(*waiting, counted(lines)), file_of(lines)) as (client, asked):
        found = objects(list(extract.pages(client, "order", YEAR, None)))
    assert len(found) == 1
    assert [one["name"] for one in asked] == ["BulkRun", "BulkState", "BulkState", "BulkState"]
    assert "updated_at:>='2026-01-01T00:00:00Z'" in asked[0]["query"]


def test_a_long_operation_is_left_running_and_gone_on_with_by_the_next_run() -> None:
    """The first page is empty and names it, so that the next process starts no second one."""
    lines = lines_of(order(1))
    running = Bulk(state(status="RUNNING", url=None))
    with shop(running) as (client, asked):
        listing = extract.pages(client, "order", YEAR, None)
        first = next(listing)
        with pytest.raises(Transient) as caught:
            next(listing)
        assert caught.value.retry_after == 60.0
    with shop(Bulk(counted(lines)), file_of(lines)) as (client, asked):
        found = objects(list(extract.pages(client, "order", YEAR, first.checkpoint)))
    assert len(found) == 1
    assert "BulkRun" not in [one["name"] for one in asked]


def test_a_killed_backfill_goes_on_behind_its_last_page(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same file, and no object twice."""
    monkeypatch.setattr(bulk, "PER_PAGE", 2)
    lines = lines_of(*(order(n) for n in range(1, 6)))
    pages = run(lines)
    assert [len(page.objects) for page in pages] == [0, 2, 2, 1]
    assert pages[1].listed == 5
    with shop(Bulk(counted(lines)), file_of(lines)) as (client, asked):
        left = list(extract.pages(client, "order", YEAR, pages[1].checkpoint))
        assert list(extract.pages(client, "order", YEAR, pages[-1].checkpoint)) == []
    assert [found.source_id for found in objects(left)] == ["3", "4", "5"]
    assert "BulkRun" not in [one["name"] for one in asked]


@pytest.mark.parametrize(
    "gone",
    [{"bulkOperation": None}, state(status="EXPIRED"), state(status="FAILED"),
     state(status="CANCELED")],
)  # fmt: skip
def test_an_operation_that_cannot_be_used_any_more_is_started_anew(gone: Json) -> None:
    """Files are kept for seven days."""
    lines = lines_of(order(1))
    old = json.dumps({"operation": "gid://shopify/BulkOperation/1", "done": 4, "finished": False})
    with shop(Bulk(gone, counted(lines)), file_of(lines)) as (client, asked):
        found = objects(list(extract.pages(client, "order", YEAR, old)))
    assert len(found) == 1
    assert [one["name"] for one in asked][:2] == ["BulkState", "BulkRun"]


@pytest.mark.parametrize(
    ("code", "error"),
    [("ACCESS_DENIED", MissingScope), ("TIMEOUT", Transient), ("INTERNAL_SERVER_ERROR", Transient)],
)
def test_a_failed_operation_says_what_to_do_and_its_partial_file_is_not_opened(
    code: str, error: type[Exception]
) -> None:
    """Half a shop is worse than none: it looks whole."""
    told = state(status="FAILED", errorCode=code, url=None, partialDataUrl=FILE)
    with shop(Bulk(told), httpx.Response(500)) as (client, _), pytest.raises(error) as caught:
        list(extract.pages(client, "cart", YEAR, None))
    if isinstance(caught.value, MissingScope):
        assert caught.value.scope == "read_orders"


def test_other_operations_are_waited_for_but_not_for_ever() -> None:
    """An app may run some at a time in a shop; another of ours may be under way."""
    lines = lines_of(order(1))
    busy: list[Json] = [{"code": "OPERATION_IN_PROGRESS", "field": None}]
    script = Bulk(counted(lines), starts=[busy, busy])
    with shop(script, file_of(lines)) as (client, asked):
        assert len(objects(list(extract.pages(client, "order", YEAR, None)))) == 1
    assert [one["name"] for one in asked][:3] == ["BulkRun"] * 3
    script = Bulk(counted(lines), starts=[busy] * 99)
    with shop(script) as (client, _), pytest.raises(Transient, match="other bulk") as caught:
        list(extract.pages(client, "order", YEAR, None))
    assert caught.value.retry_after == 60.0


def test_a_bulk_query_that_is_refused_is_not_sent_again() -> None:
    """The refusal is one of ours: the query has to be mended."""
    script = Bulk(state(), starts=[[{"code": "INVALID", "field": ["query"]}]])
    with shop(script) as (client, asked), pytest.raises(Permanent, match="INVALID"):
        list(extract.pages(client, "order", YEAR, None))
    assert len(asked) == 1


def test_the_file_is_fetched_without_our_token_and_only_over_https() -> None:
    """It lies with another company; a redirect elsewhere is not followed."""
    lines = lines_of(order(1))
    told = counted(lines)
    plain = {"bulkOperation": {**told["bulkOperation"], "url": "http://files.example.com/x"}}
    with shop(Bulk(plain)) as (client, _), pytest.raises(Permanent, match="https"):
        list(extract.pages(client, "order", YEAR, None))
    moved = httpx.Response(302, headers={"location": "https://example.org/elsewhere"})
    with shop(Bulk(told), moved) as (client, _), pytest.raises(Transient, match="302"):
        list(extract.pages(client, "order", YEAR, None))
    with respx.mock() as router:
        route = router.get(FILE).mock(return_value=httpx.Response(200, content=file_of(lines)))
        assert len(list(lines_at(FILE))) == len(lines)
    assert "x-shopify-access-token" not in route.calls.last.request.headers


def test_a_download_that_breaks_off_is_tried_again_later() -> None:
    """It is a failure of the moment, and not the end of the file."""
    with respx.mock() as router:
        router.get(FILE).mock(side_effect=httpx.RemoteProtocolError("closed"))
        with pytest.raises(Transient, match="broke off"):
            list(lines_at(FILE))


def test_what_a_partial_parcel_holds_is_read_beside_the_file() -> None:
    """Bulk refuses connections within lists, so no file can tell it."""
    whole = order(1, line(1, quantity=2), line(2, quantity=3), fulfillments=[parcel(31, 2)])
    lines = lines_of(whole)
    runs = Bulk(counted(lines))

    def script(name: str, given: Json) -> Any:
        if name != "ParcelLines":
            return runs(name, given)
        held = [{"quantity": 2, "lineItem": {"id": "gid://shopify/LineItem/1", "sku": "SKU-1"}}]
        return {"nodes": [{"id": given["ids"][0], "fulfillmentLineItems": connection(held)}]}

    with shop(script, file_of(lines)) as (client, _):
        (found,) = objects(list(extract.pages(client, "order", YEAR, None)))
    made = canonical("order", as_node("order", found.payload, found.shape))[1]
    assert [(row.sku, row.quantity) for row in made.lines] == [("SKU-1", 2)]
