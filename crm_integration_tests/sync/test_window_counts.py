"""What a run counts for its report, and what it leaves alone."""

from __future__ import annotations

from typing import Any

from sqlalchemy import event

from crm_integration.sync.window_counts import canonical_counts, ledger_counts, raw_counts
from crm_integration_tests.house import NOON, WHOLE, Tenant, account, at, order

SPAN = (WHOLE.start, WHOLE.end)


def _filled(tenant: Tenant) -> None:
    tenant.keep(account(1, at(0), "ada@example.com"), order(7, at(1), customer_id=1))
    tenant.derive()
    tenant.sync()


def test_only_what_was_run_is_counted(tenant: Tenant) -> None:
    """The sweep of carts, once a minute, counted every order, note and ledger row of its tenant
    for a report in which it spoke of carts alone."""
    _filled(tenant)
    asked: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        asked.append(statement)

    with tenant.scope() as scope:
        event.listen(scope.connection, "before_cursor_execute", note)
        assert set(canonical_counts(scope, SPAN, {"customer"})) == {"customer"}
        assert set(ledger_counts(scope, SPAN, {"contact"})) == {"contact"}
        assert set(raw_counts(scope, SPAN, {"customer"})) == {"customer"}
        event.remove(scope.connection, "before_cursor_execute", note)
    assert not [one for one in asked if "orders" in one or "activities" in one]


def test_a_run_that_sends_nothing_does_not_look_into_the_ledger(tenant: Tenant) -> None:
    """Selected nothing, counted everything."""
    _filled(tenant)
    with tenant.scope() as scope:
        assert not ledger_counts(scope, SPAN, ())
        assert not raw_counts(scope, SPAN, ())
        assert not canonical_counts(scope, SPAN, ())


def test_what_is_counted_is_the_same_as_before(tenant: Tenant) -> None:
    """Rows, money and states of the day on which the shop sold."""
    _filled(tenant)
    day = NOON.date()
    with tenant.scope() as scope:
        rows = canonical_counts(scope, SPAN, {"customer", "order"})
        sent = ledger_counts(scope, SPAN, {"contact", "order"})
    assert (rows["customer"][day].rows, rows["order"][day].rows) == (1, 1)
    assert dict(rows["order"][day].minor) == {"GBP": 1000}
    assert dict(sent["contact"][day].states) == {"synced": 1}
