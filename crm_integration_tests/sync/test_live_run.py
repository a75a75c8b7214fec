"""Live runs: deliveries reach the CRM by themselves, whoever dies, hangs or breaks."""

from __future__ import annotations

import time
from threading import Thread
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from crm_integration.intake import drop_table, lanes
from crm_integration.intake.drop_table import lane_of
from crm_integration.intake.lanes import ALL_LANES, Lanes, held_lanes, holders
from crm_integration.intake.poison import TRIES
from crm_integration.intake.touched import untold
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sync import live_run
from crm_integration.sync.live_pass import LivePass, Passed
from crm_integration.sync.live_run import LiveRun
from crm_integration_tests.house import House, Tenant, account, at
from crm_integration_tests.sync.live import (
    deliver,
    deliver_order,
    engine_of,
    queued,
    running,
    until,
)


def _contacts(tenant: Tenant) -> set[str]:
    return {one.get("email", "") for one in tenant.portal.records("contact").values()}


def test_a_delivery_is_in_the_crm_within_a_moment(tenant: Tenant) -> None:
    """It waited for the next schedule, an hour later."""
    with running(engine_of(tenant), "live"):
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        began = time.monotonic()
        until(lambda: "ada@example.com" in _contacts(tenant))
        assert time.monotonic() - began < 10
        until(lambda: not queued(tenant))
    touched = [one for one in untold(tenant.house.engines.ops) if one.tenant == tenant.name]
    assert [one.object_type for one in touched] == ["order"]


def test_what_came_before_the_run_is_read_as_well(tenant: Tenant) -> None:
    """Nobody heard of it: whoever listened was killed."""
    deliver_order(tenant, tenant.shop.guest_order("early@example.com"))
    with running(engine_of(tenant), "live"):
        until(lambda: "early@example.com" in _contacts(tenant))


def test_a_lane_has_one_holder_and_is_free_when_that_ends(tenant: Tenant) -> None:
    """A lost run kept its lane for ever, because somebody believed that it still ran."""
    ops = tenant.house.engines.ops
    with Lanes(ops, "one", 60) as one, Lanes(ops, "other", 60) as other:
        assert one.take([3, 4]) == {3, 4}
        assert other.take([4, 5]) == {5}
        assert held_lanes(ops) >= {3, 4, 5}
        before = {holder.lane: holder.epoch for holder in holders(ops)}
        one.give_back()
        assert other.take([3, 4, 5]) == {3, 4}
        after = {holder.lane: (holder.epoch, holder.run_id) for holder in holders(ops)}
        assert after[3] == (before[3] + 1, "other")
    assert not held_lanes(ops) & {3, 4, 5}


def test_a_lane_that_was_given_back_late_is_taken_all_the_same(tenant: Tenant) -> None:
    """Who gives lanes back does so one by one. A successor that came in between took all but one,
    and the tenants of that one waited for a minute: everybody believed that it drained them."""
    ops, mine = tenant.house.engines.ops, lane_of(tenant.name)
    with Lanes(ops, "before", 60) as before, Lanes(ops, "after", 60) as after:
        before.take([mine])
        after.take(ALL_LANES)
        assert after.held == set(ALL_LANES) - {mine}
        one_pass = LivePass(engine_of(tenant), "after")
        run = LiveRun(after, one_pass)
        thread = Thread(target=run.run, daemon=True)
        thread.start()
        try:
            before.give_back()
            deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
            until(lambda: "ada@example.com" in _contacts(tenant), 10)
        finally:
            run.stopped.set()
            thread.join(30)
            one_pass.close()


def test_a_run_whose_connection_broke_knows_that_its_lanes_are_lost(tenant: Tenant) -> None:
    """It believed that it still drained them, beside the one that really did."""
    ops = tenant.house.engines.ops
    with Lanes(ops, "one", 60) as one:
        one.take([6])
        session = one._session()  # pyright: ignore[reportPrivateUsage]
        pid = session.execute(text("select pg_backend_pid()")).scalar_one()
        with ops.begin() as connection:
            connection.execute(text("select pg_terminate_backend(:pid)"), {"pid": pid})
        assert until(lambda: not one.still_held())
        assert one.held == set()


