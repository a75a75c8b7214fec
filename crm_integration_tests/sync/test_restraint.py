"""Holds over what would be rewritten: counted by record over a day, ended by who has looked."""

from __future__ import annotations

import pytest
from sqlalchemy import text

from crm_integration.errors import BadInput, NotFound
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.model import FieldOverride
from crm_integration.quality.holds import BLAST_RADIUS, open_holds
from crm_integration.quality.release import release_by_person
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.crm_session import CrmRun
from crm_integration.sync.held_differences import approve, differences
from crm_integration.sync.restraint import WAITS, Limit
from crm_integration_tests import shop_life
from crm_integration_tests.house import MAPPINGS, VERSION, Tenant, account, at, order

FEW = Limit(records=3, share=0.10)
HELD = ("held", WAITS)


def _sync(tenant: Tenant) -> CrmRun:
    """Without the timeline, whose notes tell the total, too."""
    return tenant.sync("contact", "order", limit=FEW)


def _orders(tenant: Tenant, count: int, minute: int, **changes: object) -> None:
    tenant.keep(*(order(n, at(minute + n), **changes) for n in range(1, count + 1)))
    tenant.derive()


def _sold(tenant: Tenant, count: int) -> None:
    _orders(tenant, count, 0)
    _sync(tenant)
    assert tenant.state("order") == [("synced", None)] * count


def _holds(tenant: Tenant) -> dict[str, list[str]]:
    with tenant.scope() as scope:
        found = open_holds(scope)
    return {name: [one.check_name for one in holds] for name, holds in found.items()}


def _totals(tenant: Tenant) -> list[float]:
    """What the CRM's orders show."""
    return sorted(float(one["hs_total_price"]) for one in tenant.portal.records("order").values())


def _digest(tenant: Tenant, object_type: str = "order") -> str:
    with tenant.scope() as scope:
        return differences(scope, object_type).digest


def test_what_rewrites_more_than_the_limit_waits_until_somebody_has_looked(tenant: Tenant) -> None:
    """A plugin that recalculated all orders had rewritten every total before anybody saw one."""
    _sold(tenant, 5)
    _orders(tenant, 5, 60, total="11.00")
    run = _sync(tenant)
    assert run.withheld == {"order": 5}
    assert tenant.state("order") == [HELD] * 5
    assert _holds(tenant) == {"order": [BLAST_RADIUS]}
    assert _totals(tenant) == [10.0] * 5
    with tenant.scope() as scope:
        shown = differences(scope, "order")
    assert (shown.records, shown.by_field) == (5, {"hs_total_price": 5})
    (change,) = shown.examples[0].fields
    assert (change.name, float(str(change.old)), change.new) == ("hs_total_price", 10.0, "11.00")

    with tenant.scope() as scope:
        assert approve(scope, "order", shown.digest, "ada") == 5
    _sync(tenant)
    assert tenant.state("order") == [("synced", None)] * 5
    assert _totals(tenant) == [11.0] * 5
    assert _holds(tenant) == {}
    assert tenant.value("select count(*) from held_changes") == 0


def test_what_is_new_or_moves_on_goes_on_while_rewrites_wait(tenant: Tenant) -> None:
    """One hold for all had kept new orders, refunds and shipped parcels from the CRM for days."""
    _sold(tenant, 5)
    _orders(tenant, 5, 60, total="11.00")
    _sync(tenant)
    tenant.keep(order(9, at(100)))
    tenant.derive()
    _sync(tenant)
    assert ("synced", None) in tenant.state("order")
    assert len(tenant.portal.records("order")) == 6


def test_paid_and_refunded_orders_are_no_rewrites(tenant: Tenant) -> None:
    """A day of ordinary trade must never need a person."""
    _sold(tenant, 8)
    _orders(tenant, 8, 60, status="completed")
    assert _sync(tenant).withheld == {}
    statuses = {one["hs_external_order_status"] for one in tenant.portal.records("order").values()}
    assert statuses == {"completed"}


def test_two_runs_of_one_day_count_together(tenant: Tenant) -> None:
    """Three and three are six, whoever wrote them; the same record again counts once."""
    _sold(tenant, 6)
    for total in ("11.00", "12.00"):
        for n in (1, 2, 3):
            tenant.keep(order(n, at(60 + n + int(total[1])), total=total))
        tenant.derive()
        assert _sync(tenant).withheld == {}
    tenant.keep(order(4, at(90), total="11.00"))
    tenant.derive()
    assert _sync(tenant).withheld == {"order": 1}


def test_a_day_later_the_count_begins_anew(tenant: Tenant) -> None:
    _sold(tenant, 6)
    _orders(tenant, 3, 60, total="11.00")
    _sync(tenant)
    with tenant.scope() as scope:
        scope.connection.execute(text("update rewritten set at = at - interval '25 hours'"))
    tenant.keep(order(4, at(90), total="11.00"))
    tenant.derive()
    assert _sync(tenant).withheld == {}


def test_a_tenth_of_many_records_may_be_rewritten(tenant: Tenant) -> None:
    _sold(tenant, 40)
    _orders(tenant, 4, 60, total="11.00")
    assert _sync(tenant).withheld == {}
    tenant.keep(order(5, at(90), total="11.00"))
    tenant.derive()
    assert _sync(tenant).withheld == {"order": 1}


