"""Judged windows: verdicts by day, holds on closed days only, and their release."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from crm_integration.errors import BadInput
from crm_integration.quality.holds import open_holds
from crm_integration.quality.quarantine import QuarantineEntry, keep_back, release_passed
from crm_integration.quality.rules import rules_version
from crm_integration.quality.suites import ROW_RULES, SET_RULES, judge_windows
from crm_integration.quality.verdicts import Verdict, Window, failing_since, latest
from crm_integration.storage.engine import engine_for
from crm_integration.storage.tables.tenancy import audit_trail
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration_tests.quality.canonical_rows import (
    add_customer,
    add_order,
    add_raw,
    add_refund,
    clear,
)

_days = iter(date(2011, 1, 1) + timedelta(days=10 * n) for n in range(1000))


@pytest.fixture
def day(tenancy: Tenancy) -> Iterator[date]:
    """A day no other test has used (verdicts and raw records are never deleted)."""
    yield next(_days)
    with tenancy.scope("aurora") as scope:
        clear(scope)


def _window(day: date, days: int = 1) -> Window:
    return Window(day, day + timedelta(days=days))


def _judge(
    scope: TenantScope, entity: str, windows: Sequence[Window], **more: Any
) -> dict[tuple[date, str], Verdict]:
    given = {"options": {}, "run_id": "run-1", "today": date(2040, 1, 1)} | more
    options = given.pop("options")
    found = judge_windows(scope, entity, windows, options, **given)
    return {(one.window_start, one.check_name): one for one in found}


def _kept_back(scope: TenantScope, day: date, number: int) -> list[QuarantineEntry]:
    entries = [
        QuarantineEntry(
            "order", f"A{n}", -1, "order.total", add_raw(scope, day), "negative", "Fix."
        )
        for n in range(number)
    ]
    keep_back(scope, "shop", entries, rules_version=rules_version({}), run_id="run-1")
    return entries


def test_failures_belong_to_the_day_they_lie_on_and_to_no_other(
    tenancy: Tenancy, day: date
) -> None:
    """One bad day turned the whole month red, and nobody looked any more."""
    next_day = day + timedelta(days=1)
    with tenancy.scope("aurora") as scope:
        buyer = add_customer(scope, day)
        add_order(scope, day, "1", buyer)
        add_order(scope, next_day, "2", buyer)
        add_order(scope, next_day, "3", uuid4())
        found = _judge(scope, "order", [_window(next_day), _window(day)])
    assert found[day, SET_RULES].passed
    bad = found[next_day, SET_RULES]
    assert (bad.passed, bad.rows, bad.failed) == (False, 2, 1)
    assert bad.details["rules"] == {"order.customer": 1}


def test_an_order_stored_twice_fails_though_its_rows_lie_in_two_chunks(
    tenancy: Tenancy, day: date
) -> None:
    """The duplicate began one chunk and ended the one before: neither check saw it."""
    with tenancy.scope("aurora") as scope:
        buyer = add_customer(scope, day)
        for source_id in ("a", "b", "b", "c", "d"):
            add_order(scope, day, source_id, buyer)
        found = _judge(scope, "order", [_window(day)], chunk_rows=2)
    assert found[day, SET_RULES].details["rules"] == {"order.unique": 2}
    assert (found[day, SET_RULES].failed, found[day, ROW_RULES].rows) == (1, 5)


def test_rows_and_lines_in_the_tables_are_judged_by_the_row_rules_again(
    tenancy: Tenancy, day: date
) -> None:
    """Rows written before a rule existed stayed in the CRM, and no check mentioned them."""
    with tenancy.scope("aurora") as scope:
        buyer = add_customer(scope, day)
        add_order(scope, day, "1", buyer, total_minor=-1, flags=["total_differs"])
        add_order(scope, day, "2", buyer, quantity=-3, rules_version="old")
        strict = {"quarantine.min_rows": 1}
        verdict = _judge(scope, "order", [_window(day)], options=strict)[day, ROW_RULES]
    assert (verdict.passed, verdict.rows, verdict.failed) == (False, 2, 2)
    assert verdict.details["rules"] == {
        "order.total": 1,
        "order.total_adds_up": 1,
        "order_line.quantity": 1,
    }
    assert verdict.details["flagged"] == {"total_differs": 1}
    assert verdict.details["accepted_by_other_rules"] == 1


def test_a_closed_day_of_which_a_third_is_kept_back_holds_orders_until_it_passes(
    tenancy: Tenancy, day: date
) -> None:
    """A changed number format quarantined half a day; the other half went out as if complete."""
    with tenancy.scope("aurora") as scope:
        buyer = add_customer(scope, day)
        for number in range(100):
            add_order(scope, day, str(number), buyer)
        entries = _kept_back(scope, day, 50)
        verdict = _judge(scope, "order", [_window(day)])[day, ROW_RULES]
        assert (verdict.passed, verdict.rows, verdict.failed) == (False, 150, 50)
        (hold,) = open_holds(scope)["order"]
        assert (hold.check_name, hold.records) == (ROW_RULES, 50)
    with tenancy.scope("aurora") as scope:
        release_passed(scope, "shop", "order", [entries[0].source_id], set())
        assert _judge(scope, "order", [_window(day)])[day, ROW_RULES].passed, "49 are few"
        assert open_holds(scope) == {}
        actions = select(audit_trail.c.action).where(audit_trail.c.actor == "check row_rules")
        last = scope.connection.execute(actions.order_by(audit_trail.c.entry_id)).scalars().all()
        assert last[-2:] == ["hold.open", "hold.release"]


def test_thirty_percent_kept_back_pass_and_more_do_not(tenancy: Tenancy, day: date) -> None:
    with tenancy.scope("aurora") as scope:
        buyer = add_customer(scope, day)
        for number in range(7):
            add_order(scope, day, str(number), buyer)
        few = {"quarantine.min_rows": 1}
        _kept_back(scope, day, 3)
        assert _judge(scope, "order", [_window(day)], options=few)[day, ROW_RULES].passed
        _kept_back(scope, day, 4)
        assert not _judge(scope, "order", [_window(day)], options=few)[day, ROW_RULES].passed


def test_a_day_that_is_not_over_fails_without_holding_anything(tenancy: Tenancy, day: date) -> None:
    """At five past midnight the day's first refund came before its order, and all stood still."""
    with tenancy.scope("aurora") as scope:
        add_refund(scope, day, "1", order_source_id="77", order_id=uuid4())
        found = _judge(scope, "refund", [_window(day)], today=day)
        assert not found[day, SET_RULES].passed
        assert open_holds(scope) == {}
        _judge(scope, "refund", [_window(day)], today=day + timedelta(days=1))
        assert list(open_holds(scope)) == ["refund"]


