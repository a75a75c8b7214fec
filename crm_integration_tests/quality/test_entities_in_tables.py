"""Companies, consents, parcels, carts and activities, judged as they lie in the tables."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

import pytest

from crm_integration.quality.holds import open_holds
from crm_integration.quality.quarantine import QuarantineEntry, keep_back
from crm_integration.quality.rules import rules_version
from crm_integration.quality.suites import judge_windows
from crm_integration.quality.verdicts import Verdict, Window
from crm_integration.quality.window_holds import ROW_RULES, SET_RULES
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration_tests.quality.canonical_rows import (
    add_activity,
    add_cart,
    add_company,
    add_consent,
    add_customer,
    add_identity,
    add_order,
    add_raw,
    add_refund,
    add_shipment,
    add_tenant,
)

DAY = date(2011, 1, 1)
NOON = datetime(2011, 1, 1, 12, tzinfo=UTC)


@pytest.fixture
def tenant(tenancy: Tenancy) -> str:
    """A tenant of its own for each test."""
    name = f"t-{uuid4().hex[:12]}"
    add_tenant(tenancy, name)
    return name


def _judge(scope: TenantScope, entity: str, **options: float) -> dict[str, Verdict]:
    windows = [Window(DAY, DAY + timedelta(days=1))]
    found = judge_windows(scope, entity, windows, options, run_id="r", today=date(2040, 1, 1))
    return {one.check_name: one for one in found}


def _rules(verdict: Verdict) -> dict[str, int]:
    return verdict.details["rules"]


def test_a_parcel_without_its_order_holds_orders_and_one_of_a_kept_back_order_does_not(
    tenancy: Tenancy, tenant: str
) -> None:
    """Parcels of orders that nobody had were mapped onto orders that did not exist."""
    with tenancy.scope(tenant) as scope:
        order_id = add_order(scope, DAY, "1", add_customer(scope, DAY))
        add_shipment(scope, DAY, "s1", order_id=order_id)
        entry = QuarantineEntry("order", "2", -1, "order.total", add_raw(scope, DAY), "r", "f")
        keep_back(scope, "shop", [entry], rules_version="v", run_id="r")
        add_shipment(scope, DAY, "s2", order_source_id="2")
        assert _judge(scope, "shipment")[SET_RULES].passed
        add_shipment(scope, DAY, "s3", order_source_id="3")
        verdict = _judge(scope, "shipment")[SET_RULES]
        assert (verdict.passed, _rules(verdict)) == (False, {"shipment.order": 1})
        assert [hold.check_name for hold in open_holds(scope)["order"]] == [SET_RULES]


def test_the_check_of_orders_does_not_end_the_hold_that_parcels_opened(
    tenancy: Tenancy, tenant: str
) -> None:
    """Both are written to the CRM's orders: whichever was judged last decided for both."""
    with tenancy.scope(tenant) as scope:
        add_order(scope, DAY, "1", add_customer(scope, DAY))
        add_shipment(scope, DAY, "s3", order_source_id="3")
        _judge(scope, "shipment")
        assert _judge(scope, "order")[SET_RULES].passed
        assert list(open_holds(scope)) == ["order"]


def test_a_parcel_in_an_unknown_state_or_delivered_before_it_left_is_found(
    tenancy: Tenancy, tenant: str
) -> None:
    with tenancy.scope(tenant) as scope:
        order_id = add_order(scope, DAY, "1", add_customer(scope, DAY))
        add_shipment(scope, DAY, "s1", order_id=order_id, state="lost at sea")
        early = NOON - timedelta(days=3)
        add_shipment(scope, DAY, "s2", order_id=order_id, delivered_at=early)
        verdict = _judge(scope, "shipment", **{"quarantine.min_rows": 1})[ROW_RULES]
    assert _rules(verdict) == {"shipment.state": 1, "shipment.shipped_at_before_delivered_at": 1}
    assert (verdict.failed, verdict.rows) == (1, 2), "times out of order are only flagged"


def test_a_consent_belongs_to_a_known_identity_and_may_change_but_not_come_twice(
    tenancy: Tenancy, tenant: str
) -> None:
    """A consent whose customer was lost is a letter to somebody who never said yes."""
    with tenancy.scope(tenant) as scope:
        add_identity(scope, add_customer(scope, DAY))
        add_consent(scope, DAY, "registered/7/email")
        later = {"event_at": NOON + timedelta(hours=1), "state": "unsubscribed"}
        add_consent(scope, DAY, "registered/7/email", **later)
        assert _judge(scope, "consent")[SET_RULES].passed
        add_consent(scope, DAY, "registered/7/email", **later)
        add_consent(scope, DAY, "registered/8/email", customer_source_id="8")
        verdict = _judge(scope, "consent")[SET_RULES]
        assert _rules(verdict) == {"consent.unique": 2, "consent.customer": 1}
        assert list(open_holds(scope)) == ["contact"]


