"""A tenant polled by its cursors: what came goes the whole way; a quiet one costs little."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import create_engine, event, text

from crm_integration.canonical.entities import ENTITIES
from crm_integration.intake.cursors import NOT_YET
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sync.path import House as OpenHouse
from crm_integration.sync.reconciling import reconcile_tenant
from crm_integration.sync.report import PathReport, Selection
from crm_integration_tests.house import MAPPINGS, House, Tenant
from crm_integration_tests.served import CRM_TYPE

ALL = Selection(
    frozenset({"customer", "product", "order", "refund", "cart", "shipment"}),
    frozenset(ENTITIES),
    frozenset(CRM_TYPE),
)
MOST_STATEMENTS = 100
"""Of a quiet tenant. It was some 300 when everything was derived, judged and projected anew."""


@pytest.fixture(params=sorted(SHOP_KINDS))
def polled(request: pytest.FixtureRequest, house: House) -> Tenant:
    """A tenant of each platform with some orders of three hours ago, polled until all is proven."""
    tenant = house.tenant(request.param)
    tenant.rows("update connections set created_at = now() - interval '4 hours' returning 1")
    tenant.shop.now = int(time.time()) - 3 * 3600
    for number in range(5):
        tenant.shop.guest_order(f"g{number}@example.com")
    for _ in range(3):
        assert not _poll(tenant).problems
    return tenant


def _poll(tenant: Tenant) -> PathReport:
    house = OpenHouse(tenant.house.engines, MAPPINGS)
    return reconcile_tenant(house, tenant.name, ALL, run_id="poll")


@contextmanager
def _counted(tenant: Tenant) -> Iterator[list[str]]:
    seen: list[str] = []

    def note(_: Any, __: Any, statement: str, *___: Any) -> None:
        seen.append(statement)

    engines = (tenant.house.tenancy.engine, tenant.house.engines.ops)
    for engine in engines:
        event.listen(engine, "before_cursor_execute", note)
    try:
        yield seen
    finally:
        for engine in engines:
            event.remove(engine, "before_cursor_execute", note)


def test_what_came_is_in_the_crm_and_proven(polled: Tenant) -> None:
    assert len(polled.portal.records("order")) == 5
    proven = polled.rows("select object_type, proven_until from proven_spans")
    behind = [row.object_type for row in proven
              if row.proven_until < datetime.now(UTC) - timedelta(minutes=20)]  # fmt: skip
    assert set(behind) <= {"shipment"}, "only what is dear may wait for its second listing"


def test_a_quiet_tenant_costs_few_statements_and_no_crm_call(polled: Tenant) -> None:
    """A thousand of them an hour are to be polled within minutes."""
    polled.portal.calls.clear()
    polled.shop.app.calls.clear()
    with _counted(polled) as statements:
        report = _poll(polled)
    assert (report.problems, report.days, report.verdicts) == ([], set(), [])
    assert len(statements) <= MOST_STATEMENTS, len(statements)
    assert not polled.portal.calls
    assert sum(polled.shop.app.calls.values()) <= 10


def test_a_quiet_tenant_takes_one_connection(polled: Tenant) -> None:
    """Each of thirty short transactions took one from the pool, which asks it whether it lives."""
    taken: list[object] = []
    engine = polled.house.tenancy.engine

    def note(*_: Any) -> None:
        taken.append(1)

    event.listen(engine, "checkout", note)
    try:
        assert not _poll(polled).problems
    finally:
        event.remove(engine, "checkout", note)
    assert len(taken) == 1


def test_a_database_that_is_away_is_a_problem_of_the_report(polled: Tenant) -> None:
    """Raised, it ended the run, and with it the neighbours' turn."""
    engines = polled.house.engines
    nowhere = replace(engines.tenancy, engine=create_engine("postgresql+psycopg://a@127.0.0.1:1/b"))
    house = OpenHouse(replace(engines, tenancy=nowhere), MAPPINGS)
    report = reconcile_tenant(house, polled.name, ALL, run_id="poll")
    assert [(one.stage, one.what) for one in report.problems] == [("start", polled.name)]


def test_what_waits_is_sent_although_no_store_told_anything(polled: Tenant) -> None:
    """A person redrove a letter; the next poll is quiet, and must not sleep over it."""
    with polled.scope() as scope:
        scope.connection.execute(
            text(
                "update ledger set state = 'pending', next_try_at = now()"
                " where object_type = 'order'"
            )  # fmt: skip
        )
    polled.portal.calls.clear()
    assert not _poll(polled).problems
    assert {state for state, _ in polled.state("order")} == {"synced"}
    assert polled.portal.calls


def test_an_edit_is_polled_and_only_its_day_is_judged(house: House) -> None:
    tenant = house.tenant()
    tenant.rows("update connections set created_at = now() - interval '4 days' returning 1")
    tenant.shop.now = int(time.time()) - 3 * 86_400
    first = tenant.shop.guest_order("gus@example.com")
    _poll(tenant)
    tenant.shop.now = int(time.time()) - 1_800
    tenant.shop.call("PUT", f"/orders/{first}", {"status": "completed"})
    report = _poll(tenant)
    today = datetime.fromtimestamp(tenant.shop.now, UTC).date()
    assert report.days == {today}
    assert {one.window_start for one in report.verdicts} == {today}


def test_what_is_dear_is_polled_every_few_hours(house: House) -> None:
    """A call for each order of two weeks, each hour, for parcels that seldom change."""
    tenant = house.tenant("api2cart")
    _poll(tenant)
    again = _poll(tenant).reconciled["main", "shipment"]
    assert (again.reason, again.listed.pages) == (NOT_YET, 0)
    tenant.rows("update proven_spans set listed_at = now() - interval '7 hours' returning 1")
    assert _poll(tenant).reconciled["main", "shipment"].listed.pages == 1