def test_a_hold_stays_while_another_closed_day_still_fails(tenancy: Tenancy, day: date) -> None:
    """The check of a good day released what the bad day before it had stopped."""
    later = day + timedelta(days=3)
    with tenancy.scope("aurora") as scope:
        buyer, bad = add_customer(scope, day), uuid4()
        add_order(scope, day, "1", bad)
        add_order(scope, later, "2", bad)
        _judge(scope, "order", [_window(day), _window(later)])
        assert open_holds(scope)["order"][0].records == 2
        add_customer(scope, day, customer_id=bad)
        add_order(scope, later, "3", uuid4())
        _judge(scope, "order", [_window(day)])
        assert open_holds(scope)["order"][0].records == 1, "the later day was not judged again"
        clear_order = _judge(scope, "order", [_window(day, 10)])
        assert clear_order[day, SET_RULES].failed == 1
        add_order(scope, later, "4", buyer)


def test_a_wider_window_that_passes_outlives_the_failure_of_a_day_within(
    tenancy: Tenancy, day: date
) -> None:
    """After the change from days to months old failed days held the tenant for ever."""
    missing = uuid4()
    with tenancy.scope("aurora") as scope:
        add_order(scope, day, "1", missing)
        _judge(scope, "order", [_window(day)])
        assert list(open_holds(scope)) == ["order"]
        add_customer(scope, day, customer_id=missing)
        _judge(scope, "order", [_window(day, 5)])
        assert open_holds(scope) == {}


