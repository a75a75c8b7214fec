"""Tenants on one metered account: who asks more often gets no more than who waits."""

from __future__ import annotations

import subprocess
import sys
import time
from collections import Counter

from crm_integration.transport.budget import BudgetGate
from crm_integration.transport.quota import CallBudget
from crm_integration_tests.house import House

_CALLER = """
import sys, threading, time
from crm_integration.storage.engine import engine_for
from crm_integration.transport.budget import BudgetGate
from crm_integration.transport.quota import CallBudget
url, tenant, workers, purpose = sys.argv[1], sys.argv[2], int(sys.argv[3]), sys.argv[4]
engine = engine_for(url, pool_size=10)
sys.stdin.readline()
until = time.monotonic() + 8
def work():
    gate = BudgetGate(engine, "api2cart", sys.argv[5].encode(),
                      {"all": CallBudget(calls=20, seconds=1)}, tenant=tenant, purpose=purpose)
    while time.monotonic() < until:
        gate("all")
        sys.stdout.write(f"{tenant} {time.time()}\\n")  # in one piece: threads share it
threads = [threading.Thread(target=work) for _ in range(workers)]
[one.start() for one in threads]
[one.join() for one in threads]
"""


def _run(house: House, account: str, *callers: tuple[str, int, str]) -> Counter[str]:
    """Calls by tenant from the third second on, of (tenant, workers, purpose)."""
    started = [
        subprocess.Popen(
            [sys.executable, "-c", _CALLER, house.urls.ops, name, str(workers), purpose, account],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for name, workers, purpose in callers
    ]
    time.sleep(3)  # all have imported what they need
    for one in started:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    lines = [
        line.split() for one in started for line in one.communicate(timeout=60)[0].splitlines()
    ]
    begin = min(float(at) for _, at in lines) + 3
    return Counter(tenant for tenant, at in lines if begin <= float(at) < begin + 4)


def test_a_greedy_tenant_leaves_its_neighbour_its_share(house: House) -> None:
    """Eight workers of one tenant took eight of nine turns from a neighbour with one."""
    made = _run(house, "fair", ("greedy", 8, "live"), ("modest", 1, "live"))
    total = made.total()
    assert made["modest"] >= 0.35 * total, made
    assert total >= 0.85 * 4 * 20, made


def test_nobody_leaves_room_for_who_does_not_ask(house: House) -> None:
    """A fixed share for each of fifty tenants left the key idle at night."""
    gates = [
        BudgetGate(
            house.engines.ops,
            "api2cart",
            b"alone",
            {"all": CallBudget(calls=20, seconds=600)},
            tenant=tenant,
            purpose="live",
        )
        for tenant in ("once", "always")
    ]
    gates[0]("all")
    began = time.monotonic()
    for _ in range(19):
        gates[1]("all")
    assert time.monotonic() - began < 5


def test_a_claim_of_a_backfill_does_not_stop_a_neighbours_live_calls(house: House) -> None:
    """Purpose comes before fairness: an order that comes in now is not a matter of shares."""
    made = _run(house, "purposes", ("live", 1, "live"), ("filling", 6, "backfill"))
    assert made["live"] >= 0.6 * made.total(), made
