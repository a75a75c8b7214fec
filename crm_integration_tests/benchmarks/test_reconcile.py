"""The bench itself, small: every look is one at a quiet shop, and what is not is counted."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from crm_integration.intake.cursors import Reconciled
from crm_integration.intake.extract import Extracted
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.roles import drop_databases
from crm_integration.sync.report import PathReport, Problem
from crm_integration_tests.benchmarks.reconcile import Load, held, is_quiet, measure

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def test_shops_of_all_platforms_are_looked_at_and_are_quiet(server: EmbeddedServer) -> None:
    """A look that fails at once is the fastest one."""
    document = measure(Load(tenants=6, selling=3, orders=2), server, lambda words: None)
    drop_databases(server, "reconcile_bench")
    assert (document["metrics"]["tenants"], document["metrics"]["idle"]) == (6, 6)
    assert document["cpu_s"]["reconcile"] > 0


def _report(**changes: Any) -> PathReport:
    report = PathReport("t0", **changes)
    report.note_reconciled("main", Reconciled(Extracted("order", NOW), NOW))
    return report


def test_a_look_that_failed_or_did_more_is_not_a_quiet_one() -> None:
    assert is_quiet(_report())
    assert not is_quiet(_report(problems=[Problem("start", "t0", "no answer")]))
    assert not is_quiet(_report(days={date(2026, 1, 1)}))
    assert not is_quiet(PathReport("t0"))


@pytest.mark.parametrize("bad", [{"seconds": 300.0}, {"idle": 999}, {"tenants": 0, "idle": 0}])
def test_each_target_fails_the_bench(bad: dict[str, float]) -> None:
    good = {"tenants": 1_000, "idle": 1_000, "seconds": 299.9}
    assert held({"metrics": good})
    assert not held({"metrics": {**good, **bad}})
