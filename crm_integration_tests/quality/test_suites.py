"""Judged windows: verdicts by day, holds on closed days only, and their release."""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import date, timedelta
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select

from crm_integration.canonical.entities import ENTITIES
from crm_integration.errors import BadInput
from crm_integration.quality.holds import open_holds
from crm_integration.quality.quarantine import QuarantineEntry, keep_back, release_passed
from crm_integration.quality.rules import rules_version
from crm_integration.quality.suites import checks_of, judge_windows
from crm_integration.quality.verdicts import Verdict, Window, failing_since, latest
from crm_integration.quality.window_holds import ROW_RULES, SET_RULES
from crm_integration.storage.engine import engine_for
from crm_integration.storage.tables.tenancy import audit_trail
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration_tests.quality.canonical_rows import (
    add_customer,
    add_order,
    add_raw,
    add_refund,
    add_tenant,
)

DAY = date(2011, 1, 1)
AT_ONCE = timedelta(0)


@pytest.fixture
def tenant(tenancy: Tenancy) -> str:
    """A tenant of its own for each test: verdicts are never deleted, and old failures hold."""
    name = f"t-{uuid4().hex[:12]}"
    add_tenant(tenancy, name)
    return name


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
    tenancy: Tenancy, tenant: str
) -> None:
    """One bad day turned the whole month red, and nobody looked any more."""
    next_day = DAY + timedelta(days=1)
    with tenancy.scope(tenant) as scope:
        buyer = add_customer(scope, DAY)
        add_order(scope, DAY, "1", buyer)
        add_order(scope, next_day, "2", buyer)
        add_order(scope, next_day, "3", uuid4())
        found = _judge(scope, "order", [_window(next_day), _window(DAY)])
    assert found[DAY, SET_RULES].passed
    bad = found[next_day, SET_RULES]
    assert (bad.passed, bad.rows, bad.failed) == (False, 2, 1)
    assert bad.details["rules"] == {"order.customer": 1}


def test_an_order_stored_twice_fails_though_its_rows_lie_in_two_chunks(
    tenancy: Tenancy, tenant: str
) -> None:
    """The duplicate began one chunk and ended the one before: neither check saw it."""
    with tenancy.scope(tenant) as scope:
        buyer = add_customer(scope, DAY)
        for source_id in ("a", "b", "b", "c", "d"):
            add_order(scope, DAY, source_id, buyer)
        found = _judge(scope, "order", [_window(DAY)], chunk_rows=2)
    assert found[DAY, SET_RULES].details["rules"] == {"order.unique": 2}
    assert (found[DAY, SET_RULES].failed, found[DAY, ROW_RULES].rows) == (1, 5)


def test_rows_and_lines_in_the_tables_are_judged_by_the_row_rules_again(
    tenancy: Tenancy, tenant: str
) -> None:
    """Rows written before a rule existed stayed in the CRM, and no check mentioned them."""
    with tenancy.scope(tenant) as scope:
        buyer = add_customer(scope, DAY)
        add_order(scope, DAY, "1", buyer, total_minor=-1, flags=["total_differs"])
        add_order(scope, DAY, "2", buyer, quantity=-3, rules_version="old")
        strict = {"quarantine.min_rows": 1}
        verdict = _judge(scope, "order", [_window(DAY)], options=strict)[DAY, ROW_RULES]
    assert (verdict.passed, verdict.rows, verdict.failed) == (False, 2, 2)
    assert verdict.details["rules"] == {
        "order.total": 1,
        "order.total_adds_up": 1,
        "order_line.quantity": 1,
    }
    assert verdict.details["flagged"] == {"total_differs": 1}
    assert verdict.details["accepted_by_other_rules"] == 1


def test_a_closed_day_of_which_a_third_is_kept_back_holds_orders_until_it_passes(
    tenancy: Tenancy, tenant: str
) -> None:
    """A changed number format quarantined half a day; the other half went out as if complete."""
    with tenancy.scope(tenant) as scope:
        buyer = add_customer(scope, DAY)
        for number in range(100):
            add_order(scope, DAY, str(number), buyer)
        entries = _kept_back(scope, DAY, 50)
        verdict = _judge(scope, "order", [_window(DAY)])[DAY, ROW_RULES]
        assert (verdict.passed, verdict.rows, verdict.failed) == (False, 150, 50)
        (hold,) = open_holds(scope)["order"]
        assert (hold.check_name, hold.records) == (ROW_RULES, 50)
    with tenancy.scope(tenant) as scope:
        release_passed(scope, "shop", "order", [entries[0].source_id], set())
        assert _judge(scope, "order", [_window(DAY)])[DAY, ROW_RULES].passed, "49 are few"
        assert open_holds(scope) == {}
        actions = select(audit_trail.c.action).where(audit_trail.c.actor == "check row_rules")
        last = scope.connection.execute(actions.order_by(audit_trail.c.entry_id)).scalars().all()
        assert last[-2:] == ["hold.open", "hold.release"]


