"""Architecture §9, row by row: what happens in the store, and the CRM's own records after it."""

from __future__ import annotations

import pytest

from crm_integration.sync import abandonment
from crm_integration_tests import shop_life
from crm_integration_tests.house import House, Tenant


@pytest.fixture
def tenant(house: House) -> Tenant:
    """A merchant on a platform that tells all of it."""
    return house.tenant(platform="shopify")


def notes(tenant: Tenant, kind: str) -> list[dict[str, str]]:
    """Timeline notes of a kind in the CRM."""
    return [one for one in tenant.portal.records("activity").values() if one["ci_kind"] == kind]


def test_an_account_created_and_updated_is_one_contact(tenant: Tenant) -> None:
    """State: the contact follows the account."""
    number = tenant.shop.account("ada@example.com", "Ada", "First")
    tenant.run_once()
    held = tenant.shop.state.customers[number]
    tenant.shop.now += 60
    held.fields["last_name"], held.modified = "Second", tenant.shop.now
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert (contact["firstname"], contact["lastname"]) == ("Ada", "Second")
    assert contact["ci_customer_kind"] == "registered"


def test_newsletter_opt_in_and_opt_out_show_in_the_consent_fields(tenant: Tenant) -> None:
    """With the time that the store says it was given, never the time we heard of it."""
    number = tenant.shop.account("ada@example.com")
    shop_life.says(tenant.shop, number, "subscribed", "confirmed")
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert contact["ci_email_consent"] == "subscribed"
    opted_in = contact["ci_email_consent_at"]
    shop_life.says(tenant.shop, number, "unsubscribed")
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert contact["ci_email_consent"] == "unsubscribed"
    assert contact["ci_email_consent_at"] > opted_in


def test_an_opt_out_in_the_crm_stands_against_the_store(tenant: Tenant) -> None:
    """Somebody unsubscribed by the CRM's own link; the store still says subscribed."""
    number = tenant.shop.account("ada@example.com")
    tenant.run_once()
    ((record_id, _),) = tenant.portal.records("contact").items()
    record = tenant.portal.state.get("contacts", str(record_id))
    assert record is not None
    tenant.portal.state.opted_out(record)
    shop_life.says(tenant.shop, number, "subscribed", "confirmed")
    tenant.run_once()
    assert tenant.portal.one("contact")["ci_email_consent"] == "unsubscribed"


def test_a_guest_checkout_is_a_contact_and_an_order(tenant: Tenant) -> None:
    """Guests never appear in the list of customers."""
    tenant.shop.guest_order("gus@example.com")
    tenant.run_once()
    assert tenant.portal.one("contact")["ci_customer_kind"] == "guest"
    assert tenant.portal.one("order")["ci_is_guest"] == "true"


def test_an_order_leaves_one_note_for_each_milestone(tenant: Tenant) -> None:
    """Placed and paid; then cancelled. A second look tells nothing again."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"), total="12.50")
    tenant.run_once()
    assert len(notes(tenant, "order_placed")) == 1
    assert len(notes(tenant, "order_paid")) == 1
    shop_life.cancels(tenant.shop, order)
    tenant.run_once()
    (cancelled,) = notes(tenant, "order_cancelled")
    assert "12.50 GBP" in notes(tenant, "order_placed")[0]["hs_note_body"]
    assert cancelled["ci_order_number"] == tenant.portal.one("order")["hs_order_name"]
    assert len(tenant.portal.records("activity")) == 3
    assert tenant.portal.one("order")["hs_payment_status"] == "cancelled"


def test_milestones_hang_on_the_contact_and_on_the_order(tenant: Tenant) -> None:
    """A note that nobody finds on the record is no timeline."""
    tenant.shop.guest_order("gus@example.com")
    tenant.run_once()
    (contact,), (order,) = tenant.portal.records("contact"), tenant.portal.records("order")
    for note in tenant.portal.records("activity"):
        assert tenant.portal.linked("activity", note, "contact") == {contact}
        assert tenant.portal.linked("activity", note, "order") == {order}


def test_a_partial_and_a_full_refund_show_on_the_order_and_as_notes(tenant: Tenant) -> None:
    """Money given back is a number on the order and a moment on the timeline."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"), total="10.00")
    tenant.shop.refund(order, "4.00")
    tenant.run_once()
    held = tenant.portal.one("order")
    assert (held["hs_refund_amount"], held["hs_payment_status"]) == ("4", "partially_refunded")
    tenant.shop.refund(order, "6.00")
    tenant.run_once()
    held = tenant.portal.one("order")
    assert (held["hs_refund_amount"], held["hs_payment_status"]) == ("10", "refunded")
    assert len(tenant.portal.records("refund")) == 2


