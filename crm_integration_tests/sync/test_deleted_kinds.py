"""What becomes of each kind of object that a store deleted: its row, its sums, its CRM record."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from crm_integration.intake.extract import fetch
from crm_integration.sandbox import shop_edits
from crm_integration_tests import shop_life
from crm_integration_tests.departures import run, tells_deleted, tombstones
from crm_integration_tests.house import House, Tenant


def _product(tenant: Tenant) -> tuple[str, int]:
    tenant.shop.order(tenant.shop.account("ada@example.com"))
    return "product", next(iter(tenant.shop.state.products))


def _cart(tenant: Tenant) -> tuple[str, int]:
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    return "cart", shop_life.leaves_cart(tenant.shop, order)


@pytest.mark.parametrize(
    ("platform", "made", "field"),
    [
        ("woocommerce", _product, "ci_status"),
        ("shopify", _product, "ci_status"),
        ("api2cart", _product, "ci_status"),
        ("shopify", _cart, "hs_external_status"),
        ("api2cart", _cart, "hs_external_status"),
    ],
)
def test_products_and_carts_say_that_they_are_deleted(
    house: House, platform: str, made: Callable[[Tenant], tuple[str, int]], field: str
) -> None:
    """Nobody is reminded of a cart that is no more, and nobody offers such a product."""
    tenant = house.tenant(platform)
    object_type, number = made(tenant)
    run(tenant)
    if object_type == "product":
        shop_edits.delete_product(tenant.shop.state, number)
    else:
        del tenant.shop.state.carts[number]
    tells_deleted(tenant, object_type, number)

    run(tenant)

    assert tenant.portal.one(object_type)[field] == "deleted"
    assert tombstones(tenant, object_type) == [str(number)]


def test_a_deleted_refund_is_not_subtracted_any_more_and_its_note_stays(tenant: Tenant) -> None:
    """The refund was typed in by mistake and deleted; the order said 4.00 were given back."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"), total="10.00")
    refund = tenant.shop.refund(order, "4.00")
    run(tenant)
    assert tenant.portal.one("order")["hs_refund_amount"] == "4"
    shop_edits.delete_refund(tenant.shop.state, refund)
    _read(tenant, "refund", refund)

    run(tenant)

    assert tenant.portal.one("order")["hs_refund_amount"] == "0"
    assert len(tenant.portal.records("refund")) == 1


def test_a_deleted_parcel_ships_nothing(house: House) -> None:
    """The label was printed twice; the order stood at two parcels."""
    tenant = house.tenant("api2cart")
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    parcel = shop_life.sends(tenant.shop, order)
    run(tenant)
    assert tenant.portal.one("order")["ci_shipment_count"] == "1"
    (name,) = (row.source_id for row in tenant.rows("select source_id from shipments"))
    held = tenant.shop.state.shipments.pop(parcel)
    tenant.shop.state.orders[order].shipments.remove(held)
    _read(tenant, "shipment", name)

    run(tenant)

    assert tombstones(tenant, "shipment") == [name]
    assert tenant.portal.one("order")["ci_shipment_count"] == "0"


def _read(tenant: Tenant, object_type: str, number: int | str) -> None:
    """A read by id, as a doubt or a person asks for it."""
    store = tenant.opened()
    fetch(tenant.house.tenancy, store, object_type, [str(number)], run_id="read")
    store.client.close()
