"""Cursors: how far source time is proven, and what keeps a cursor from passing (promise 10)."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from crm_integration.intake import extract as extract_module
from crm_integration.intake.cursors import (
    BROUGHT_NEW,
    COUNT_DIFFERS,
    LISTED_ONCE,
    LONGEST_WINDOW,
    NOT_KEPT,
    Pace,
    Reconciled,
    reconcile,
)
from crm_integration.intake.raw_records import keep
from crm_integration.intake.steps import PAGE_KEPT, watch
from crm_integration.sandbox.faults import FaultRule
from crm_integration_tests.house import House, Tenant

HOUR = timedelta(hours=1)
PACE = Pace()


class _KilledError(BaseException):
    """Stands for the end of the process: nothing catches it."""


def _now() -> datetime:
    return datetime.now(UTC)


def _live(tenant: Tenant, *, hours_ago: float = 3, connected: timedelta = 4 * HOUR) -> Tenant:
    """The shop's clock is near ours, and the connection was made some hours ago."""
    tenant.shop.now = int(time.time() - hours_ago * 3600)
    tenant.rows(
        "update connections set created_at = now() - cast(:ago as interval) returning 1",
        ago=f"{connected.total_seconds()} seconds",
    )
    return tenant


def _reconcile(tenant: Tenant, object_type: str = "order", pace: Pace = PACE) -> Reconciled:
    store = tenant.opened()
    try:
        return reconcile(tenant.house.tenancy, store, object_type, pace, run_id="poll")
    finally:
        store.client.close()


def _proven(tenant: Tenant, object_type: str = "order") -> datetime | None:
    rows = tenant.rows("select proven_until from proven_spans where object_type = :t",
                       t=object_type)  # fmt: skip
    return rows[0].proven_until if rows else None


def _ids(tenant: Tenant, object_type: str = "order") -> set[str]:
    rows = tenant.rows("select source_id from raw_records where object_type = :t", t=object_type)
    return {row.source_id for row in rows}


def _asked(tenant: Tenant) -> list[dict[str, str]]:
    """The order listings that the shop was asked for."""
    return [one for one in tenant.shop.asked if one["path"].endswith("/orders")]


def test_a_quiet_shop_is_proven_up_to_the_settle_time(tenant: Tenant) -> None:
    """What the shop commits late lies before a cursor at now, for ever."""
    _live(tenant)
    number = tenant.shop.guest_order("gus@example.com")
    done = _reconcile(tenant)
    assert done.reason == ""
    assert _ids(tenant) == {str(number)}
    late = _now() - PACE.settle - done.proven_until
    assert timedelta(0) <= late < timedelta(minutes=1)


def test_the_next_window_begins_an_overlap_before_the_cursor(tenant: Tenant) -> None:
    """An hourly poll of two whole days lists a busy shop's five thousand orders again and again."""
    _live(tenant)
    first = _reconcile(tenant)
    tenant.shop.asked.clear()
    _reconcile(tenant)
    (asked,) = _asked(tenant)
    begin = datetime.fromisoformat(asked["modified_after"]).replace(tzinfo=UTC)
    expected = first.proven_until - PACE.overlap
    assert timedelta(0) < expected - begin <= timedelta(seconds=2)


def test_what_the_shop_commits_late_is_kept_by_the_overlap(tenant: Tenant) -> None:
    """A payment plugin wrote an order with a time of half an hour before."""
    _live(tenant)
    cursor = _reconcile(tenant).proven_until
    tenant.shop.now = int((cursor - timedelta(minutes=20)).timestamp())
    number = tenant.shop.guest_order("late@example.com")
    _reconcile(tenant)
    assert _ids(tenant) == {str(number)}