def test_a_consent_that_the_store_did_not_time_may_be_received_years_later(
    tenancy: Tenancy, tenant: str
) -> None:
    """It counts from our receipt, which lies after every change of the customer."""
    with tenancy.scope(tenant) as scope:
        add_identity(scope, add_customer(scope, DAY))
        late = NOON + timedelta(days=900)
        add_consent(scope, DAY, "registered/7/email", timed_by="receipt", event_at=late)
        assert _rules(_judge(scope, "consent")[ROW_RULES]) == {}
        add_consent(scope, DAY, "registered/7/sms", event_at=late)
        told = _rules(_judge(scope, "consent")[ROW_RULES])
    assert told == {"consent.consented_at_before_source_time": 1}


def test_carts_of_nobody_pass_and_those_of_an_unknown_order_or_customer_do_not(
    tenancy: Tenancy, tenant: str
) -> None:
    with tenancy.scope(tenant) as scope:
        add_cart(scope, DAY, "c1")
        assert _judge(scope, "cart")[SET_RULES].passed
        add_cart(scope, DAY, "c2", order_source_id="9", order_id=uuid4())
        add_cart(scope, DAY, "c3", customer_kind="registered", customer_source_id="9")
        add_cart(scope, DAY, "c4", total_minor=-1, currency="ZZZ")
        found = _judge(scope, "cart")
    assert _rules(found[SET_RULES]) == {"cart.order": 1, "cart.customer": 1}
    assert _rules(found[ROW_RULES]) == {"cart.total": 1, "cart.currency": 1}


def test_an_activity_names_an_order_or_a_customer_that_exists(
    tenancy: Tenancy, tenant: str
) -> None:
    with tenancy.scope(tenant) as scope:
        add_identity(scope, add_customer(scope, DAY))
        add_activity(scope, DAY, "a1", customer_kind="registered", customer_source_id="7")
        add_activity(scope, DAY, "a2")
        add_activity(scope, DAY, "a3", order_source_id="9", order_id=uuid4())
        found = _judge(scope, "activity")
    assert _rules(found[ROW_RULES]) == {"activity.about": 1}
    assert _rules(found[SET_RULES]) == {"activity.order": 1}


def test_a_company_stored_twice_fails(tenancy: Tenancy, tenant: str) -> None:
    with tenancy.scope(tenant) as scope:
        add_company(scope, DAY, "miller/gb")
        add_company(scope, DAY, "miller/gb")
        assert _rules(_judge(scope, "company")[SET_RULES]) == {"company.unique": 2}


def test_refunds_above_their_orders_total_are_told_and_hold_nothing(
    tenancy: Tenancy, tenant: str
) -> None:
    """Giving back more than was paid is the merchant's right, and worth a look."""
    with tenancy.scope(tenant) as scope:
        buyer = add_customer(scope, DAY)
        order_id = add_order(scope, DAY, "1", buyer, refunded_minor=300)
        add_refund(scope, DAY, "r1", order_source_id="1", order_id=order_id, amount_minor=200)
        add_refund(scope, DAY, "r2", order_source_id="1", order_id=order_id, amount_minor=100)
        verdict = _judge(scope, "refund")[SET_RULES]
        assert verdict.passed
        assert _rules(verdict) == {"refund.within_order": 2}
        assert open_holds(scope) == {}


def test_every_hold_says_what_since_when_how_many_and_what_to_do(
    tenancy: Tenancy, tenant: str
) -> None:
    with tenancy.scope(tenant) as scope:
        add_shipment(scope, DAY, "s3", order_source_id="3")
        _judge(scope, "shipment")
        (hold,) = open_holds(scope)["order"]
    assert hold.reason.startswith("1 closed window(s) of shipment fail set_rules, the first 2011-")
    assert "shipment.order" in hold.reason
    assert hold.records == 1
    assert f"crm-integration holds {tenant} --release order" in hold.fix
    assert hold.opened_at.tzinfo is not None


def test_the_version_of_the_rules_knows_nothing_of_volume_and_contracts() -> None:
    """A contract was frozen, and every order of the merchant went through again."""
    options = {"contract": "freeze", "volume.off": True, "drift.missing_share": 0.9}
    assert rules_version({}) == rules_version(options)
