"""Rows kept back: open, still open, released, opened anew, and invisible to others."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from crm_integration.quality.quarantine import (
    QuarantineEntry,
    counts,
    keep_back,
    objects,
    release_passed,
)
from crm_integration.storage.tables.quality import quarantine
from crm_integration.tenancy.scope import Tenancy, TenantScope

WHOLE = QuarantineEntry("order", "A563185", -1, "order.number", 1, "number_not_an_order", "Look.")
LINE = QuarantineEntry("order", "536365", 3, "order_line.quantity", 2, "quantity", "Refund it.")


def _keep(scope: TenantScope, *entries: QuarantineEntry, run_id: str = "run-1") -> None:
    keep_back(scope, "shop", entries, rules_version="v1", run_id=run_id)


def _rows(scope: TenantScope, source_id: str) -> list[dict[str, object]]:
    statement = select(quarantine).where(quarantine.c.source_id == source_id)
    return [dict(row) for row in scope.connection.execute(statement).mappings()]


@pytest.fixture(autouse=True)
def _empty(tenancy: Tenancy) -> None:
    with tenancy.scope("aurora") as scope:
        scope.connection.execute(quarantine.delete())


def test_a_row_kept_back_again_keeps_the_time_it_was_first_kept_back(tenancy: Tenancy) -> None:
    """A nightly replay made every quarantined order look as if it had failed only today."""
    with tenancy.scope("aurora") as scope:
        _keep(scope, WHOLE)
        (first,) = _rows(scope, "A563185")
    with tenancy.scope("aurora") as scope:
        _keep(scope, replace(WHOLE, raw_id=9), run_id="run-2")
        (again,) = _rows(scope, "A563185")
    assert again["since"] == first["since"]
    assert (again["raw_id"], again["run_id"], again["released_at"]) == (9, "run-2", None)


def test_a_released_row_that_fails_later_opens_anew(tenancy: Tenancy) -> None:
    """The second failure of one order carried the date of the first, solved months ago."""
    with tenancy.scope("aurora") as scope:
        _keep(scope, WHOLE)
        (first,) = _rows(scope, "A563185")
    with tenancy.scope("aurora") as scope:
        assert release_passed(scope, "shop", "order", ["A563185"], set()) == 1
        (released,) = _rows(scope, "A563185")
    with tenancy.scope("aurora") as scope:
        _keep(scope, WHOLE)
        (again,) = _rows(scope, "A563185")
    assert released["released_at"] is not None
    assert again["released_at"] is None
    assert again["since"] > first["since"]  # type: ignore[operator]


def test_only_what_was_judged_and_passed_is_released(tenancy: Tenancy) -> None:
    """A replay of one order released the line of another that nobody had looked at."""
    other = replace(LINE, source_id="536366")
    second = replace(LINE, position=4)
    with tenancy.scope("aurora") as scope:
        _keep(scope, WHOLE, LINE, second, other)
        still = {("536365", 3, "order_line.quantity")}
        assert release_passed(scope, "shop", "order", ["536365"], still) == 1
        assert counts(scope) == {("order", "order.number"): 1, ("order", "order_line.quantity"): 2}
        assert release_passed(scope, "other-shop", "order", ["536365"], set()) == 0
        assert release_passed(scope, "shop", "refund", ["536365"], set()) == 0


def test_objects_counts_orders_kept_back_whole_once_each(tenancy: Tenancy) -> None:
    """An invoice with two reasons was counted twice, and one that lost a line once."""
    second_reason = replace(WHOLE, rule="order.lines", reason="no_accepted_line")
    with tenancy.scope("aurora") as scope:
        _keep(scope, WHOLE, second_reason, LINE)
        assert objects(scope, "order") == 1
        assert objects(scope, "refund") == 0


def test_one_finding_twice_in_a_batch_is_one_row_of_the_newest_record(tenancy: Tenancy) -> None:
    """Two versions of an order in one run failed the whole batch with a double upsert."""
    with tenancy.scope("aurora") as scope:
        _keep(scope, replace(LINE, raw_id=8), replace(LINE, raw_id=7))
        (row,) = _rows(scope, "536365")
    assert row["raw_id"] == 8


def test_an_id_with_nul_can_be_kept_back_and_released(tenancy: Tenancy) -> None:
    """The one row that could not be stored took the other 9,999 of its COPY with it."""
    with tenancy.scope("aurora") as scope:
        _keep(scope, replace(WHOLE, source_id="A\0B"), WHOLE)
        assert objects(scope, "order") == 2
        assert release_passed(scope, "shop", "order", ["A\0B"], set()) == 1


def test_another_tenants_quarantine_is_invisible(tenancy: Tenancy) -> None:
    with tenancy.scope("aurora") as scope:
        _keep(scope, WHOLE)
    with tenancy.scope("borealis") as scope:
        assert counts(scope) == {}
        assert objects(scope, "order") == 0
        assert release_passed(scope, "shop", "order", ["A563185"], set()) == 0
    with tenancy.scope("aurora") as scope:
        assert objects(scope, "order") == 1