def test_a_parcel_moves_the_order_and_is_told(tenant: Tenant) -> None:
    """Shipped, then delivered: one note each, and the order is fulfilled."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    parcel = shop_life.sends(tenant.shop, order)
    tenant.run_once()
    assert tenant.portal.one("order")["hs_fulfillment_status"] == "fulfilled"
    assert len(notes(tenant, "shipped")) == 1
    shop_life.sends(tenant.shop, order, "delivered", parcel)
    tenant.run_once()
    assert len(notes(tenant, "delivered")) == 1
    assert len(notes(tenant, "shipped")) == 1


def sweep(tenant: Tenant) -> int:
    """The sweep of each minute."""
    return abandonment.sweep(tenant.house.tenancy, tenant.name, "main", run_id="sweep")


def test_a_cart_left_alone_is_abandoned_once_and_converted_in_the_same_record(
    tenant: Tenant,
) -> None:
    """A cart reported again at every look is nagging; a second record for its order is wrong."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    cart = shop_life.leaves_cart(tenant.shop, order)
    tenant.run_once()
    assert tenant.portal.one("cart")["hs_external_status"] == "open"
    assert sweep(tenant) == 1
    assert sweep(tenant) == 0
    tenant.run_once()
    assert tenant.portal.one("cart")["hs_external_status"] == "abandoned"
    shop_life.buys_cart(tenant.shop, cart)
    tenant.run_once()
    assert tenant.portal.one("cart")["hs_external_status"] == "converted"
    found = tenant.rows("select observation from raw_records where object_type='cart_abandonment'")
    assert [row.observation for row in found] == [0]


def test_a_cart_whose_owner_ordered_since_is_not_abandoned(tenant: Tenant) -> None:
    """Bought on the phone in place of the laptop: a reminder would be a complaint."""
    customer = tenant.shop.account("ada@example.com")
    shop_life.leaves_cart(tenant.shop, tenant.shop.order(customer))
    tenant.shop.order(customer)
    tenant.run_once()
    assert sweep(tenant) == 0
    assert tenant.portal.one("cart")["hs_external_status"] == "open"


def test_a_cart_of_a_stranger_counts_once_the_stranger_is_known(tenant: Tenant) -> None:
    """Abandoned by nobody a CRM knows: the record had no contact to hang on and to write to."""
    shop_life.leaves_cart(tenant.shop, tenant.shop.order(tenant.shop.account("ada@example.com")))
    tenant.extract("cart")
    tenant.derive()
    assert tenant.rows("select known from customers") == [(False,)]
    assert sweep(tenant) == 0
    assert tenant.name not in _waiting(tenant)
    tenant.extract("customer")
    tenant.derive()
    assert tenant.name in _waiting(tenant)
    assert sweep(tenant) == 1


def _waiting(tenant: Tenant) -> set[str]:
    """Tenants for whom a sweep would be started."""
    return {one.tenant for one in abandonment.waiting_carts(tenant.house.engines.ops, limit=1_000)}


def test_a_replay_finds_the_abandoned_cart_again(tenant: Tenant) -> None:
    """What the sweep found is a raw record like any other."""
    shop_life.leaves_cart(tenant.shop, tenant.shop.order(tenant.shop.account("ada@example.com")))
    tenant.run_once()
    sweep(tenant)
    with tenant.scope() as scope:
        scope.connection.exec_driver_sql("update carts set swept_at = null, settled = false")
    tenant.derive()
    assert tenant.value("select swept_at is not null from carts")


def test_a_product_is_a_product(tenant: Tenant) -> None:
    """State, where the CRM has products."""
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    tenant.run_once()
    assert tenant.portal.one("product")["hs_sku"] == "MUG"


def test_the_lifecycle_goes_forward_by_orders_and_says_why(tenant: Tenant) -> None:
    """Lead, customer, repeat: derived, with its reason, never back."""
    customer = tenant.shop.account("ada@example.com")
    tenant.run_once()
    assert tenant.portal.one("contact")["ci_current_stage"] == "lead"
    order = tenant.shop.order(customer)
    tenant.run_once()
    contact = tenant.portal.one("contact")
    assert (contact["ci_current_stage"], contact["lifecyclestage"]) == ("customer", "customer")
    assert contact["ci_lifecycle_reason"].startswith("1 order, the last on ")
    tenant.shop.order(customer)
    tenant.run_once()
    assert tenant.portal.one("contact")["ci_current_stage"] == "repeat"
    shop_life.cancels(tenant.shop, order)
    tenant.run_once()
    assert tenant.portal.one("contact")["lifecyclestage"] == "customer"


def test_a_note_at_checkout_lands_on_the_timeline(tenant: Tenant) -> None:
    """Support looks there first."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    tenant.shop.state.orders[order].customer_note = "Please ring twice"
    tenant.run_once()
    (note,) = notes(tenant, "note")
    assert "Please ring twice" in note["hs_note_body"]


def test_the_company_of_a_customer_is_a_company_tied_to_the_contact(tenant: Tenant) -> None:
    """Two spellings of one firm are one company with two people."""
    for number, firm in enumerate(("Miller & Sons Ltd.", "MILLER AND SONS LIMITED")):
        tenant.shop.guest_order(f"buyer{number}@example.com", company=firm, country="GB")
    tenant.run_once()
    ((company_id, company),) = tenant.portal.records("company").items()
    assert company["ci_customers_count"] == "2"
    for contact in tenant.portal.records("contact"):
        assert tenant.portal.linked("contact", contact, "company") == {company_id}
