"""Volume: a dead feed is found the next day, and a real shop's quiet days hold nothing."""

from __future__ import annotations

from collections import Counter
from datetime import date, timedelta
from uuid import uuid4

import pytest

from crm_integration.quality.holds import open_holds
from crm_integration.quality.options import read_options
from crm_integration.quality.release import release_by_person
from crm_integration.quality.suites import judge_windows
from crm_integration.quality.verdicts import Verdict, Window
from crm_integration.quality.volume import VOLUME, Outcome, compare
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration_tests.quality.canonical_rows import add_customer, add_order, add_tenant
from crm_integration_tests.shared_data import SHARED

MONDAY = date(2024, 3, 4)
OPTIONS = read_options({})
ONE_DAY = timedelta(days=1)


@pytest.fixture
def tenant(tenancy: Tenancy) -> str:
    """A tenant of its own for each test."""
    name = f"t-{uuid4().hex[:12]}"
    add_tenant(tenancy, name)
    return name


def _compare(weeks: list[int], today: int) -> Outcome | str:
    """`weeks` from the oldest to last week's, all on Mondays."""
    counts = {MONDAY - timedelta(weeks=len(weeks) - at): n for at, n in enumerate(weeks)}
    return compare(counts | {MONDAY: today}, min(counts), MONDAY, OPTIONS)


def _below(weeks: list[int], today: int) -> bool:
    outcome = _compare(weeks, today)
    assert isinstance(outcome, Outcome)
    return outcome.below


def test_a_day_with_a_twentieth_of_the_usual_orders_is_far_below_and_a_fifth_is_not() -> None:
    weeks = [100, 110, 95, 102, 98, 105]
    assert _below(weeks, 5)
    assert _below(weeks, 0)
    assert not _below(weeks, 50)
    assert not _below(weeks, 20)


def test_a_small_shop_may_have_an_empty_day() -> None:
    """A shop of five orders a day was on hold every other week."""
    assert not _below([5, 6, 4, 5, 7, 5], 0)
    assert _below([15, 16, 14, 15, 17, 15], 0)


def test_a_shop_that_never_sells_on_this_weekday_is_right_to_have_no_order() -> None:
    assert not _below([0, 0, 0, 0, 0], 0)


def test_a_weekday_that_varies_wildly_is_given_more_room() -> None:
    assert not _below([20, 90, 15, 200, 30, 120, 10, 60], 8)


def test_one_holiday_among_the_weeks_before_does_not_lower_what_is_usual() -> None:
    assert _below([100, 0, 95, 102, 98, 105], 5)


def test_a_day_far_above_is_only_told() -> None:
    outcome = _compare([10, 11, 9, 10, 12, 10], 180)
    assert isinstance(outcome, Outcome)
    assert (outcome.above, outcome.below) == (True, False)


def test_a_young_shop_is_not_judged_and_the_reason_is_told() -> None:
    assert _compare([100, 100, 100], 0) == "fewer than 28 days of history"
    assert not isinstance(_compare([100, 100, 100, 100], 0), str)


def _orders_by_day() -> Counter[date]:
    if SHARED is None:
        pytest.skip("the Online Retail order book does not lie beside this checkout")
    import pyarrow.parquet as pq

    first: dict[str, date] = {}
    for path in sorted((SHARED / "data" / "online_retail").glob("*.parquet")):
        table = pq.read_table(path)
        names = {
            name.lower().replace(" ", "").replace("_", ""): name for name in table.column_names
        }
        numbers = table[names.get("invoice") or names["invoiceno"]].to_pylist()
        for number, when in zip(numbers, table[names["invoicedate"]].to_pylist(), strict=True):
            if str(number).isdigit():
                first.setdefault(str(number), date.fromisoformat(str(when)[:10]))
    return Counter(first.values())


def _fallen(counts: Counter[date], start: date, days: int) -> list[date]:
    found: list[date] = []
    for number in range(days):
        day = start + number * ONE_DAY
        outcome = compare(counts, start, day, OPTIONS)
        if isinstance(outcome, Outcome) and outcome.below:
            found.append(day)
    return found


def test_a_real_shop_falls_far_below_only_on_days_it_was_closed() -> None:
    """Two years of the Online Retail order book: no Saturdays, a break at Christmas, Easter."""
    counts = _orders_by_day()
    fallen = _fallen(counts, min(counts), (max(counts) - min(counts)).days + 1)
    assert all(counts[day] == 0 for day in fallen)
    assert len(fallen) < 40
    assert max(counts) not in fallen, "its last day ends at noon"
    assert not _fallen(counts, date(2010, 12, 1), 23), "the first days before Christmas"


