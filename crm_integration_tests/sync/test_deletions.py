"""What a store deleted: suspected, read by id, marked, and told of; never deleted from a CRM."""

from __future__ import annotations

import pytest

from crm_integration.quality.release import release_by_person
from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.faults import FaultRule
from crm_integration_tests.departures import delivers, run, tells_deleted, tombstones
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.served import writes

PLATFORMS = ("woocommerce", "shopify", "api2cart")


@pytest.fixture(params=PLATFORMS)
def anywhere(house: House, request: pytest.FixtureRequest) -> Tenant:
    """A merchant on each platform in turn."""
    return house.tenant(request.param)


def _regular(tenant: Tenant) -> tuple[int, list[int]]:
    """An account of three paid orders."""
    ada = tenant.shop.account("ada@example.com")
    return ada, [tenant.shop.order(ada) for _ in range(3)]


def _status(tenant: Tenant, order: int) -> str:
    return tenant.portal.one("order", hs_external_order_id=str(order))["hs_external_order_status"]


def test_an_order_that_a_delivery_calls_deleted_is_told_as_deleted_and_counts_no_more(
    anywhere: Tenant,
) -> None:
    """The merchant deleted a test order; sales saw it in the CRM, paid, for ever."""
    _, orders = _regular(anywhere)
    run(anywhere)
    notes = len(anywhere.portal.records("activity"))
    shop_edits.delete_order(anywhere.shop.state, orders[1])
    tells_deleted(anywhere, "order", orders[1])

    run(anywhere)

    assert _status(anywhere, orders[1]) == "deleted"
    assert _status(anywhere, orders[0]) != "deleted"
    assert anywhere.portal.one("contact")["ci_orders_count"] == "2"
    assert len(anywhere.portal.records("order")) == 3
    assert len(anywhere.portal.records("activity")) == notes
    assert tombstones(anywhere, "order") == [str(orders[1])]


def test_the_crm_field_that_says_deleted_traces_to_the_tombstone(tenant: Tenant) -> None:
    """ "Where does this come from?": from the read that said so, and not from the last words."""
    _, orders = _regular(tenant)
    run(tenant)
    shop_edits.delete_order(tenant.shop.state, orders[0])
    tells_deleted(tenant, "order", orders[0])
    run(tenant)
    traced = tenant.rows(
        "select r.flags, r.outcome, r.observation from ledger l join raw_records r using (raw_id)"
        " join orders o on o.order_id = l.object_id where o.deleted_at is not null"
    )
    assert [tuple(row) for row in traced] == [(["gone"], "applied", 3)]


def test_an_order_in_the_trash_is_no_deleted_order(tenant: Tenant) -> None:
    """WooCommerce calls that `order.deleted` too; it is there by id, and comes back as it was."""
    _, orders = _regular(tenant)
    run(tenant)
    tenant.shop.call("DELETE", f"/orders/{orders[0]}")
    tells_deleted(tenant, "order", orders[0])
    run(tenant)
    assert _status(tenant, orders[0]) == "trash"
    assert tombstones(tenant, "order") == []
    tenant.shop.call("PUT", f"/orders/{orders[0]}", {"status": "completed"})
    run(tenant)
    assert _status(tenant, orders[0]) == "completed"


def test_an_account_that_the_whole_list_leaves_out_is_read_and_is_a_source_no_more(
    tenant: Tenant,
) -> None:
    """No delivery came. The person stays, with the orders; the name is what the guest gave."""
    ada = tenant.shop.account("ada@example.com", "Ada", "Account")
    tenant.shop.order(ada)
    tenant.shop.guest_order("ada@example.com", "Addie", "Guest")
    run(tenant)
    shop_edits.delete_customer(tenant.shop.state, ada)

    run(tenant)

    assert tombstones(tenant, "customer") == [str(ada)]
    contact = tenant.portal.one("contact")
    assert contact["ci_customer_kind"] == "guest"
    assert contact["ci_orders_count"] == "2"
    assert tenant.value("select count(*) from customers where merged_into is null") == 1
    calls = tenant.shop.app.calls.total()
    run(tenant)
    assert tombstones(tenant, "customer") == [str(ada)], "found gone a second time"
    assert tenant.shop.app.calls.total() - calls < 20


