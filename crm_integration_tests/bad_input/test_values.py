"""Amounts, times, states and types that nobody promised, through the whole engine."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from crm_integration.canonical.orders import Order
from crm_integration.stores._contract import Unreadable
from crm_integration_tests.bad_input.accounting import settled
from crm_integration_tests.bad_input.samples import Path, Sample, leaves, replaced
from crm_integration_tests.bad_input.values import (
    AMOUNTS,
    MOMENTS,
    OTHER_TYPES,
    STATES,
    all_at_once,
    every_place,
    in_turn,
    moments_of,
    money_of,
    states_of,
)
from crm_integration_tests.house import Tenant

Samples = tuple[Sample, ...]


def test_amounts_in_any_spelling(tenant: Tenant, samples: Samples) -> None:
    """`1,234.50` read as 1, NaN in a sum, and one 1e30 that ended the statement for all others."""
    batch = [*in_turn(samples, money_of, AMOUNTS), *all_at_once(samples, money_of, AMOUNTS)]
    account = settled(tenant, batch)
    assert account.outcomes["applied"]
    assert account.outcomes["quarantined"]


def test_an_amount_that_is_read_is_read_right(samples: Samples) -> None:
    """A spelling is refused or means what it says; nothing in between."""
    order = next(one for one in samples if one.object_type == "order")
    for amount in AMOUNTS:
        for path in money_of(order):
            try:
                found = order.read(replaced(order.document, {path: amount}))
            except Unreadable:
                continue
            totals = {one.total_minor for one in found if isinstance(one, Order)}
            assert totals <= {100_000, 1_000, _minor(amount)}, f"{amount!r} at {path}"


def _minor(amount: Any) -> int | None:
    """What an amount of pounds says, by the rules of people."""
    said = str(amount).strip() if isinstance(amount, str | int | float) else "0"
    try:
        return round(Decimal(said or "0") * 100)
    except (ArithmeticError, ValueError):
        return None


@pytest.mark.parametrize(("currency", "written", "minor"), [
    ("JPY", "1050", 1050), ("JPY", "1050.00", 1050), ("GBP", "10.50", 1050), ("GBP", "10.5", 1050),
    ("KWD", "1.050", 1050), ("KWD", "1.05", 1050),
])  # fmt: skip
def test_decimals_follow_the_currency(
    samples: Samples, platform: str, currency: str, written: str, minor: int
) -> None:
    """Yen times a hundred: a merchant saw orders of a million."""
    for sample in samples:
        if sample.object_type != "order":
            continue
        changes: dict[Path, Any] = {
            path: currency for path, value in leaves(sample.document) if value == "GBP"
        }
        for path in money_of(sample):
            if "quantity" not in str(path[-1]).lower():
                changes[path] = written
        found = sample.read(replaced(sample.document, changes))
        (total,) = [one.total_minor for one in found if isinstance(one, Order)]
        assert total == minor


def test_sums_beyond_what_a_column_holds(tenant: Tenant, samples: Samples) -> None:
    """Each amount fits; the customer's orders, an order's refunds or its pieces together do not."""
    largest = [2**31 - 1, "92233720368547758.07", 92233720368547758]
    batch = list(all_at_once(samples, money_of, largest))
    for sample in samples:
        for path in money_of(sample):
            batch += sample.copy(9_000_000 + len(batch), {path: largest[1]})
    settled(tenant, batch)


def test_times_of_no_calendar(tenant: Tenant, samples: Samples) -> None:
    """Empty dates of old databases, the end of time, and a leap day that was none."""
    batch = [*in_turn(samples, moments_of, MOMENTS), *all_at_once(samples, moments_of, MOMENTS)]
    account = settled(tenant, batch)
    assert account.outcomes["applied"]
    assert account.outcomes["quarantined"]


def test_objects_of_a_time_that_cannot_be(tenant: Tenant, samples: Samples) -> None:
    """A raw record's day lies in a column with an end, and windows are counted in days."""
    times = (datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC), None)
    batch = [
        replace(one, source_time=when)
        for turn, when in enumerate(times)
        for number, sample in enumerate(samples, start=1)
        for one in sample.copy(1_000 * turn + number)
    ]
    account = settled(tenant, batch)
    assert account.outcomes["applied"] == len(batch)
    assert not account.reasons


def test_states_nobody_documented(tenant: Tenant, samples: Samples) -> None:
    """A plugin's own order state must neither lose the order nor pass for paid."""
    batch = [*in_turn(samples, states_of, STATES), *all_at_once(samples, states_of, STATES)]
    account = settled(tenant, batch)
    assert account.outcomes["applied"] == sum(account.outcomes.values())
    assert not account.reasons


def test_any_place_may_hold_another_type(tenant: Tenant, samples: Samples) -> None:
    """A list where a text was, a number where a block was: one payload, and never its batch."""
    account = settled(tenant, in_turn(samples, every_place, OTHER_TYPES))
    assert account.outcomes["applied"]
    assert account.outcomes["quarantined"]