def test_an_approval_lapses_when_the_differences_change(tenant: Tenant) -> None:
    """Somebody approves eleven pounds, and the shop recalculates to a hundred."""
    _sold(tenant, 5)
    _orders(tenant, 5, 60, total="11.00")
    _sync(tenant)
    with tenant.scope() as scope:
        approve(scope, "order", differences(scope, "order").digest, "ada")
    _orders(tenant, 4, 120, total="100.00")
    assert _sync(tenant).withheld == {"order": 4}
    assert _totals(tenant) == [10.0] * 4 + [11.0]


def test_an_approval_that_names_other_differences_is_refused(tenant: Tenant) -> None:
    _sold(tenant, 6)
    _orders(tenant, 5, 60, total="11.00")
    _sync(tenant)
    seen = _digest(tenant)
    tenant.keep(order(6, at(90), total="11.00"))
    tenant.derive()
    _sync(tenant)
    with tenant.scope() as scope, pytest.raises(BadInput, match="--differences order"):
        approve(scope, "order", seen, "ada")
    assert tenant.state("order") == [HELD] * 6


def test_an_approval_that_nobody_used_in_time_lapses(tenant: Tenant) -> None:
    _sold(tenant, 5)
    _orders(tenant, 5, 60, total="11.00")
    _sync(tenant)
    with tenant.scope() as scope:
        approve(scope, "order", differences(scope, "order").digest, "ada")
        scope.connection.execute(text("update held_changes set approved_until = now()"))
    assert _sync(tenant).withheld == {"order": 5}


def test_a_change_that_is_taken_back_ends_the_hold_by_itself(tenant: Tenant) -> None:
    """The plugin is switched off and the totals are what they were: nobody has to approve that."""
    _sold(tenant, 5)
    _orders(tenant, 5, 60, total="11.00")
    _sync(tenant)
    _orders(tenant, 5, 120, total="10.00")
    _sync(tenant)
    _sync(tenant)
    assert tenant.state("order") == [("synced", None)] * 5
    assert _holds(tenant) == {}


def test_rewrites_are_not_released_unseen(tenant: Tenant) -> None:
    _sold(tenant, 5)
    _orders(tenant, 5, 60, total="11.00")
    _sync(tenant)
    with tenant.scope() as scope, pytest.raises(BadInput, match="--differences order"):
        release_by_person(scope, "order", None, "ada")
    assert _holds(tenant) == {"order": [BLAST_RADIUS]}


def _sync_overwriting_stages(tenant: Tenant) -> CrmRun:
    """With a tenant file that lets the store overwrite the CRM's own stage."""
    change = FieldOverride({"rule": "overwrite"}, "tenants/t.yaml", 1)
    contact = compile_mapping(
        load_mapping(MAPPINGS, "hubspot", "contact", 2), {"lifecyclestage": change}
    )
    engines = tenant.house.engines
    return sync_crm(engines, tenant.name, {"contact": contact}, VERSION, ("contact",), run_id="r")


def _stage(tenant: Tenant, stage: str) -> None:
    """As if orders had come or been cancelled."""
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update customers set lifecycle_stage = :stage, needs_projection = true"),
            {"stage": stage},
        )


def test_a_step_back_of_the_crms_own_stage_waits_also_alone(tenant: Tenant) -> None:
    """An order that vanished from the shop made a lead of a customer; sales had called them so."""
    tenant.keep(account(1, at(0), "ada@example.com"), account(2, at(0), "bob@example.com"))
    tenant.derive()
    _stage(tenant, "customer")
    _sync_overwriting_stages(tenant)
    _stage(tenant, "lead")
    assert _sync_overwriting_stages(tenant).withheld == {"contact": 2}
    with tenant.scope() as scope:
        shown = differences(scope, "contact")
    assert [one.steps_back for one in shown.examples] == [True, True]
    contacts = tenant.portal.records("contact").values()
    assert {one["lifecyclestage"] for one in contacts} == {"customer"}


def test_an_opt_out_does_not_wait_for_an_approval(tenant: Tenant) -> None:
    """The newsletter went on for as long as nobody looked at the hold."""
    shop = tenant.add_store("shopify", "second")
    ada = shop.account("ada@example.com")
    shop_life.says(shop, ada, "subscribed")
    tenant.run_once()
    _stage(tenant, "customer")
    _sync_overwriting_stages(tenant)
    shop_life.says(shop, ada, "unsubscribed")
    tenant.extract(connection_id="second")
    tenant.derive()
    _stage(tenant, "lead")
    assert _sync_overwriting_stages(tenant).withheld == {"contact": 1}
    contact = tenant.portal.one("contact", email="ada@example.com")
    assert contact["ci_email_consent"] == "unsubscribed"
    assert contact["lifecyclestage"] == "customer"


def test_where_nothing_waits_nothing_can_be_approved(tenant: Tenant) -> None:
    with tenant.scope() as scope, pytest.raises(NotFound, match="waits for an approval"):
        approve(scope, "order", "00", "ada")
