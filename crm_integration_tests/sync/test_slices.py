"""Long ranges: slice by slice, and after a kill on from where it was."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import date, timedelta

import pytest
from sqlalchemy import text

from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House as OpenHouse
from crm_integration.sync.report import PathReport, Selection
from crm_integration.sync.slices import Slice, run_slices, slices_of
from crm_integration_tests.house import MAPPINGS, Tenant

EVERYTHING = Selection(
    frozenset({"customer", "product", "order", "refund"}),
    frozenset({"customer", "product", "order", "refund", "activity"}),
    frozenset({"contact", "product", "order", "refund", "activity"}),
)
MONTHS = [
    Window(date(2024, month, 1), date(2024 + month // 12, month % 12 + 1, 1))
    for month in range(1, 13)
]


def test_windows_are_cut_by_days_not_by_number() -> None:
    """A quarter is one slice, whether its windows are days or months."""
    assert [len(one.windows) for one in slices_of(MONTHS)] == [3, 3, 3, 3]
    first = date(2024, 1, 1)
    days = [Window(first + timedelta(n), first + timedelta(n + 1)) for n in range(200)]
    assert [len(one.windows) for one in slices_of(days)] == [92, 92, 16]
    assert slices_of([]) == []


def test_no_window_is_lost_and_none_is_run_twice() -> None:
    """Whatever order the partitions come in, and with gaps between them."""
    some = [MONTHS[n] for n in (11, 0, 5, 4, 3)]
    found = [window for one in slices_of(some) for window in one.windows]
    assert found == sorted(some, key=lambda one: one.start)


def run(tenant: Tenant, run_id: str, root: str, stop_after: int = 99) -> list[Slice]:
    """Run the year; stop as a kill does, after so many slices."""
    opened = OpenHouse(tenant.house.engines, MAPPINGS)
    found: list[tuple[Slice, PathReport]] = []
    running = run_slices(
        opened, tenant.name, MONTHS, EVERYTHING, run_id=run_id, root_run_id=root
    )
    for one in running:
        found.append(one)
        if len(found) == stop_after:
            running.close()
    assert not [report.problems for _, report in found if report.problems]
    return [part for part, _ in found]


def months(slices: Sequence[Slice]) -> list[int]:
    """The first month of each slice."""
    return [one.span.start.month for one in slices]


def test_a_killed_backfill_goes_on_behind_its_last_finished_slice(tenant: Tenant) -> None:
    """A kill after fifty minutes used to cost fifty minutes; what nobody was told is done again."""
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    assert months(run(tenant, "first", "first", stop_after=2)) == [1, 4]
    assert months(run(tenant, "retry", "first")) == [4, 7, 10]
    assert len(tenant.portal.records("order")) == 1


def test_slices_of_runs_that_nobody_retries_any_more_are_forgotten(tenant: Tenant) -> None:
    """Each backfill left its rows behind for ever, nine a tenant."""
    run(tenant, "old", "old", stop_after=2)
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update finished_slices set finished_at = now() - interval '31 days'")
        )
    run(tenant, "recent", "recent", stop_after=2)
    known = tenant.rows("select distinct root_run_id from finished_slices")
    assert [one.root_run_id for one in known] == ["recent"]
    assert months(run(tenant, "retry", "recent")) == [4, 7, 10]


def in_a_process(tenant: Tenant, run_id: str) -> subprocess.Popen[str]:
    """The same backfill in a process that can be killed."""
    urls = tenant.house.urls
    told = {
        "app": urls.app, "ops": urls.ops, "tenant": tenant.name, "run_id": run_id,
        "root_run_id": "first",
        "windows": [[one.start.isoformat(), one.end.isoformat()] for one in MONTHS],
        "selection": [sorted(EVERYTHING.extracts), sorted(EVERYTHING.canonical),
                      sorted(EVERYTHING.crm)],
    }  # fmt: skip
    child = subprocess.Popen(
        [sys.executable, "-m", "crm_integration_tests.sync.killed_run"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdin is not None
    child.stdin.write(json.dumps(told))
    child.stdin.close()
    return child


def test_kill_9_in_mid_page_costs_nothing_and_doubles_nothing(tenant: Tenant) -> None:
    """The listing goes on behind its last page, the run behind its last slice."""
    orders = [tenant.shop.order(tenant.shop.account(f"ada{n}@example.com")) for n in range(150)]
    # The second page of orders takes long: there the process dies.
    tenant.shop.follow(FaultRule("delay", path="/orders", first=2, seconds=8.0))
    child = in_a_process(tenant, "first")
    deadline = time.monotonic() + 60
    while tenant.value("select count(*) from raw_records where object_type = 'order'") == 0:
        assert time.monotonic() < deadline, "no page of orders was kept"
        time.sleep(0.05)
    os.kill(child.pid, signal.SIGKILL)
    child.wait(timeout=10)
    assert child.stdout is not None
    child.stdout.close()
    kept = tenant.value("select count(*) from raw_records where object_type = 'order'")
    assert 0 < kept < len(orders)
    tenant.shop.follow()
    tenant.shop.app.calls.clear()
    retry = in_a_process(tenant, "retry")
    assert retry.stdout is not None
    with retry.stdout as told:
        finished = told.read().split()
    assert retry.wait(timeout=120) == 0
    assert finished[-1] == "2024-10-01"
    found = tenant.rows("select source_id from raw_records where object_type = 'order'")
    assert sorted(row.source_id for row in found) == sorted(map(str, orders))
    assert len(tenant.portal.records("order")) == len(orders)
    assert len(tenant.portal.records("contact")) == len(orders)


def test_a_run_that_was_asked_for_anew_does_everything_again(tenant: Tenant) -> None:
    """Only a retry may leave anything out."""
    run(tenant, "first", "first")
    assert months(run(tenant, "second", "second")) == [1, 4, 7, 10]


def test_a_slice_that_failed_is_run_again_by_the_retry(tenant: Tenant) -> None:
    """Finished means passed: a store that was down for one slice is asked again for it."""
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    tenant.shop.follow(FaultRule("status", path="/orders", status=403, count=1))
    opened = OpenHouse(tenant.house.engines, MAPPINGS)
    first = list(
        run_slices(opened, tenant.name, MONTHS, EVERYTHING, run_id="one", root_run_id="one")
    )
    assert [bool(report.problems) for _, report in first] == [True, False, False, False]
    assert months(run(tenant, "two", "one")) == [1]
    assert len(tenant.portal.records("order")) == 1


def test_what_a_store_lists_only_whole_is_listed_once_a_run(tenant: Tenant) -> None:
    """Sweeping all customers in each of nine slices would ask a large shop for days."""
    tenant.shop.account("ada@example.com")
    run(tenant, "first", "first")
    swept = sum(n for call, n in tenant.shop.app.calls.items() if call.endswith("/customers"))
    assert 1 <= swept <= 2  # the listing and its closing pass over the ids


@pytest.mark.parametrize("days", [1, 31, 400])
def test_slices_of_any_size_cover_the_year(days: int) -> None:
    """The size is a matter of memory, never of what is done."""
    found = [window for one in slices_of(MONTHS, days) for window in one.windows]
    assert found == MONTHS