def test_thirty_percent_kept_back_pass_and_more_do_not(tenancy: Tenancy, tenant: str) -> None:
    with tenancy.scope(tenant) as scope:
        buyer = add_customer(scope, DAY)
        for number in range(7):
            add_order(scope, DAY, str(number), buyer)
        few = {"quarantine.min_rows": 1}
        _kept_back(scope, DAY, 3)
        assert _judge(scope, "order", [_window(DAY)], options=few)[DAY, ROW_RULES].passed
        _kept_back(scope, DAY, 4)
        assert not _judge(scope, "order", [_window(DAY)], options=few)[DAY, ROW_RULES].passed


def test_a_day_that_is_not_over_fails_without_holding_anything(
    tenancy: Tenancy, tenant: str
) -> None:
    """At five past midnight the day's first refund came before its order, and all stood still."""
    with tenancy.scope(tenant) as scope:
        add_refund(scope, DAY, "1", order_source_id="77", order_id=uuid4())
        found = _judge(scope, "refund", [_window(DAY)], today=DAY)
        assert not found[DAY, SET_RULES].passed
        assert open_holds(scope) == {}
        _judge(scope, "refund", [_window(DAY)], today=DAY + timedelta(days=1))
        assert list(open_holds(scope)) == ["refund"]


def test_a_hold_stays_while_another_closed_day_still_fails(tenancy: Tenancy, tenant: str) -> None:
    """The check of a good day released what the bad day before it had stopped."""
    later = DAY + timedelta(days=3)
    with tenancy.scope(tenant) as scope:
        bad = uuid4()
        add_order(scope, DAY, "1", bad)
        add_order(scope, later, "2", bad)
        _judge(scope, "order", [_window(DAY), _window(later)])
        assert open_holds(scope)["order"][0].records == 2
        add_customer(scope, DAY, customer_id=bad)
        add_order(scope, later, "3", uuid4())
        _judge(scope, "order", [_window(DAY)])
        assert open_holds(scope)["order"][0].records == 1, "the later day was not judged again"


def test_a_wider_window_that_passes_outlives_the_failure_of_a_day_within(
    tenancy: Tenancy, tenant: str
) -> None:
    """After the change from days to months old failed days held the tenant for ever."""
    missing = uuid4()
    with tenancy.scope(tenant) as scope:
        add_order(scope, DAY, "1", missing)
        _judge(scope, "order", [_window(DAY)])
        assert list(open_holds(scope)) == ["order"]
        add_customer(scope, DAY, customer_id=missing)
        _judge(scope, "order", [_window(DAY, 5)])
        assert open_holds(scope) == {}


def test_a_refund_is_accounted_for_by_its_order_or_by_none_or_by_a_kept_back_one(
    tenancy: Tenancy, tenant: str
) -> None:
    """One quarantined order put all refunds of the merchant on hold."""
    with tenancy.scope(tenant) as scope:
        order_id = add_order(scope, DAY, "1", add_customer(scope, DAY))
        add_refund(scope, DAY, "r1", order_source_id="1", order_id=order_id)
        add_refund(scope, DAY, "r2")
        _kept_back(scope, DAY, 1)
        add_refund(scope, DAY, "r3", order_source_id="A0")
        add_refund(scope, DAY, "r4", order_source_id="gone", amount_minor=0)
        found = _judge(scope, "refund", [_window(DAY)])
    assert found[DAY, SET_RULES].details["rules"] == {"refund.order": 1}
    assert found[DAY, ROW_RULES].passed
    assert found[DAY, ROW_RULES].details["rules"] == {"refund.amount": 1}, "flagged, not failed"
    assert found[DAY, ROW_RULES].failed == 0


@pytest.mark.parametrize("entity", ENTITIES)
def test_a_day_without_rows_passes_every_check(tenancy: Tenancy, tenant: str, entity: str) -> None:
    with tenancy.scope(tenant) as scope:
        found = _judge(scope, entity, [_window(DAY)])
    assert [(one.passed, one.rows, one.highest_raw_id) for one in found.values()] == [
        (True, 0, 0)
    ] * len(checks_of(entity))


