"""The vendor's word: a refusal holds for all processes, a told limit replaces the assumed one."""

from __future__ import annotations

import subprocess
import sys
import time

import httpx
import pytest
from sqlalchemy import text

from crm_integration.crms.hubspot.limits import heard
from crm_integration.errors import Transient
from crm_integration.transport.budget import BudgetGate, agreed_budgets, refused
from crm_integration.transport.quota import CallBudget
from crm_integration_tests.house import House

LONG = {"all": CallBudget(calls=10, seconds=600)}


def _gate(house: House, account: str, budgets: dict[str, CallBudget] | None = None) -> BudgetGate:
    return BudgetGate(
        house.engines.ops, "hubspot", account.encode(), budgets or LONG, purpose="live"
    )


def _calls(gate: BudgetGate) -> int:
    before = gate.calls
    with pytest.raises(Transient):
        while gate.calls - before < 1000:
            gate("batch")
    return gate.calls - before


_OTHER = """
import sys, time
from crm_integration.storage.engine import engine_for
from crm_integration.transport.budget import BudgetGate
from crm_integration.transport.quota import CallBudget
gate = BudgetGate(engine_for(sys.argv[1]), "hubspot", b"pause",
                  {"all": CallBudget(calls=10, seconds=600)}, purpose="live")
sys.stdin.readline()
gate("batch")
print(time.time(), flush=True)
"""


def test_a_refusal_pauses_every_process(house: House) -> None:
    """Each process learned of the limit by a 429 of its own."""
    command = [sys.executable, "-c", _OTHER, house.urls.ops]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        gate = _gate(house, "pause")
        gate("batch")
        began = time.time()
        refused(gate, "all", Transient("too many", retry_after=3.0, status=429))
        told, _ = other.communicate("\n", timeout=60)
    assert float(told) >= began + 3.0


def test_a_refusal_halves_the_rate_once_and_it_comes_back(house: House) -> None:
    """Ten calls under way at a refusal made ten, and a tenth of a rate is no rate."""
    budgets = {"all": CallBudget(calls=20, seconds=600)}
    gate = _gate(house, "halved", budgets)
    for _ in range(5):
        gate.refused("all", 0.0)
    with house.engines.ops.begin() as connection:
        rate = connection.scalar(
            text("select rate from budgets where account = :a"), {"a": b"halved"}
        )
        assert rate == 0.5
    assert _calls(gate) == 10
    with house.engines.ops.begin() as connection:
        back = "update budgets set slowed_at = slowed_at - 600 * :windows where account = :a"
        connection.execute(text(back), {"a": b"halved", "windows": 4})
    assert _calls(gate) == 4, "a twentieth a window"


def test_a_refusal_of_one_class_leaves_the_others_alone(house: House) -> None:
    """Searches have a quota of their own: writes went on at half the rate."""
    gate = _gate(house, "class", {**LONG, "search": CallBudget(calls=4, seconds=600)})
    gate.refused("search", 30.0)
    gate("batch")
    with pytest.raises(Transient) as waits:
        gate("search")
    assert waits.value.retry_after == pytest.approx(30, abs=2)


def _answer(interval: str = "600000", **figures: int) -> httpx.Response:
    names = {
        "limit": "Max", "remaining": "Remaining", "day": "Daily", "left": "Daily-Remaining",
    }  # fmt: skip
    headers = {f"X-HubSpot-RateLimit-{names[key]}": str(one) for key, one in figures.items()}
    return httpx.Response(
        200, headers={**headers, "X-HubSpot-RateLimit-Interval-Milliseconds": interval}
    )


def test_the_limit_that_headers_tell_holds(house: House) -> None:
    """Every account was held to the smallest plan's figure."""
    gate = _gate(house, "told")
    gate("batch")
    heard(gate, _answer(limit=20, remaining=19))
    assert _calls(gate) == 19
    other = _gate(house, "lower")
    other("batch")
    heard(other, _answer(limit=5, remaining=4))
    assert _calls(other) == 4


def test_what_other_programs_use_is_left_to_them(house: House) -> None:
    """Two integrations on one portal: each reckoned with the whole quota."""
    gate = _gate(house, "shared")
    gate("batch")
    heard(gate, _answer(limit=10, remaining=3))
    assert _calls(gate) == 3


def test_what_is_left_of_the_day_is_what_the_vendor_says(house: House) -> None:
    """Other programs had used up the day before we began to count it."""
    gate = _gate(house, "daily", {"day": CallBudget(calls=1000, seconds=86400)})
    gate("batch")
    heard(gate, _answer(day=500, left=6))
    assert _calls(gate) == 6


def test_a_header_that_is_no_figure_says_nothing(house: House) -> None:
    """An empty or broken header made a limit of zero."""
    gate = _gate(house, "broken")
    gate("batch")
    names = ("Max", "Remaining", "Daily", "Daily-Remaining")
    headers = {f"X-HubSpot-RateLimit-{name}": "-1" for name in names}
    headers["X-HubSpot-RateLimit-Max"] = "0"
    heard(gate, httpx.Response(200, headers=headers))
    assert _calls(gate) == 9


def test_what_a_person_set_is_not_raised_by_a_header(house: House) -> None:
    """A portal half left to its sales team's own program was filled to its last call."""
    own = agreed_budgets({"budgets": {"all": {"calls": 5, "seconds": 600}}})
    gate = _gate(house, "agreed", own)
    gate("batch")
    heard(gate, _answer(limit=20, remaining=19))
    assert _calls(gate) == 4


def test_figures_of_another_window_say_nothing(house: House) -> None:
    """What is allowed in ten seconds was taken for what is allowed in one."""
    gate = _gate(house, "interval")
    gate("batch")
    heard(gate, _answer(interval="10000", limit=20, remaining=1))
    assert _calls(gate) == 9