def _fill(scope: TenantScope, first: date, numbers: list[int], label: str = "") -> None:
    buyer = add_customer(scope, first)
    for day, number in enumerate(numbers):
        for each in range(number):
            add_order(scope, first + day * ONE_DAY, f"{label}{day}-{each}", buyer)


def _judge(scope: TenantScope, days: list[date], today: date, **options: bool) -> list[Verdict]:
    given = {name.replace("_", "."): value for name, value in options.items()}
    windows = [Window(day, day + ONE_DAY) for day in days]
    found = judge_windows(scope, "order", windows, given, run_id="r", today=today)
    return [one for one in found if one.check_name == VOLUME]


START = MONDAY - 30 * ONE_DAY
QUIET = START + 30 * ONE_DAY


def test_yesterday_far_below_holds_until_a_day_within_bounds_has_closed(
    tenancy: Tenancy, tenant: str
) -> None:
    """A revoked webhook secret: orders stopped on Monday, the merchant called on Friday."""
    with tenancy.scope(tenant) as scope:
        _fill(scope, START, [20] * 30 + [1, 18])
        (verdict,) = _judge(scope, [QUIET], today=QUIET + ONE_DAY)
        assert (verdict.passed, verdict.rows, verdict.failed) == (False, 20, 19)
        (hold,) = open_holds(scope)["order"]
        assert hold.check_name == VOLUME
        assert hold.reason == (
            "Monday 2024-03-04 has 1 new order row(s), 19 fewer than usual; the same weekday "
            "before it, newest first: 20, 20, 20, 20"
        )
        assert "ends with the next closed day within bounds" in hold.fix
        (verdict,) = _judge(scope, [QUIET + ONE_DAY], today=QUIET + 2 * ONE_DAY)
        assert verdict.passed
        assert open_holds(scope) == {}


def test_a_quiet_day_that_a_person_let_go_does_not_hold_again(
    tenancy: Tenancy, tenant: str
) -> None:
    """The hold of a bank holiday came back with every run of the day."""
    with tenancy.scope(tenant) as scope:
        _fill(scope, START, [20] * 30 + [1])
        _judge(scope, [QUIET], today=QUIET + ONE_DAY)
    with tenancy.scope(tenant) as scope:
        assert release_by_person(scope, "order", None, "ana") == 1
    with tenancy.scope(tenant) as scope:
        (verdict,) = _judge(scope, [QUIET], today=QUIET + ONE_DAY)
        assert not verdict.passed
        assert open_holds(scope) == {}


def test_a_backfill_tells_of_quiet_days_and_holds_nothing(tenancy: Tenancy, tenant: str) -> None:
    """Three years were loaded, and every public holiday of them opened a hold."""
    days = [START + number * ONE_DAY for number in range(32)]
    with tenancy.scope(tenant) as scope:
        _fill(scope, START, [20] * 30 + [1, 18])
        found = _judge(scope, days, today=QUIET + 5 * ONE_DAY)
        assert all(one.passed for one in found)
        told = [one for one in found if one.details.get("far_below")]
        assert [one.window_start for one in told] == [QUIET]
        assert open_holds(scope) == {}


def test_months_and_days_that_are_not_over_are_skipped_with_the_reason(
    tenancy: Tenancy, tenant: str
) -> None:
    with tenancy.scope(tenant) as scope:
        (today,) = _judge(scope, [QUIET], today=QUIET)
        assert (today.passed, today.details["skipped"]) == (True, "the day is not over")
        month = [Window(date(2024, 2, 1), date(2024, 3, 1))]
        found = judge_windows(scope, "order", month, {}, run_id="r", today=QUIET)
        (verdict,) = [one for one in found if one.check_name == VOLUME]
        assert verdict.details["skipped"] == "only windows of one day are judged"


def test_volume_can_be_switched_off(tenancy: Tenancy, tenant: str) -> None:
    with tenancy.scope(tenant) as scope:
        _fill(scope, START, [20] * 30 + [1])
        assert _judge(scope, [QUIET], today=QUIET + ONE_DAY, volume_off=True) == []
        assert open_holds(scope) == {}
