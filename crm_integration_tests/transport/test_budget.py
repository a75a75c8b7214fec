"""Budgets: however many processes call, the vendor's window is never over-full."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Sequence

import pytest
from sqlalchemy import text

from crm_integration.errors import Transient
from crm_integration.transport.budget import LONGEST_WAIT, BudgetGate, CallBudget
from crm_integration_tests.house import House

CALLS, SECONDS = 5, 0.5
RATE = {"all": CallBudget(calls=CALLS, seconds=SECONDS)}


def _gate(house: House, account: str, rate: dict[str, CallBudget] | None = None) -> BudgetGate:
    return BudgetGate(house.engines.ops, "hubspot", account.encode(), rate or RATE)


def _most_in_a_window(times: Sequence[float], seconds: float) -> int:
    ordered = sorted(times)
    return max(sum(start <= one < start + seconds for one in ordered) for start in ordered)


def test_threads_share_one_window(house: House) -> None:
    """A bucket of tokens let twice the quota through in its first ten seconds."""
    times: list[float] = []

    def call(gate: BudgetGate) -> None:
        for _ in range(5):
            gate("batch")
            times.append(time.monotonic())

    threads = [threading.Thread(target=call, args=[_gate(house, "threads")]) for _ in range(4)]
    began = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(times) == 20
    assert _most_in_a_window(times, SECONDS * 0.95) <= CALLS
    assert time.monotonic() - began < 4 * SECONDS * 2, "slower than the vendor allows"


_CALLER = """
import sys, time
from crm_integration.transport.budget import CallBudget
from crm_integration.storage.engine import engine_for
from crm_integration.transport.budget import BudgetGate
gate = BudgetGate(engine_for(sys.argv[1]), "hubspot", b"processes",
                  {"all": CallBudget(calls=5, seconds=0.5)})
for _ in range(8):
    gate("batch")
    print(time.time(), flush=True)
"""


def test_processes_share_one_window(house: House) -> None:
    """Processes share no memory: each kept to the quota, and all together broke it."""
    command = [sys.executable, "-c", _CALLER, house.urls.ops]
    started = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(2)]
    times = [
        float(one) for process in started for one in process.communicate(timeout=60)[0].split()
    ]
    assert len(times) == 16
    assert _most_in_a_window(times, SECONDS * 0.95) <= CALLS


def test_a_full_window_is_used_at_once(house: House) -> None:
    """Calls spread evenly over an idle quota made a small sync ten times slower."""
    waited: list[float] = []
    gate = _gate(house, "burst")
    gate.sleep = waited.append
    for _ in range(CALLS):
        gate("batch")
    assert waited == []


def test_who_would_wait_too_long_is_told_to_come_back_and_books_nothing(house: House) -> None:
    """Refused callers that took tokens all the same starved the account for hours."""
    slow = {"all": CallBudget(calls=1, seconds=LONGEST_WAIT * 2)}
    gate = _gate(house, "slow", slow)
    gate("batch")
    for _ in range(50):
        with pytest.raises(Transient) as refused:
            gate("batch")
        assert refused.value.retry_after == pytest.approx(LONGEST_WAIT * 2, rel=0.1)
    with house.engines.ops.begin() as connection:
        booked = connection.scalar(
            text("select calls from budgets where account = :a"), {"a": b"slow"}
        )
    assert (booked, gate.calls) == (1, 1)


def test_a_class_of_its_own_counts_beside_all_calls(house: House) -> None:
    """Search has a smaller quota than the rest, and uses up both."""
    rate = {"all": CallBudget(calls=100, seconds=1), "search": CallBudget(calls=1, seconds=0.3)}
    gate = _gate(house, "classes", rate)
    began = time.monotonic()
    for endpoint_class in ("search", "batch", "search"):
        gate(endpoint_class)
    assert 0.3 <= time.monotonic() - began < 3
    with house.engines.ops.begin() as connection:
        booked = connection.execute(
            text("select endpoint_class, calls from budgets where account = :a"), {"a": b"classes"}
        )
        assert {row.endpoint_class: row.calls for row in booked} == {"all": 3, "search": 2}


def test_accounts_do_not_share_a_window(house: House) -> None:
    """One tenant's backfill must not slow its neighbour."""
    waited: list[float] = []
    for account in ("one", "other"):
        gate = _gate(house, account)
        gate.sleep = waited.append
        for _ in range(CALLS):
            gate("batch")
    assert waited == []
