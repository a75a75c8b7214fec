"""The proof finds each kind of hole at its stage, counts it exactly, and calls nothing else one."""

from __future__ import annotations

import time
from datetime import date
from typing import Any

import pytest
from sqlalchemy import text

from crm_integration.intake.extract import fetch
from crm_integration.quality.holds import open_hold
from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.faults import FaultRule
from crm_integration.stores._contract import Window
from crm_integration.sync.completeness import store_side
from crm_integration.sync.completeness.listing import list_store
from crm_integration.sync.completeness.model import Completeness
from crm_integration_tests import shop_life
from crm_integration_tests.departures import run
from crm_integration_tests.house import CREDIT_TAG, House, Tenant, at, order, refund
from crm_integration_tests.sync.proving import lives, proven, verdicts

DAY = Window(date(2024, 3, 1), date(2024, 3, 2))


def _change(tenant: Tenant, sql: str, **values: object) -> None:
    with tenant.scope() as scope:
        changed = scope.connection.execute(text(sql), values)
    assert changed.rowcount == 1, "the test changes exactly one row"


def _holes(done: Completeness, **wanted: int) -> None:
    """All that is not proven: `order_raw_missing=1` and so on, and nothing else."""
    found = {"_".join(one): number for one, number in verdicts(done).items()}
    assert found == wanted


@pytest.mark.parametrize("platform", ["woocommerce", "shopify", "api2cart"])
def test_an_untouched_tenant_is_whole(house: House, platform: str) -> None:
    """A proof that cries wolf is switched off."""
    tenant = house.tenant(platform)
    lives(tenant)
    done = proven(tenant)
    _holes(done)
    assert done.whole
    whole = verdicts(done, all_of=True)
    assert whole["order", "raw", "proven"] == whole["order", "crm", "proven"] == 3
    assert whole["customer", "raw", "proven"] == 2
    assert whole["customer", "crm", "proven"] == 3, "the guest is a contact without an account"
    assert whole["refund", "crm", "proven"] == 1


def test_a_store_that_forgot_its_webhooks_is_caught(tenant: Tenant) -> None:
    """The hook was disabled after five failures; nobody heard of three orders for a week."""
    lives(tenant)
    unheard = [tenant.shop.guest_order(f"new{number}@example.com") for number in range(3)]
    done = proven(tenant)
    _holes(done, order_raw_missing=3)
    assert not done.whole
    (day,) = [one for one in done.days if not one.passed]
    assert (day.entity, day.day, day.wrong) == ("order", date(2024, 3, 1), 3)
    assert day.samples["raw"]["missing"] == tuple(str(one) for one in unheard)


def test_an_edit_that_nobody_told_of_is_an_older_raw_record(tenant: Tenant) -> None:
    """Counts agreed; one of the orders had been cancelled since."""
    order = lives(tenant)
    tenant.shop.call("PUT", f"/orders/{order}", {"status": "cancelled"})
    _holes(proven(tenant), order_raw_differs=1)
    _holes(proven(tenant, days=DAY), order_raw_differs=1)


def test_an_order_that_the_store_deleted_unseen_is_surplus(tenant: Tenant) -> None:
    """It went on counting in the CRM; and a type whose listing is whole tells the same."""
    order = lives(tenant)
    shop_edits.delete_order(tenant.shop.state, order)
    shop_edits.delete_customer(tenant.shop.state, min(tenant.shop.state.customers))
    _holes(proven(tenant), order_raw_surplus=1, customer_raw_surplus=1)