def test_a_successor_takes_over_while_its_predecessor_ends(tenant: Tenant) -> None:
    """Between two runs deliveries waited for seconds."""
    ops = tenant.house.engines.ops
    with running(engine_of(tenant), "first") as first, Lanes(ops, "second", 60) as second:
        assert second.take(ALL_LANES) == set()
        second.announce(ALL_LANES)
        until(lambda: second.take(ALL_LANES) or second.held == set(ALL_LANES))
        assert first.lanes.held == set()


def test_what_a_dead_run_was_about_to_ask_its_store_for_is_asked_at_once(
    house: House,
) -> None:
    """It had put those deliveries off for ten minutes, and died."""
    tenant = house.tenant("api2cart")
    order = tenant.shop.guest_order("ada@example.com")
    ops = house.engines.ops
    with tenant.scope() as scope:
        keys = scope.keys
    drop_id = _named_order(tenant, keys, order)
    with ops.begin() as connection:
        connection.execute(
            text("update webhook_queue set asked_by = 'dead', ready_at = now() + interval '10 min'"
                 " where drop_id = :d"), {"d": drop_id},
        )  # fmt: skip
    with running(engine_of(tenant), "next"):
        until(lambda: "ada@example.com" in _contacts(tenant))
    assert queued(tenant) == 0


