"""Customers: no filter on time, ids alone."""

from __future__ import annotations

import json

import pytest

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Page
from crm_integration.stores.woocommerce import extract
from crm_integration_tests.stores.woocommerce.shops import Emulated, Listed, opened


def ids_of(pages: list[Page]) -> set[int]:
    return {int(item.source_id) for page in pages for item in page.objects}


def filled(count: int) -> Emulated:
    shop = Emulated()
    for number in range(1, count + 1):
        shop.customer(number)
    return shop


@pytest.mark.parametrize("count", [0, 1, 99, 100, 101, 199, 350])
def test_every_account_is_seen_once(count: int) -> None:
    """Sizes around a full page, where an overlap of one row is easily miscounted."""
    with opened(filled(count).app) as client:
        pages = list(extract.pages(client, "customer", None, None))
    assert ids_of(pages) == set(range(1, count + 1))
    assert sum(len(page.objects) for page in pages) == count


def test_an_account_that_appears_behind_the_sweep_is_fetched_at_the_end() -> None:
    """An import wrote a low id after the sweep had passed: only the closing pass can know."""
    shop = filled(250)
    del shop.state.customers[7]
    with opened(shop.app) as client:
        pages = extract.pages(client, "customer", None, None)
        next(pages)
        shop.customer(7)
        late = [item for page in pages for item in page.objects if item.source_id == "7"]
    assert [json.loads(item.payload)["username"] for item in late] == ["invented-7"]


def test_accounts_of_every_role_are_asked_for() -> None:
    """The list defaults to role=customer: shop managers who buy would never appear."""
    shop = Listed([{"id": 1}])
    with opened(shop.app) as client:
        list(extract.pages(client, "customer", None, None))
    assert {query["role"] for query in shop.asked} == {"all"}
    assert {query["orderby"] for query in shop.asked} == {"id"}


def test_a_checkpoint_stays_small_where_ids_are_sparse() -> None:
    """A list of a million scattered ids in every checkpoint would be gigabytes in sum."""
    from crm_integration.stores.woocommerce.sweep import sweep_pages

    shop = filled(0)
    for number in range(1, 9001, 3):
        shop.customer(number)
    with opened(shop.app) as client:
        pages = list(sweep_pages(client, None))
        assert max(len(page.checkpoint) for page in pages) < 25_000
        assert json.loads(pages[-2].checkpoint)["seen"] is None
        rest = list(sweep_pages(client, pages[4].checkpoint))
    assert ids_of(pages[:5]) | ids_of(rest) == set(range(1, 9001, 3))


def test_a_page_of_customers_that_is_no_list_stops_the_sweep_with_its_place() -> None:
    """Going on would look like a complete sweep, and accounts would be taken for deleted."""
    shop = Listed(spoil=lambda query, body: b'{"oops": 1}')
    with opened(shop.app) as client, pytest.raises(Permanent, match="offset 0"):
        list(extract.pages(client, "customer", None, None))