def test_a_person_of_a_single_deleted_account_stays_in_the_crm_as_last_known(
    anywhere: Tenant,
) -> None:
    """Forgetting somebody is another request; an emptied contact helps nobody."""
    ada = anywhere.shop.account("ada@example.com", "Ada", "Account")
    run(anywhere)
    before = anywhere.portal.one("contact")
    shop_edits.delete_customer(anywhere.shop.state, ada)
    tells_deleted(anywhere, "customer", ada)
    run(anywhere)
    assert tombstones(anywhere, "customer") == [str(ada)]
    assert anywhere.portal.one("contact") == before


def test_an_object_whose_two_contents_cannot_be_settled_because_it_is_gone(
    tenant: Tenant,
) -> None:
    """Listed and delivered with one time and two contents, and deleted before the read."""
    _, orders = _regular(tenant)
    run(tenant)
    body = tenant.shop.call("GET", f"/orders/{orders[2]}")
    delivers(tenant, {"x-wc-webhook-topic": "order.updated"}, {**body, "status": "completed"})
    shop_edits.delete_order(tenant.shop.state, orders[2])

    run(tenant)

    assert _status(tenant, orders[2]) == "deleted"


_GONE = {"code": "woocommerce_rest_shop_order_invalid_id", "message": "Invalid ID."}
_404S = (
    FaultRule("status", path=r"/orders\?.*include=", status=200, body=[], count=0),
    FaultRule("status", path=r"/orders/\d+", status=404, body=_GONE, count=0),
)
"""Every read by id says gone."""


@pytest.mark.parametrize("red", [True, False])
def test_404s_while_the_check_is_red_delete_nothing(tenant: Tenant, red: bool) -> None:
    """A shop behind a broken proxy answered 404 to every read, and 401 right after; half a CRM
    was called deleted. What was told is read again when the check is green."""
    _, orders = _regular(tenant)
    run(tenant)
    tells_deleted(tenant, "order", orders[0])
    check = FaultRule("status", path="woocommerce_currency", status=401, first=2, count=0)
    tenant.shop.follow(*_404S, *([check] if red else []))

    report = run(tenant, problems=True)

    assert report.failed("extract", "order") is red
    assert tombstones(tenant, "order") == ([] if red else [str(orders[0])])
    assert (_status(tenant, orders[0]) == "deleted") is not red
    tenant.shop.follow()
    shop_edits.delete_order(tenant.shop.state, orders[0])
    run(tenant)
    assert _status(tenant, orders[0]) == "deleted"


def _hundred(tenant: Tenant) -> list[int]:
    """A hundred orders of one account, 30 of which are deleted after the first run."""
    ada = tenant.shop.account("ada@example.com")
    orders = [tenant.shop.order(ada) for _ in range(100)]
    run(tenant)
    return orders[:30]


def _deletes(tenant: Tenant, orders: list[int]) -> None:
    for number in orders:
        shop_edits.delete_order(tenant.shop.state, number)
        tells_deleted(tenant, "order", number)


def test_a_third_of_all_orders_gone_at_once_waits_for_a_person(tenant: Tenant) -> None:
    """Somebody restored last month's backup: 30 of 100 orders answered "gone"."""
    orders = _hundred(tenant)
    _deletes(tenant, orders)

    run(tenant, problems=True)

    (hold,) = tenant.rows("select object_type, check_name, records, reason, fix from holds")
    assert tuple(hold)[:3] == ("order", "deletions", 30)
    assert "30 of 100 order records" in hold.reason
    assert "--release order" in hold.fix
    assert tenant.portal.one("contact")["ci_orders_count"] == "100"
    run(tenant, problems=True)
    assert "deleted" not in {_status(tenant, one) for one in orders}
    assert tenant.value("select count(*) from orders where deleted_at is not null") == 0

    with tenant.scope() as scope:
        assert release_by_person(scope, "order", "deletions", "ada") == 1
    run(tenant)

    assert {_status(tenant, one) for one in orders} == {"deleted"}
    assert tenant.portal.one("contact")["ci_orders_count"] == "70"
    assert tenant.value("select count(*) from holds where released_at is null") == 0
    assert len(tombstones(tenant, "order")) == 30


