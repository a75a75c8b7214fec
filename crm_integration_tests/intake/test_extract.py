"""Listings: kept page by page, gone on with after a kill, refused for the wrong account."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm_integration.errors import NeedsReconnect, Permanent, Transient
from crm_integration.intake.extract import extract
from crm_integration.intake.open_store import open_store
from crm_integration.intake.raw_records import Observation
from crm_integration.sandbox.faults import FaultRule
from crm_integration_tests.house import WHOLE, Tenant


class _KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def _ids(tenant: Tenant) -> list[str]:
    return [row.source_id for row in tenant.rows("select source_id from raw_records")]


def _stop(object_type: str, so_far: int) -> None:
    raise _KilledError


def test_a_kill_in_mid_listing_is_gone_on_with_behind_the_kept_page(tenant: Tenant) -> None:
    """A backfill of days that starts anew after each deployment never ends."""
    numbers = {str(tenant.shop.guest_order(f"g{n}@example.com")) for n in range(230)}
    store = tenant.opened()
    with pytest.raises(_KilledError):
        extract(tenant.house.tenancy, store, "order", WHOLE, run_id="r1", on_page=_stop)
    first_page = set(_ids(tenant))
    assert 0 < len(first_page) < 230
    tenant.shop.app.calls.clear()
    rest = extract(tenant.house.tenancy, store, "order", WHOLE, run_id="r2")
    store.client.close()
    assert rest.resumed
    assert sorted(_ids(tenant)) == sorted(numbers), "lost or double"
    assert rest.kept.suppressed <= 1, "the kept page was listed again"


def test_a_finished_listing_starts_anew_the_next_time(tenant: Tenant) -> None:
    """A checkpoint that outlives its listing would hide every later change."""
    number = tenant.shop.guest_order("gus@example.com")
    tenant.extract("order")
    tenant.shop.call("PUT", f"/orders/{number}", {"status": "completed"})
    again = tenant.extract("order")["order"]
    assert (again.resumed, again.kept.kept) == (False, 1)


def test_an_unfinished_listing_of_yesterday_is_not_gone_on_with(tenant: Tenant) -> None:
    """What it had seen could have changed in the night."""
    tenant.shop.guest_order("gus@example.com")
    store = tenant.opened()
    with pytest.raises(_KilledError):
        extract(tenant.house.tenancy, store, "order", WHOLE, run_id="r1", on_page=_stop)
    tenant.rows("update cursors set updated_at = now() - interval '2 hours' returning 1")
    assert not extract(tenant.house.tenancy, store, "order", WHOLE, run_id="r2").resumed
    store.client.close()


def test_a_page_that_fails_for_good_leaves_the_pages_before_it(tenant: Tenant) -> None:
    """An outage in mid-listing costs time, never what was there already."""
    for n in range(130):
        tenant.shop.guest_order(f"g{n}@example.com")
    tenant.shop.follow(
        FaultRule("status", "GET", "/orders", first=2, count=1, status=503, retry_after=3600)
    )
    with pytest.raises(Transient):
        tenant.extract("order")
    kept = len(_ids(tenant))
    assert 0 < kept < 130
    tenant.shop.follow()
    assert tenant.extract("order")["order"].resumed
    assert len(set(_ids(tenant))) == len(_ids(tenant)) == 130


def test_two_contents_of_one_second_are_settled_by_a_direct_read(tenant: Tenant) -> None:
    """Both listings carry one time: the shop is asked which content stands."""
    number = tenant.shop.guest_order("gus@example.com")
    tenant.extract("order")
    held = tenant.shop.state.orders[number]
    held.customer_note = "changed within the same second"
    assert tenant.extract("order")["order"].kept.kept >= 1
    newest = tenant.value("select observation from raw_records order by raw_id desc limit 1")
    assert newest == 3, "no direct read was kept"
    assert not tenant.extract("order")["order"].kept.kept


def test_what_a_killed_run_found_doubtful_is_still_settled_by_its_successor(
    tenant: Tenant,
) -> None:
    """The listing's page was committed, the process ended before it asked the shop again."""
    number = tenant.shop.guest_order("gus@example.com")
    tenant.extract("order")
    tenant.shop.state.orders[number].customer_note = "changed within the same second"
    store = tenant.opened()
    with pytest.raises(_KilledError):
        extract(tenant.house.tenancy, store, "order", WHOLE, run_id="r1", on_page=_stop)
    assert extract(tenant.house.tenancy, store, "order", WHOLE, run_id="r2").resumed
    store.client.close()
    newest = tenant.value("select observation from raw_records order by raw_id desc limit 1")
    assert newest == Observation.direct


