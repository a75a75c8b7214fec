"""The paging traps of WooCommerce's lists; what every store must withstand is in `conformance`."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

import pytest

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Page, Window
from crm_integration.stores.woocommerce import extract
from crm_integration_tests.stores.woocommerce.shops import NOON, Emulated, Listed, gmt, opened

DAY = Window(date(2026, 3, 1), date(2026, 3, 2))


def ids_of(pages: list[Page]) -> list[int]:
    return [int(item.source_id) for page in pages for item in page.objects]


@pytest.mark.parametrize("ties", [12, 100, 101, 257])
def test_orders_of_one_second_are_all_seen(ties: int) -> None:
    """Ten and more orders share a second; a cursor at the last seen time drops the rest."""
    shop = Emulated()
    for number in range(1, 96):
        shop.order(number, NOON + number)
    for number in range(1000, 1000 + ties):
        shop.order(number, NOON + 200)
    shop.order(5000, NOON + 201)
    with opened(shop.app) as client:
        found = ids_of(list(extract.pages(client, "order", DAY, None)))
    assert sorted(found) == [*range(1, 96), *range(1000, 1000 + ties), 5000]


def test_an_order_added_to_the_last_seen_second_is_seen() -> None:
    """`modified_after` is strictly after: going on at the last time would skip a late tie."""
    shop = Emulated()
    for number in range(1, 101):
        shop.order(number, NOON + number)
    with opened(shop.app) as client:
        pages = extract.pages(client, "order", None, None)
        next(pages)
        shop.order(777, NOON + 100)
        assert 777 in ids_of(list(pages))


def test_payloads_are_the_bytes_the_shop_sent() -> None:
    """Key order, number forms, escapes, NUL, lone surrogates and broken UTF-8 stay as they are."""
    strange = rb'{ "id":7 ,"price":1.50e1,"n":"\u0000\ud800","raw":"' + b"\xff\xc3(" + rb'"}'

    def spoil(query: dict[str, str], body: bytes) -> bytes:
        return b"\xef\xbb\xbf [ " + strange + b' ,\n{"id":8}, 5, {"name":"no id"}] '

    shop = Listed(spoil=spoil)
    with opened(shop.app) as client:
        page = next(extract.pages(client, "order", None, None))
    assert [item.payload for item in page.objects] == [strange, b'{"id":8}']
    assert [(bad.reason, bad.payload) for bad in page.unreadable] == [
        ("not_an_object", b"5"),
        ("no_id", b'{"name":"no id"}'),
    ]


def test_one_broken_row_costs_that_row_alone() -> None:
    """A plugin printed a warning into one order's JSON: the 299 others must arrive."""
    shop = Listed([{"id": n, "date_modified_gmt": gmt(NOON + n)} for n in range(1, 301)])
    shop.spoil = lambda query, body: body.replace(b'{"id": 142,', b'Warning: {"id": 142,')
    with opened(shop.app) as client:
        pages = list(extract.pages(client, "order", DAY, None))
    assert set(ids_of(pages)) == set(range(1, 301)) - {142}
    singles = {bad.payload for page in pages for bad in page.unreadable if len(bad.payload) < 200}
    assert len(singles) == 1
    assert b"142" in singles.pop()


def test_a_shop_that_never_answers_json_is_given_up() -> None:
    """Every answer broken: the listing must end with a reason instead of asking for ever."""
    shop = Listed(
        [{"id": n, "date_modified_gmt": gmt(NOON + n)} for n in range(1, 9)],
        spoil=lambda query, body: b"Notice: " + body,
    )
    with opened(shop.app) as client, pytest.raises(Permanent, match="no readable answer"):
        list(extract.pages(client, "order", DAY, None))


def test_a_shop_that_ignores_the_filter_is_noticed() -> None:
    """An old shop answers an unknown filter with everything: a loop without end."""
    rows: list[dict[str, Any]] = [{"id": n, "date_modified_gmt": gmt(NOON + n)} for n in range(99)]
    everything = json.dumps([row for row in rows if row["id"]]).encode()
    shop = Listed(spoil=lambda query, body: everything)
    with opened(shop.app) as client, pytest.raises(Permanent, match="ignores modified_after"):
        list(extract.pages(client, "order", DAY, None))


def test_a_shop_that_repeats_one_page_is_noticed() -> None:
    """A cache in front of the shop drops the page number: the same 100 ties again and again."""
    same = json.dumps([{"id": n, "date_modified_gmt": gmt(NOON)} for n in range(1, 101)]).encode()
    shop = Listed(spoil=lambda query, body: same)
    with opened(shop.app) as client, pytest.raises(Permanent, match="repeats the same page"):
        list(extract.pages(client, "order", DAY, None))


def test_no_more_than_a_hundred_rows_are_asked_for() -> None:
    """per_page=101 is a 400 in WooCommerce."""
    shop = Listed()
    with opened(shop.app) as client:
        list(extract.pages(client, "product", DAY, None))
    assert {query["per_page"] for query in shop.asked} == {"100"}


def test_a_listing_whose_rows_look_new_at_each_reading_still_ends() -> None:
    """Products list their related ids in random order: other bytes at the same time."""
    count = iter(range(10_000))
    shop = Listed([{"id": n, "date_modified_gmt": gmt(NOON), "related": "X"} for n in range(1, 6)])
    shop.spoil = lambda query, body: body.replace(b'"X"', b'"%d"' % next(count))
    with opened(shop.app) as client:
        pages = list(extract.pages(client, "product", DAY, None))
    assert set(ids_of(pages)) == {1, 2, 3, 4, 5}


def test_refunds_are_listed_by_their_own_date_and_name_their_order() -> None:
    """A refund has no date_modified; its order is named by parent_id."""
    rows = [
        {"id": n, "parent_id": n + 7, "date_created_gmt": gmt(NOON + n // 150)}
        for n in range(1, 351)
    ]
    shop = Listed(rows)
    with opened(shop.app) as client:
        pages = list(extract.pages(client, "refund", DAY, None))
    assert set(ids_of(pages)) == set(range(1, 351))
    assert {(o.source_id, o.parent_id) for p in pages for o in p.objects} >= {("1", "8")}
    assert {query["orderby"] for query in shop.asked} == {"date"}
