"""The whole way: a shop's people and orders reach the CRM, once, and stay as they are."""

from __future__ import annotations

from crm_integration_tests.house import Tenant


def test_an_order_of_an_account_reaches_the_crm_as_contact_order_and_association(
    tenant: Tenant,
) -> None:
    """The main job, in its smallest form; a sync that runs green and writes nothing fails here."""
    customer = tenant.shop.account("ada@example.com")
    number = tenant.shop.order(customer, total="12.50")
    ran = tenant.run_once()
    assert ran.crm.problem is None
    contacts, orders = tenant.portal.records("contact"), tenant.portal.records("order")
    assert [one["email"] for one in contacts.values()] == ["ada@example.com"]
    (order_id,) = orders
    assert orders[order_id]["hs_order_name"] == str(number)
    assert orders[order_id]["hs_total_price"] == "12.5"
    assert tenant.portal.linked("order", order_id, "contact") == set(contacts)


def test_a_second_run_over_an_unchanged_shop_makes_no_crm_call(tenant: Tenant) -> None:
    """Measured at a peer: 100 extra writes after one transient error, on every later run."""
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    tenant.shop.refund(tenant.shop.guest_order("gus@example.com"), "4.00")
    tenant.run_once()
    tenant.portal.calls.clear()
    again = tenant.run_once()
    assert again.crm.calls == 0
    assert not tenant.portal.calls
    assert not any(one.kept.kept for one in again.extracted.values())