def test_a_refund_whose_order_lies_outside_the_window_brings_its_order(tenant: Tenant) -> None:
    """A refund carries no currency: without its order it would be quarantined for ever."""
    number = tenant.shop.guest_order("gus@example.com")
    tenant.shop.refund(number, "4.00")
    tenant.extract("refund")
    rows = tenant.rows("select object_type, source_id, observation from raw_records")
    assert ("order", str(number), 3) in {tuple(row) for row in rows}


def test_another_account_behind_the_same_address_gets_no_call_that_matters(
    tenant: Tenant,
) -> None:
    """An agency moved the domain to another shop: its customers went into the wrong CRM."""
    tenant.shop.guest_order("gus@example.com")
    other = replace(tenant.store, account_id="elsewhere.shop.example")
    tenant.shop.app.calls.clear()
    with pytest.raises(NeedsReconnect) as refused:
        open_store(tenant.house.tenancy, tenant.house.engines.ops, tenant.name, other)
    assert refused.value.code == "other_account"
    assert not any("orders" in path or "customers" in path for path in tenant.shop.app.calls)
    assert _ids(tenant) == []


def test_another_account_gets_no_order_call_although_the_currency_is_set(tenant: Tenant) -> None:
    """With the currency given, the key is proved by a call to orders: of the right shop only."""
    settings = {"currency": "GBP"}
    other = replace(tenant.store, account_id="elsewhere.shop.example", settings=settings)
    tenant.shop.app.calls.clear()
    with pytest.raises(NeedsReconnect):
        open_store(tenant.house.tenancy, tenant.house.engines.ops, tenant.name, other)
    assert sum(count for path, count in tenant.shop.app.calls.items() if "orders" in path) <= 1


def test_a_page_that_is_no_list_is_told_and_the_next_run_brings_what_it_hid(
    tenant: Tenant,
) -> None:
    """A plugin's warning before the JSON: nothing of such a page may count as seen."""
    tenant.shop.guest_order("gus@example.com")
    tenant.shop.spoiling.spoil = lambda body: body.replace(b"[{", b"Warning: [{")
    with pytest.raises(Permanent):
        tenant.extract("order")
    assert _ids(tenant) == []
    tenant.shop.spoiling.spoil = lambda body: body
    assert tenant.extract("order")["order"].kept.kept == 1


def _open_entries(tenant: Tenant) -> list[tuple[str, str, int]]:
    rows = tenant.rows(
        "select source_id, rule, raw_id, reason, fix from quarantine where released_at is null"
    )
    assert all(row.reason and row.fix for row in rows)
    return [(row.source_id.partition(":")[0], row.rule, row.raw_id) for row in rows]


def test_an_element_without_an_id_is_kept_back_until_the_listing_is_whole(tenant: Tenant) -> None:
    """It was counted in a run's metadata, where nobody looks, and the order was missed by the
    merchant."""
    tenant.shop.guest_order("gus@example.com")
    number = tenant.shop.guest_order("bob@example.com")
    named = f'"id":{number},'.encode()
    tenant.shop.spoiling.spoil = lambda body: body.replace(named, b'"was":0,')

    broken = tenant.extract("order")["order"]
    assert (broken.kept.kept, set(broken.unreadable)) == (1, {"no_id"})
    assert _open_entries(tenant) == [("page", "order.readable", 0)]
    tenant.derive()
    tenant.extract("order")
    assert _open_entries(tenant) == [("page", "order.readable", 0)], "doubled or let go"

    tenant.shop.spoiling.spoil = lambda body: body
    assert tenant.extract("order")["order"].kept.kept == 1
    assert _open_entries(tenant) == []
