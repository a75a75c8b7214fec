"""Purposes and days: what is less urgent leaves room, and what is used up comes back."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime

import pytest
from pydantic import ValidationError
from sqlalchemy import text

from crm_integration.errors import Transient
from crm_integration.transport.budget import LONGEST_TOLD, BudgetGate
from crm_integration.transport.quota import CallBudget, Purpose
from crm_integration.transport.retry import BUDGET
from crm_integration_tests.house import House

LONG = {"all": CallBudget(calls=10, seconds=600)}
"""A window that does not end within a test."""


def _gate(
    house: House, account: str, purpose: Purpose, budgets: dict[str, CallBudget] | None = None
) -> BudgetGate:
    place = (house.engines.ops, "hubspot", account.encode(), budgets or LONG)
    return BudgetGate(*place, purpose=purpose)


def _calls(gate: BudgetGate) -> int:
    """How many calls leave before one is refused."""
    before = gate.calls
    with pytest.raises(Transient) as refused:
        while gate.calls - before < 1000:
            gate("batch")
    assert refused.value.code == BUDGET
    return gate.calls - before


def test_lower_purposes_leave_a_reserve(house: House) -> None:
    """A backfill that took the whole window made a new order wait for it."""
    assert _calls(_gate(house, "reserve", "backfill")) == 7
    assert _calls(_gate(house, "reserve", "reconcile")) == 2
    assert _calls(_gate(house, "reserve", "live")) == 1
    assert _calls(_gate(house, "reserve", "backfill")) == 0


def test_a_connection_sets_its_own_reserves(house: House) -> None:
    """A portal with no live traffic wants its first backfill over with."""
    own = {"all": CallBudget(calls=10, seconds=600, reconcile=0.5, backfill=0.2)}
    assert _calls(_gate(house, "own", "backfill", own)) == 2
    assert _calls(_gate(house, "own", "reconcile", own)) == 3
    with pytest.raises(ValidationError):
        CallBudget(calls=10, seconds=1, backfill=1.5)


def test_live_does_not_queue_behind_a_waiting_backfill(house: House) -> None:
    """Turns booked for a backfill seconds ahead came before every live call."""
    budget = {"all": CallBudget(calls=10, seconds=3)}

    def fill() -> None:
        gate = _gate(house, "queue", "backfill", budget)
        for _ in range(4):
            gate("batch")

    threads = [threading.Thread(target=fill) for _ in range(3)]
    for one in threads:
        one.start()
    time.sleep(1.0)  # 7 of 12 have left, three threads wait for their turns
    live = _gate(house, "queue", "live", budget)
    began = time.monotonic()
    for _ in range(3):
        live("batch")
    assert time.monotonic() - began < 1.0
    for one in threads:
        one.join(20)


def test_a_day_that_is_used_up_says_when_it_begins_anew(house: House) -> None:
    """A quota of a day known only by its 429s was asked for again every few seconds."""
    budgets = {"day": CallBudget(calls=10, seconds=86400)}
    assert _calls(_gate(house, "day", "backfill", budgets)) == 7
    live = _gate(house, "day", "live", budgets)
    assert _calls(live) == 3
    with pytest.raises(Transient) as refused:
        live("batch")
    assert refused.value.retry_after == LONGEST_TOLD
    with house.engines.ops.begin() as connection:
        place = {"a": b"day"}
        logged = connection.execute(
            text("select starts, used from budgets where account = :a"), place
        ).one()
        assert (logged.starts, logged.used) == ([], 10), "a day's calls are counted, not listed"
        yesterday = "update budgets set used_since = used_since - 86401 where account = :a"
        connection.execute(text(yesterday), place)
    live("batch")


def test_a_quota_ends_with_the_vendors_day(house: House) -> None:
    """Counted from the first call, the new day's quota lay idle until the afternoon."""
    budgets = {"day": CallBudget(calls=3, seconds=86400, resets="00:00 Europe/Berlin")}
    gate = _gate(house, "reset", "live", budgets)
    assert _calls(gate) == 3
    with house.engines.ops.begin() as connection:
        since = connection.scalar(
            text(
                "update budgets set used_since = used_since - 86400 where account = :a"
                " returning used_since + 86400"
            ),
            {"a": b"reset"},
        )
    period = budgets["day"].period(datetime.now(UTC))
    assert period is not None
    assert since == period[0].timestamp()
    assert _calls(gate) == 3


@pytest.mark.parametrize(
    ("now", "begin", "end"),
    [
        ("2026-03-29T12:00", "2026-03-28T23:00", "2026-03-29T22:00"),  # a day of 23 hours
        ("2026-06-01T21:59", "2026-05-31T22:00", "2026-06-01T22:00"),
        ("2026-06-01T22:00", "2026-06-01T22:00", "2026-06-02T22:00"),
    ],
)
def test_a_day_is_one_of_the_vendors_clock(now: str, begin: str, end: str) -> None:
    budget = CallBudget(calls=1, seconds=86400, resets="00:00 Europe/Berlin")
    moment, *expected = (
        datetime.fromisoformat(one).replace(tzinfo=UTC) for one in (now, begin, end)
    )
    assert budget.period(moment) == tuple(expected)


def test_a_call_is_booked_in_all_its_budgets_or_in_none(house: House) -> None:
    """A search that found its own second full had used up one of all calls for nothing."""
    budgets = {**LONG, "search": CallBudget(calls=1, seconds=600)}
    gate = _gate(house, "both", "live", budgets)
    gate("search")
    with pytest.raises(Transient):
        gate("search")
    with house.engines.ops.begin() as connection:
        found = connection.execute(
            text("select endpoint_class, calls from budgets where account = :a"), {"a": b"both"}
        )
        assert {row.endpoint_class: row.calls for row in found} == {"all": 1, "search": 1}