def test_what_a_listing_leaves_out_and_a_read_finds_is_there(
    tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A list that skips a row is a suspicion, not a deletion."""
    lives(tenant)

    def skipping(*asked: Any) -> Any:
        listed, unreadable = list_store(*asked)
        return listed.iloc[1:], unreadable

    monkeypatch.setattr(store_side, "list_store", skipping)
    done = proven(tenant)
    _holes(done)
    assert verdicts(done, all_of=True)["order", "raw", "proven"] == 3


def test_what_the_store_deleted_and_told_of_is_accounted_for(tenant: Tenant) -> None:
    """A tombstone is an answer."""
    order = lives(tenant)
    shop_edits.delete_order(tenant.shop.state, order)
    store = tenant.opened()
    try:
        fetch(tenant.house.tenancy, store, "order", [str(order)], run_id="told")
    finally:
        store.client.close()
    tenant.derive()
    tenant.sync()
    done = proven(tenant)
    _holes(done, order_raw_deleted=1, order_canonical_deleted=1)
    assert done.whole


def test_a_row_in_quarantine_is_accounted_for_and_one_that_vanished_from_it_is_not(
    tenant: Tenant,
) -> None:
    """Kept back is not lost, as long as somebody can see it."""
    tenant.shop.guest_order("ada@example.com", total="-5.00")
    tenant.run_once()
    done = proven(tenant, entities=("order",))
    _holes(done, order_canonical_quarantined=1)
    assert done.whole
    with tenant.scope() as scope:
        scope.connection.execute(text("delete from quarantine"))
    done = proven(tenant, entities=("order",))
    _holes(done, order_canonical_missing=1)


def test_an_order_that_is_lost_is_missing_though_its_guest_is_there(tenant: Tenant) -> None:
    """The raw record had become a row: that of the guest."""
    order = lives(tenant)
    _change(tenant, "delete from orders where source_id = :one", one=str(order))
    assert verdicts(proven(tenant))["order", "canonical", "missing"] == 1


def test_a_credit_that_the_shop_keeps_as_an_order_stands_for_a_refund(tenant: Tenant) -> None:
    """It has no row among the orders, and never had."""
    order = lives(tenant)
    tag = {"key": "crm_integration_tag", "value": CREDIT_TAG}
    tenant.shop.call("PUT", f"/orders/{order}", {"meta_data": [tag]})
    tenant.run_once()
    _change(tenant, "delete from orders where source_id = :one", one=str(order))
    found = verdicts(proven(tenant))
    assert ("order", "canonical", "missing") not in found


def test_a_raw_record_that_was_never_derived_has_no_row(tenant: Tenant) -> None:
    """A run that was killed between two stages, and never run again."""
    lives(tenant)
    tenant.shop.guest_order("late@example.com")
    tenant.extract()
    _holes(proven(tenant), order_canonical_missing=1)


def test_a_row_that_is_older_than_its_raw_record_differs(tenant: Tenant) -> None:
    """The row was there, so the count agreed."""
    order = lives(tenant)
    _change(
        tenant,
        "update orders set raw_id = 1, source_time = source_time - interval '1 day'"
        " where source_id = :one",
        one=str(order),
    )
    found = verdicts(proven(tenant))
    assert found["order", "canonical", "differs"] == 1


def test_a_ledger_without_a_row_and_a_row_without_its_wish(tenant: Tenant) -> None:
    """Nothing downstream could have told: the CRM held what the ledger knew of."""
    order = lives(tenant)
    _change(
        tenant,
        "delete from ledger where object_id = (select order_id from orders where source_id = :one)",
        one=str(order),
    )
    _holes(proven(tenant), order_ledger_missing=1)
    _change(tenant, "delete from refunds")
    found = verdicts(proven(tenant))
    assert found["refund", "ledger", "surplus"] == 1
    assert found["refund", "canonical", "missing"] == 1


def test_a_ledger_that_desires_something_else_differs_though_it_is_synced(tenant: Tenant) -> None:
    """The flag that a row had changed was lost: nobody mapped it again."""
    lives(tenant)
    _change(
        tenant,
        "update orders set total_minor = 4711, needs_projection = false"
        " where source_id = (select max(source_id) from orders)",
    )
    _holes(proven(tenant), order_ledger_differs=1)


def test_states_that_a_person_knows_of_are_accounted_for(tenant: Tenant) -> None:
    """Dead, parked, held: each has its own page and its own way out."""
    for _ in range(2):
        tenant.portal.enter(email="twice@example.com")
    refused = FaultRule("partial", "POST", "upsert", records=("dead@example.com",), count=0)
    tenant.portal.follow(refused)
    with tenant.scope() as scope:
        open_hold(scope, "product", "volume", "too few", "look", 1)
    tenant.shop.account("dead@example.com")
    tenant.shop.account("twice@example.com")
    tenant.shop.order(tenant.shop.account("fine@example.com"))
    tenant.run_once()
    done = proven(tenant)
    _holes(done, customer_ledger_dead=1, customer_ledger_parked=1, product_ledger_held=1)
    assert done.whole
    (day,) = [one for one in done.days if one.entity == "customer" and one.day]
    assert (day.proven, day.counts["ledger"]["dead"]) == (1, 1)


def test_what_waits_for_its_next_try_is_accounted_for_and_what_nobody_sends_is_not(
    tenant: Tenant,
) -> None:
    """A row that is due and is not sent was called "in progress" for months."""
    lives(tenant)
    _change(
        tenant,
        "update ledger set state = 'retry', written_digest = null where object_type = 'refund'",
    )
    _holes(proven(tenant), refund_ledger_retry=1)
    _change(tenant, "update ledger set state = 'pending', desired_at = now() - interval '1 h'"
                    " where object_type = 'refund'")  # fmt: skip
    _holes(proven(tenant), refund_ledger_missing=1)


def test_a_customer_who_became_another_one_is_accounted_for(tenant: Tenant) -> None:
    """Two records in the store, one contact."""
    tenant.shop.guest_order("ada@example.com")
    tenant.run_once()
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    tenant.run_once()
    done = proven(tenant)
    assert done.whole
    assert not [one for one in verdicts(done) if one[2] not in ("merged", "skipped")]


def test_a_record_that_somebody_deleted_in_the_crm_is_missing(tenant: Tenant) -> None:
    """The ledger said synced for ever."""
    lives(tenant)
    (number, *_) = tenant.portal.records("order")
    record = tenant.portal.state.get("orders", str(number))
    assert record is not None
    tenant.portal.state.archive("orders", record)
    _holes(proven(tenant), order_crm_missing=1)


def test_a_field_of_ours_that_was_overwritten_differs_and_one_of_sales_does_not(
    tenant: Tenant,
) -> None:
    """Whoever counts every edit of sales as a loss is soon not read any more."""
    lives(tenant)
    (contact, *_) = tenant.portal.records("contact")
    tenant.portal.edit("contact", contact, firstname="Augusta", phone="+44 113 496 0001")
    _holes(proven(tenant))
    (order, *_) = tenant.portal.records("order")
    tenant.portal.edit("order", order, hs_total_price="1.00")
    _holes(proven(tenant), order_crm_differs=1)


def test_a_record_that_lost_our_key_differs(tenant: Tenant) -> None:
    """Without it the next run that loses an answer makes a second one."""
    lives(tenant)
    (order, *_) = tenant.portal.records("order")
    tenant.portal.edit("order", order, ci_key="")
    _holes(proven(tenant), order_crm_differs=1)


def test_a_binding_that_is_gone_leaves_the_record_unproven(tenant: Tenant) -> None:
    """Nobody could say which record the object is."""
    lives(tenant)
    _change(tenant, "delete from bindings where object_type = 'refund'")
    _holes(proven(tenant), refund_crm_missing=1)


def test_what_changed_during_the_scan_is_judged_next_time(tenant: Tenant) -> None:
    """An order that comes in while the proof runs is no loss."""
    order = lives(tenant)
    tenant.shop.now = int(time.time())
    tenant.shop.call("PUT", f"/orders/{order}", {"status": "completed"})
    tenant.shop.guest_order("now@example.com")
    done = proven(tenant)
    _holes(done, order_raw_later=2)
    assert done.whole
    tenant.run_once()
    _holes(proven(tenant))


def test_a_day_is_proven_by_itself(tenant: Tenant) -> None:
    """What is missing yesterday does not make today red."""
    lives(tenant)
    tenant.shop.now += 86_400
    tenant.shop.guest_order("tomorrow@example.com")
    next_day = Window(date(2024, 3, 2), date(2024, 3, 3))
    done = proven(tenant, days=DAY, entities=("order", "refund"))
    assert done.whole
    assert {(one.entity, one.day) for one in done.days} == {
        ("order", DAY.start),
        ("refund", DAY.start),
    }
    _holes(proven(tenant, days=next_day, entities=("order",)), order_raw_missing=1)


def test_a_type_without_a_filter_is_proven_as_a_whole(tenant: Tenant) -> None:
    """WooCommerce lists accounts whole, whatever the window."""
    lives(tenant)
    tenant.shop.account("unheard@example.com")
    done = proven(tenant, days=DAY, entities=("customer",))
    wrong = [one for one in done.days if not one.passed]
    assert [(one.day, one.counts["raw"]) for one in wrong] == [(None, {"missing": 1, "proven": 2})]


def test_other_bytes_that_say_the_same_are_no_difference(tenant: Tenant) -> None:
    """A plugin that reorders a payload made every proof red."""
    lives(tenant)
    tenant.shop.spoiling.spoil = lambda body: body.replace(b'"id":', b'"plugin":1,"id":')
    done = proven(tenant, entities=("product",))
    _holes(done)
    assert verdicts(done, all_of=True)["product", "raw", "proven"] == 1


def test_a_store_that_is_down_is_no_proof_and_hides_nothing_else(tenant: Tenant) -> None:
    """Nothing listed, nothing missing: green."""
    lives(tenant)
    tenant.shop.follow(FaultRule("status", path="/orders", status=403, count=0))
    (order, *_) = tenant.portal.records("order")
    tenant.portal.edit("order", order, hs_total_price="1.00")
    done = proven(tenant)
    assert not done.whole
    assert [(one.stage, one.what) for one in done.problems] == [("store", "order")]
    assert verdicts(done) == {("order", "crm", "differs"): 1}
    assert all(not one.passed for one in done.days if one.entity == "order")
    assert all(one.passed for one in done.days if one.entity != "order")


def test_a_crm_that_refuses_to_be_read_is_no_proof(tenant: Tenant) -> None:
    """A revoked key, and everything counted as there."""
    lives(tenant)
    tenant.portal.follow(FaultRule("revoke", count=0))
    done = proven(tenant)
    assert not done.whole
    assert {one.stage for one in done.problems} == {"crm"}
    assert ("order", "raw", "proven") in verdicts(done, all_of=True)


def test_what_a_person_had_erased_is_accounted_for(tenant: Tenant) -> None:
    """Erasure leaves a mark: it must not look like a loss, nor be fetched again."""
    order = lives(tenant)
    with tenant.scope() as scope:
        scope.connection.execute(
            text(
                "insert into raw_records (tenant_id, uid, connection_id, object_type, source_id,"
                " source_time, observation, day, digest, payload, outcome, flags, run_id)"
                " select tenant_id, gen_random_uuid(), connection_id, object_type, source_id,"
                " source_time + interval '1 s', 3, day, '', '', 'applied', '{erased}', 'e'"
                " from raw_records where object_type = 'order' and source_id = :one"
            ),
            {"one": str(order)},
        )
    done = proven(tenant)
    _holes(done, order_raw_erased=1, order_canonical_erased=1)
    assert done.whole


def test_an_element_without_an_id_is_accounted_for_once_somebody_can_see_it(
    tenant: Tenant,
) -> None:
    """It can be no raw record, and it was in no count."""
    lives(tenant)
    tenant.shop.spoiling.spoil = lambda body: (
        body.replace(b'[{"id":', b'[{"lost":', 1) if b"catalog_visibility" in body else body
    )
    found = verdicts(proven(tenant, entities=("product",)))
    assert found["product", "raw", "missing"] == 1
    tenant.extract("product")
    found = verdicts(proven(tenant, entities=("product",)))
    assert found["product", "raw", "unreadable"] == 1
    assert ("product", "raw", "missing") not in found


@pytest.mark.parametrize("platform", ["shopify", "api2cart"])
def test_carts_parcels_consents_and_milestones_are_proven_too(house: House, platform: str) -> None:
    """What is no order was nobody's business."""
    tenant = house.tenant(platform)
    shop = tenant.shop
    ada = shop.account("ada@example.com")
    shop_life.says(shop, ada, "subscribed", "confirmed")
    order = shop.order(ada)
    shop_life.sends(shop, order)
    shop_life.leaves_cart(shop, order)
    shop_life.buys_cart(shop, shop_life.leaves_cart(shop, order))
    tenant.run_once()
    run(tenant)  # sweeps what was left
    done = proven(tenant, surplus=True)
    _holes(done)
    assert done.whole
    whole = verdicts(done, all_of=True)
    listed = {"shopify": 2, "api2cart": 1}[platform]  # API2Cart lists abandoned carts alone
    assert whole["cart", "crm", "proven"] == whole["cart", "raw", "proven"] == listed
    assert whole["activity", "crm", "proven"] >= 3
    shop_life.leaves_cart(shop, order)
    assert verdicts(proven(tenant)) == {("cart", "raw", "missing"): 1}


def test_a_refund_of_an_order_that_nobody_knows_waits_for_it(tenant: Tenant) -> None:
    """It is in no CRM, and it is no loss of ours."""
    tenant.keep(refund(9, 77, "5.00", at(0)), order(78, at(1)))
    tenant.keep(order(77, at(2), total="-5.00"))
    tenant.derive()
    tenant.sync()
    found = verdicts(proven(tenant, entities=("refund",)))
    assert found["refund", "ledger", "unplaced"] == 1
    assert ("refund", "ledger", "missing") not in found