def test_what_a_dead_run_had_kept_and_not_derived_is_written_by_the_next(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It died between the two commits: no delivery told of that order any more, and it waited for
    the customer's next one or for the hour's reconciliation."""
    with running(engine_of(tenant), "before"):
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: "ada@example.com" in _contacts(tenant))
    tenant.keep(account(9, at(9), "left@example.com"))
    monkeypatch.setattr(lanes, "is_gone", lambda process: True)
    with running(engine_of(tenant), "after"):
        until(lambda: "left@example.com" in _contacts(tenant))


def _named_order(tenant: Tenant, keys: Any, order: int) -> Any:
    from crm_integration.storage.engine import engine_for

    headers = {"x-webhook-entity": "order", "x-webhook-action": "update"}
    body = orjson.dumps({"id": str(order)})
    with engine_for(tenant.house.urls.intake).begin() as connection:
        return drop_table.put(connection, keys, "main", headers, body)


def test_a_delivery_that_breaks_its_reader_is_put_aside_and_the_others_are_read(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One payload that nobody had thought of kept all later ones of its shop waiting."""
    known = drop_table._object  # pyright: ignore[reportPrivateUsage]

    def breaks(store: Any, dropped: Any) -> Any:
        if b"poison" in dropped.body:
            raise ZeroDivisionError
        return known(store, dropped)

    monkeypatch.setattr(drop_table, "_object", breaks)
    one_pass = LivePass(engine_of(tenant), "live")
    deliver(tenant, "order", {"id": 1, "note": "poison"})
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    for _ in range(TRIES + 1):
        one_pass(tenant.name)
        with tenant.house.engines.ops.begin() as connection:
            connection.execute(
                text("update webhook_queue set ready_at = now() where tenant_id = :t"
                     " and ready_at < 'infinity'"), {"t": tenant.name},
            )  # fmt: skip
    one_pass.close()
    assert "ada@example.com" in _contacts(tenant)
    with tenant.house.engines.ops.connect() as connection:
        asked = text("select tries, ready_at = 'infinity' from webhook_queue where tenant_id = :t")
        assert connection.execute(asked, {"t": tenant.name}).all() == [(TRIES, True)]


def test_a_tenant_whose_passes_break_keeps_nobody_waiting(
    tenant: Tenant, neighbour: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A mapping file with a mistake stopped the webhooks of all merchants in its lane."""
    known = LivePass.__call__

    def broken(self: LivePass, name: str) -> Any:
        if name == tenant.name:
            raise ZeroDivisionError
        return known(self, name)

    monkeypatch.setattr(LivePass, "__call__", broken)
    for one in (tenant, neighbour):
        deliver_order(one, one.shop.guest_order("ada@example.com"))
    with running(engine_of(tenant), "live") as run:
        until(lambda: "ada@example.com" in _contacts(neighbour))
        time.sleep(2.5)
        assert 1 <= run.done["failed"] <= 3, "it is not tried again each moment"


def test_a_crm_that_hangs_keeps_no_other_tenant_waiting(tenant: Tenant, neighbour: Tenant) -> None:
    """One dead CRM delayed the merchants behind it."""
    tenant.portal.follow(FaultRule("delay", seconds=6.0, count=0))
    deliver_order(tenant, tenant.shop.guest_order("slow@example.com"))
    with running(engine_of(tenant), "live"):
        time.sleep(0.5)
        deliver_order(neighbour, neighbour.shop.guest_order("ada@example.com"))
        began = time.monotonic()
        until(lambda: "ada@example.com" in _contacts(neighbour))
        assert time.monotonic() - began < 5
        tenant.portal.follow()


def test_one_that_sends_on_and_on_gives_the_others_their_turn(
    tenant: Tenant, neighbour: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many floods as there are workers, and nobody else was taken until they ended."""
    monkeypatch.setattr(live_run, "AT_ONCE", 1)
    order = tenant.shop.guest_order("first@example.com")
    passed: list[str] = []

    def sending(self: LivePass, name: str) -> Passed:
        passed.append(name)
        if name == tenant.name and neighbour.name not in passed:
            deliver_order(tenant, order)
            time.sleep(0.3)  # the run has heard of it when this pass ends
        return Passed(self.house.connected(name))

    monkeypatch.setattr(LivePass, "__call__", sending)
    deliver_order(tenant, order)
    with running(engine_of(tenant), "live"):
        until(lambda: len(passed) > 1)
        deliver_order(neighbour, neighbour.shop.guest_order("ada@example.com"))
        until(lambda: neighbour.name in passed, 5)


def test_a_record_that_failed_is_tried_again_without_a_new_delivery(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It waited for the next thing that happened to that shop, perhaps for days."""
    monkeypatch.setattr(live_run, "RETRIES_EVERY", 0.2)
    tenant.portal.follow(FaultRule("status", status=503, count=4, path="/batch/"))
    with running(engine_of(tenant), "live"):
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: "ada@example.com" in _contacts(tenant), 60)


def test_a_stopped_run_ends_what_it_has_begun(tenant: Tenant) -> None:
    """Terminated in the UI, it left records that nobody could tell about."""
    tenant.portal.follow(FaultRule("delay", seconds=1.0, path="/batch/", count=2))
    with running(engine_of(tenant), "live") as run:
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: tenant.value("select count(*) from ledger where state = 'in_flight'"))
        run.stopped.set()
    assert tenant.value("select count(*) from ledger where state = 'in_flight'") == 0


def test_what_a_crm_did_not_take_comes_when_it_answers_again(tenant: Tenant) -> None:
    """No delivery followed, and the records waited for the next hour's reconciliation."""
    tenant.portal.follow(FaultRule("status", status=503, count=12))
    deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
    with running(engine_of(tenant), "live") as run:
        until(lambda: run.one_pass.silent.doubts(tenant.name))
        until(lambda: "ada@example.com" in _contacts(tenant), 60.0)
        until(lambda: not run.one_pass.silent.doubts(tenant.name))


def test_crms_that_did_not_answer_before_leave_the_workers_to_the_others(
    tenant: Tenant, neighbour: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage at one vendor filled all workers, and nobody's events arrived anywhere."""
    monkeypatch.setattr(live_run, "AT_ONCE", 1)
    tenant.portal.follow(FaultRule("delay", seconds=8.0, count=0))
    with running(engine_of(tenant), "live") as run:
        run.one_pass.silent.note(tenant.name)
        deliver_order(tenant, tenant.shop.guest_order("slow@example.com"))
        time.sleep(2.5)
        deliver_order(neighbour, neighbour.shop.guest_order("ada@example.com"))
        until(lambda: "ada@example.com" in _contacts(neighbour), 4.0)
        tenant.portal.follow()


def test_what_a_broken_pass_had_taken_in_is_written_by_the_next(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its delivery had left the queue: nothing told of the tenant any more."""
    known, broke = LivePass._write, list[str]()  # pyright: ignore[reportPrivateUsage]

    def breaks_once(self: LivePass, connected: Any) -> Any:
        if not broke:
            broke.append(connected.config.tenant)
            raise ZeroDivisionError
        return known(self, connected)

    monkeypatch.setattr(LivePass, "_write", breaks_once)
    with running(engine_of(tenant), "live"):
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: "ada@example.com" in _contacts(tenant))
    assert broke == [tenant.name]
