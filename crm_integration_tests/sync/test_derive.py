"""What deriving says of itself, over all stores of a tenant."""

from __future__ import annotations

from crm_integration_tests.house import Tenant


def test_the_drift_of_one_store_does_not_hide_that_of_another(tenant: Tenant) -> None:
    """Both shops had orders; the report spoke only of the one that was derived last."""
    second = tenant.add_store("shopify", "second")
    tenant.shop.guest_order("ada@example.com")
    tenant.shop.guest_order("eve@example.com")
    second.guest_order("bea@example.com")
    tenant.extract()
    tenant.extract(connection_id="second")

    derived = tenant.derive()

    assert [one.looked_at for one in derived.drift["order"]] == [2, 1]


def test_adding_up_leaves_the_report_that_is_added_as_it_was(tenant: Tenant) -> None:
    """Two reports that share a list would grow together: each store was then counted twice."""
    tenant.shop.guest_order("ada@example.com")
    tenant.extract()
    first, second = tenant.derive(), tenant.derive()

    first.add(second)

    assert len(first.drift["order"]) == 2
    assert len(second.drift["order"]) == 1