def test_a_hold_ends_by_itself_when_all_that_was_gone_is_there_again(tenant: Tenant) -> None:
    """The shop's host put the right database back within the hour."""
    orders = _hundred(tenant)
    lost = {number: tenant.shop.state.orders[number] for number in orders}
    _deletes(tenant, orders)
    run(tenant, problems=True)
    for held in lost.values():
        tenant.shop.state.insert_order(held)

    run(tenant)

    assert tenant.value("select released_by from holds") == "check deletions"
    assert "deleted" not in {_status(tenant, one) for one in orders}
    assert tenant.value("select count(*) from orders where deleted_at is not null") == 0


def test_what_comes_back_lives_again(anywhere: Tenant) -> None:
    """From a backup, with the date it had: by that date it is older than its deletion."""
    _, orders = _regular(anywhere)
    run(anywhere)
    held = shop_edits.delete_order(anywhere.shop.state, orders[0])
    tells_deleted(anywhere, "order", orders[0])
    run(anywhere)
    assert _status(anywhere, orders[0]) == "deleted"
    anywhere.shop.state.insert_order(held)

    run(anywhere)

    assert _status(anywhere, orders[0]) not in ("", "deleted")
    assert anywhere.portal.one("contact")["ci_orders_count"] == "3"
    shop_edits.delete_order(anywhere.shop.state, orders[0])
    tells_deleted(anywhere, "order", orders[0])
    run(anywhere)
    assert _status(anywhere, orders[0]) == "deleted"


def test_an_old_delivery_after_the_deletion_brings_nobody_back(tenant: Tenant) -> None:
    """The update was a day late; it is older than the deletion, whenever it comes."""
    _, orders = _regular(tenant)
    body = tenant.shop.call("GET", f"/orders/{orders[0]}")
    late = {**body, "status": "on-hold"}
    shop_edits.delete_order(tenant.shop.state, orders[0])
    tells_deleted(tenant, "order", orders[0])
    run(tenant)
    assert tombstones(tenant, "order") == [str(orders[0])]
    delivers(tenant, {"x-wc-webhook-topic": "order.updated"}, late)

    run(tenant)

    assert tenant.portal.one("contact")["ci_orders_count"] == "2"
    assert len(tenant.portal.records("order")) == 2, "a CRM heard first of its deletion"
    run(tenant)
    assert tenant.value("select count(*) from orders") == 2


def test_a_clock_that_is_ahead_brings_nobody_back(tenant: Tenant) -> None:
    """The shop's clock is ahead of ours: its last update looks newer than the deletion."""
    _, orders = _regular(tenant)
    run(tenant)
    body = tenant.shop.call("GET", f"/orders/{orders[0]}")
    shop_edits.delete_order(tenant.shop.state, orders[0])
    tells_deleted(tenant, "order", orders[0])
    run(tenant)
    ahead = str(tenant.value("select to_char(now() at time zone 'UTC' + interval '3 minutes',"
                             " 'YYYY-MM-DD\"T\"HH24:MI:SS')"))  # fmt: skip
    late = {**body, "date_modified_gmt": ahead}
    delivers(tenant, {"x-wc-webhook-topic": "order.updated"}, late)

    run(tenant)

    assert _status(tenant, orders[0]) == "deleted"
    assert len(tombstones(tenant, "order")) == 2


def test_a_replay_after_a_deletion_changes_nothing(anywhere: Tenant) -> None:
    """Re-derived from its last words alone the order would live."""
    _, orders = _regular(anywhere)
    run(anywhere)
    shop_edits.delete_order(anywhere.shop.state, orders[0])
    tells_deleted(anywhere, "order", orders[0])
    run(anywhere)
    before = anywhere.rows("select * from orders order by order_id")
    people = anywhere.rows("select * from customers order by customer_id")
    anywhere.portal.app.calls.clear()

    run(anywhere)

    assert anywhere.rows("select * from orders order by order_id") == before
    assert anywhere.rows("select * from customers order by customer_id") == people
    assert writes(anywhere.portal.calls) == 0