def test_guests_and_merged_customers_are_judged_by_what_they_are(
    tenancy: Tenancy, tenant: str
) -> None:
    with tenancy.scope(tenant) as scope:
        kept = add_customer(scope, DAY, store_customer_id="7")
        add_customer(scope, DAY, store_customer_id="7", merged_into=kept)
        add_customer(scope, DAY, kind="guest")
        add_customer(scope, DAY, kind="guest")
        found = _judge(scope, "customer", [_window(DAY)])
        assert (found[DAY, SET_RULES].failed, found[DAY, SET_RULES].rows) == (0, 3)
        add_customer(scope, DAY, store_customer_id="7")
        assert _judge(scope, "customer", [_window(DAY)])[DAY, SET_RULES].failed == 1


def test_a_verdict_is_read_back_as_it_was_given(tenancy: Tenancy, tenant: str) -> None:
    with tenancy.scope(tenant) as scope:
        add_order(scope, DAY, "1", add_customer(scope, DAY))
        newest = add_raw(scope, DAY)
        _judge(scope, "order", [_window(DAY)])
        again = _judge(scope, "order", [_window(DAY)])
        found = latest(scope, "order", _window(DAY))
    assert found == {check: verdict for (_, check), verdict in again.items()}
    assert found[ROW_RULES].highest_raw_id == newest


def test_another_tenants_rows_and_verdicts_are_invisible(tenancy: Tenancy, tenant: str) -> None:
    with tenancy.scope(tenant) as scope:
        add_order(scope, DAY, "1", uuid4())
        _judge(scope, "order", [_window(DAY)])
    with tenancy.scope("borealis") as scope:
        assert latest(scope, "order", _window(DAY)) == {}
        found = _judge(scope, "order", [_window(DAY)])
        assert all(one.passed and one.rows == 0 for one in found.values())
        assert open_holds(scope) == {}
    with tenancy.scope(tenant) as scope:
        assert list(open_holds(scope)) == ["order"]


def test_the_alert_sensor_reads_failures_of_all_tenants_with_its_own_role(
    tenancy: Tenancy, tenant: str, urls: DatabaseUrls
) -> None:
    """Alerts ran as a role that could also read customers."""
    with engine_for(urls.ops).connect() as ops:
        seen = failing_since(ops, 0, 10_000, settled_for=AT_ONCE)
        last = seen[-1].verdict_id if seen else 0
        for name in ("aurora", "borealis"):
            with tenancy.scope(name) as scope:
                add_order(scope, DAY, f"{name}-1", uuid4())
                _judge(scope, "order", [_window(DAY)])
        found = failing_since(ops, last, 10, settled_for=AT_ONCE)
        assert [(one.tenant, one.verdict.check_name) for one in found] == [
            ("aurora", SET_RULES),
            ("borealis", SET_RULES),
        ]
        rest = failing_since(ops, found[0].verdict_id, 1, settled_for=AT_ONCE)
        assert rest == found[1:]
        assert "-1" not in str(found[0].verdict.details)


def test_a_verdict_that_is_committed_after_a_later_one_is_not_skipped(
    tenancy: Tenancy, tenant: str, urls: DatabaseUrls
) -> None:
    """Tenants are judged at once: the alert went on behind the quick one, the slow one's failure
    was never told."""
    soon = timedelta(seconds=1)
    with engine_for(urls.ops).connect() as ops:
        seen = failing_since(ops, 0, 10_000, settled_for=AT_ONCE)
        last = seen[-1].verdict_id if seen else 0
        with tenancy.scope(tenant) as slow:
            add_order(slow, DAY, "slow-1", uuid4())
            _judge(slow, "order", [_window(DAY)])
            with tenancy.scope("borealis") as quick:
                add_order(quick, DAY, "quick-1", uuid4())
                _judge(quick, "order", [_window(DAY)])
            assert failing_since(ops, last, 10, settled_for=soon) == ()
        time.sleep(1.2)
        found = failing_since(ops, last, 10, settled_for=soon)
    assert [one.tenant for one in found] == [tenant, "borealis"]


def test_overlapping_windows_and_wrong_options_are_refused(tenancy: Tenancy, tenant: str) -> None:
    with tenancy.scope(tenant) as scope:
        with pytest.raises(ValueError, match="overlap"):
            _judge(scope, "order", [_window(DAY, 2), _window(DAY + timedelta(days=1))])
        with pytest.raises(BadInput, match=r"quarantine\.max_share"):
            _judge(scope, "order", [_window(DAY)], options={"quarantine.max_shar": 1})