def test_a_refund_is_accounted_for_by_its_order_or_by_none_or_by_a_kept_back_one(
    tenancy: Tenancy, day: date
) -> None:
    """One quarantined order put all refunds of the merchant on hold."""
    with tenancy.scope("aurora") as scope:
        order_id = add_order(scope, day, "1", add_customer(scope, day))
        add_refund(scope, day, "r1", order_source_id="1", order_id=order_id)
        add_refund(scope, day, "r2")
        _kept_back(scope, day, 1)
        add_refund(scope, day, "r3", order_source_id="A0")
        add_refund(scope, day, "r4", order_source_id="gone", amount_minor=0)
        found = _judge(scope, "refund", [_window(day)])
    assert found[day, SET_RULES].details["rules"] == {"refund.order": 1}
    assert found[day, ROW_RULES].passed
    assert found[day, ROW_RULES].details["rules"] == {"refund.amount": 1}, "flagged, not failed"
    assert found[day, ROW_RULES].failed == 0


@pytest.mark.parametrize("entity", ["customer", "product", "order", "refund"])
def test_a_day_without_rows_passes_every_check(tenancy: Tenancy, day: date, entity: str) -> None:
    with tenancy.scope("aurora") as scope:
        found = _judge(scope, entity, [_window(day)])
    assert [(one.passed, one.rows, one.highest_raw_id) for one in found.values()] == [
        (True, 0, 0)
    ] * 2


def test_guests_and_merged_customers_are_judged_by_what_they_are(
    tenancy: Tenancy, day: date
) -> None:
    with tenancy.scope("aurora") as scope:
        kept = add_customer(scope, day, store_customer_id="7")
        add_customer(scope, day, store_customer_id="7", merged_into=kept)
        add_customer(scope, day, kind="guest")
        add_customer(scope, day, kind="guest")
        found = _judge(scope, "customer", [_window(day)])
        assert (found[day, SET_RULES].failed, found[day, SET_RULES].rows) == (0, 3)
        add_customer(scope, day, store_customer_id="7")
        assert _judge(scope, "customer", [_window(day)])[day, SET_RULES].failed == 1


def test_a_verdict_is_read_back_as_it_was_given(tenancy: Tenancy, day: date) -> None:
    with tenancy.scope("aurora") as scope:
        add_order(scope, day, "1", add_customer(scope, day))
        newest = add_raw(scope, day)
        _judge(scope, "order", [_window(day)])
        again = _judge(scope, "order", [_window(day)])
        found = latest(scope, "order", _window(day))
    assert found == {check: verdict for (_, check), verdict in again.items()}
    assert found[ROW_RULES].highest_raw_id == newest


def test_another_tenants_rows_and_verdicts_are_invisible(tenancy: Tenancy, day: date) -> None:
    with tenancy.scope("aurora") as scope:
        add_order(scope, day, "1", uuid4())
        _judge(scope, "order", [_window(day)])
    with tenancy.scope("borealis") as scope:
        assert latest(scope, "order", _window(day)) == {}
        found = _judge(scope, "order", [_window(day)])
        assert all(one.passed and one.rows == 0 for one in found.values())
        assert open_holds(scope) == {}
    with tenancy.scope("aurora") as scope:
        assert list(open_holds(scope)) == ["order"]


def test_the_alert_sensor_reads_failures_of_all_tenants_with_its_own_role(
    tenancy: Tenancy, day: date, urls: DatabaseUrls
) -> None:
    """Alerts ran as a role that could also read customers."""
    with engine_for(urls.ops).connect() as ops:
        seen = failing_since(ops, 0, 10_000)
        last = seen[-1].verdict_id if seen else 0
        for tenant in ("aurora", "borealis"):
            with tenancy.scope(tenant) as scope:
                add_order(scope, day, f"{tenant}-1", uuid4())
                _judge(scope, "order", [_window(day)])
                clear(scope)
        found = failing_since(ops, last, 10)
        assert [(one.tenant, one.verdict.check_name) for one in found] == [
            ("aurora", SET_RULES),
            ("borealis", SET_RULES),
        ]
        assert failing_since(ops, found[0].verdict_id, 1) == found[1:]
        assert "-1" not in str(found[0].verdict.details)


def test_overlapping_windows_and_wrong_options_are_refused(tenancy: Tenancy, day: date) -> None:
    with tenancy.scope("aurora") as scope:
        with pytest.raises(ValueError, match="overlap"):
            _judge(scope, "order", [_window(day, 2), _window(day + timedelta(days=1))])
        with pytest.raises(BadInput, match=r"quarantine\.max_share"):
            _judge(scope, "order", [_window(day)], options={"quarantine.max_shar": 1})