def test_a_listed_id_that_was_not_kept_stops_the_cursor(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The page was read, one of its rows was lost on the way into the table."""
    _live(tenant)
    numbers = [str(tenant.shop.guest_order(f"g{n}@example.com")) for n in range(3)]

    def lossy(scope: Any, connection_id: str, objects: Any, *rest: Any, **more: Any) -> Any:
        return keep(scope, connection_id, list(objects)[1:], *rest, **more)

    monkeypatch.setattr(extract_module, "keep", lossy)
    before = _reconcile(tenant)
    assert before.reason == f"{NOT_KEPT} (1)"
    assert before.proven_until < _now() - 3 * HOUR
    monkeypatch.undo()
    assert _reconcile(tenant).reason == ""
    assert _ids(tenant) == set(numbers)


def test_a_kill_between_the_page_and_the_cursor_leaves_the_cursor(tenant: Tenant) -> None:
    """The first page was kept, the second never came: the cursor may not know of either."""
    _live(tenant)
    numbers = {str(tenant.shop.guest_order(f"g{n}@example.com")) for n in range(130)}

    def kill(step: str) -> None:
        if step == PAGE_KEPT:
            raise _KilledError

    watch(kill)
    try:
        with pytest.raises(_KilledError):
            _reconcile(tenant)
    finally:
        watch(None)
    assert _proven(tenant) is None
    assert 0 < len(_ids(tenant)) < 130

    resumed = _reconcile(tenant)
    assert resumed.listed.resumed
    assert _ids(tenant) == numbers
    assert resumed.reason == COUNT_DIFFERS, "half a listing proves nothing"
    assert _reconcile(tenant).reason == ""


def test_a_shop_that_is_down_leaves_the_cursor(tenant: Tenant) -> None:
    _live(tenant)
    proven = _reconcile(tenant).proven_until
    tenant.shop.guest_order("gus@example.com")
    tenant.shop.follow(FaultRule("status", "GET", "/orders", status=503, retry_after=3600))
    with pytest.raises(Exception, match="503"):
        _reconcile(tenant)
    assert _proven(tenant) == proven
    tenant.shop.follow()
    assert _reconcile(tenant).reason == ""


def test_what_is_edited_while_it_is_listed_keeps_the_cursor_back_once(tenant: Tenant) -> None:
    """An edit moves one order behind all others: the count agrees by luck if another is missed."""
    _live(tenant)
    first = tenant.shop.guest_order("first@example.com")
    for n in range(120):
        tenant.shop.guest_order(f"g{n}@example.com")
    done = [False]

    def edit(body: bytes) -> bytes:
        if not done[0] and b'"line_items"' in body:
            done[0] = True
            tenant.shop.now = int(time.time())
            tenant.shop.state.touch(tenant.shop.state.orders[first])
        return body

    tenant.shop.spoiling.spoil = edit
    during = _reconcile(tenant)
    tenant.shop.spoiling.spoil = lambda body: body
    assert done[0]
    assert during.reason == COUNT_DIFFERS
    assert during.proven_until < _now() - 3 * HOUR
    after = _reconcile(tenant)
    assert after.reason == ""
    assert after.proven_until > _now() - HOUR
    latest = tenant.rows(
        "select source_time from raw_records where source_id = :i order by raw_id desc limit 1",
        i=str(first),
    )
    assert latest[0].source_time > _now() - HOUR


def test_what_is_younger_than_the_settle_time_is_kept_and_never_proven(tenant: Tenant) -> None:
    _live(tenant, hours_ago=0.05)
    number = tenant.shop.guest_order("gus@example.com")
    done = _reconcile(tenant)
    assert _ids(tenant) == {str(number)}
    made = datetime.fromtimestamp(tenant.shop.now, UTC)
    assert done.proven_until < made
    assert _reconcile(tenant).proven_until < made


def test_where_the_store_cannot_count_a_second_listing_decides(house: House) -> None:
    """GraphQL pages state no total: that all came is known when nothing new comes."""
    tenant = _live(house.tenant("shopify"))
    tenant.shop.guest_order("gus@example.com")
    first = _reconcile(tenant)
    assert first.reason == LISTED_ONCE
    assert first.proven_until < _now() - 3 * HOUR
    again = _reconcile(tenant)
    assert again.reason == ""
    assert again.proven_until > _now() - HOUR


def test_a_second_listing_that_brings_more_does_not_decide(house: House) -> None:
    """The first one missed an order of that time; who knows what the second one missed."""
    tenant = _live(house.tenant("shopify"))
    tenant.shop.guest_order("gus@example.com")
    _reconcile(tenant)
    late = tenant.shop.guest_order("late@example.com")  # of the same past hour
    second = _reconcile(tenant)
    assert second.reason == BROUGHT_NEW
    assert second.proven_until < _now() - 3 * HOUR
    assert str(late) in _ids(tenant)
    assert _reconcile(tenant).reason == ""


def test_a_new_order_of_now_does_not_keep_a_second_listing_from_deciding(house: House) -> None:
    """A busy shop has a new order in every listing; its cursor would stand still."""
    tenant = _live(house.tenant("shopify"))
    _reconcile(tenant)
    tenant.shop.now = int(time.time()) - 60
    tenant.shop.guest_order("now@example.com")
    assert _reconcile(tenant).reason == ""


def test_an_outage_of_months_is_caught_up_in_bounded_windows(tenant: Tenant) -> None:
    """One run that lists a year holds everything back, and starts anew when it is killed."""
    _live(tenant, hours_ago=24 * 80, connected=timedelta(days=90))
    number = tenant.shop.guest_order("old@example.com")
    ends = [_reconcile(tenant).proven_until for _ in range(4)]
    assert ends[0] - (_now() - timedelta(days=90)) <= LONGEST_WINDOW
    assert ends == sorted(ends)
    assert ends[-1] > _now() - HOUR
    assert _ids(tenant) == {str(number)}


def test_a_sweep_goes_on_where_the_last_run_left_it(tenant: Tenant) -> None:
    """A shop of a million accounts cannot be listed each hour; it is, portion by portion."""
    _live(tenant)
    numbers = {str(tenant.shop.account(f"a{n}@example.com")) for n in range(250)}
    pace = Pace(pages=1)
    seen: list[int] = []
    for _ in range(10):
        done = _reconcile(tenant, "customer", pace)
        seen.append(len(_ids(tenant, "customer")))
        if done.listed.complete:
            break
        assert done.proven_until < _now() - 3 * HOUR, "half a sweep proves nothing"
    assert seen[:2] == [100, 199]
    assert _ids(tenant, "customer") == numbers
    assert done.listed.complete
    assert done.proven_until > _now() - HOUR


def test_who_is_deleted_is_found_at_the_end_of_a_sweep_in_portions(tenant: Tenant) -> None:
    """The sweep that left it out began two runs ago."""
    _live(tenant)
    numbers = [tenant.shop.account(f"a{n}@example.com") for n in range(150)]
    tenant.extract("customer")
    tenant.shop.call("DELETE", f"/customers/{numbers[0]}", force="true")
    pace = Pace(pages=1)
    while not _reconcile(tenant, "customer", pace).listed.complete:
        assert not tenant.rows("select 1 from raw_records where 'gone' = any(flags)")
    gone = tenant.rows("select source_id from raw_records where 'gone' = any(flags)")
    assert [row.source_id for row in gone] == [str(numbers[0])]


def test_a_to_b_to_a_ends_at_a(tenant: Tenant) -> None:
    """Its digest was known, so the third state was taken for a repeat: the CRM kept B."""
    _live(tenant)
    number = tenant.shop.account("ada@example.com", first="Ada")
    held = tenant.shop.state.customers[number]
    for name in ("Ada", "Bea", "Ada"):
        held.fields["first_name"] = name
        _reconcile(tenant, "customer")
        tenant.derive()
    tenant.sync()
    assert tenant.portal.one("contact", email="ada@example.com")["firstname"] == "Ada"
    digests = [row.digest for row in tenant.rows("select digest from raw_records order by raw_id")]
    assert digests[0] == digests[-1] != digests[1]


def test_a_poll_over_nothing_new_keeps_nothing(tenant: Tenant) -> None:
    """Suppressed only if version and digest equal the latest raw record's: and then always."""
    _live(tenant)
    tenant.shop.guest_order("gus@example.com")
    assert _reconcile(tenant).listed.kept.kept == 1
    tenant.rows("update proven_spans set proven_until = now() - interval '4 hours' returning 1")
    again = _reconcile(tenant).listed.kept
    assert (again.kept, again.suppressed) == (0, 1)
