"""What the sweep found about a cart holds for the touch it speaks of, and for no other."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from crm_integration.sandbox.shop_state import CartRecord
from crm_integration.sync import abandonment
from crm_integration_tests import shop_life
from crm_integration_tests.house import House, Tenant


@pytest.fixture
def tenant(house: House) -> Tenant:
    """One whose shop tells of carts."""
    return house.tenant("shopify")


def _ago(minutes: int) -> int:
    return int((datetime.now(UTC) - timedelta(minutes=minutes)).timestamp())


def _left(tenant: Tenant, minutes: int) -> CartRecord:
    """A cart that was touched last so many minutes ago, as the engine knows it."""
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    cart = tenant.shop.state.carts[shop_life.leaves_cart(tenant.shop, order)]
    tenant.shop.now = _ago(0)
    _touched(tenant, cart, minutes)
    return cart


def _touched(tenant: Tenant, cart: CartRecord, minutes: int) -> None:
    """The shopper was there so many minutes ago, and the engine hears of it now."""
    cart.modified = _ago(minutes)
    cart.created = min(cart.created, cart.modified)
    cart.total_minor += 100
    tenant.run_once()


def _swept(tenant: Tenant, after_minutes: int = 60) -> int:
    return abandonment.sweep(
        tenant.house.tenancy, tenant.name, "main", run_id="sweep", after_minutes=after_minutes
    )


def _status(tenant: Tenant) -> str:
    tenant.sync()
    return tenant.portal.one("cart")["hs_external_status"]


def test_a_shopper_who_came_back_is_heard_of_although_the_verdict_is_younger(
    tenant: Tenant,
) -> None:
    """Left for 70 minutes, a cart was abandoned since ten; the store then told of a touch 15
    minutes ago, and as that came before those ten she was reminded of a cart she was filling."""
    cart = _left(tenant, 70)
    assert (_swept(tenant), _status(tenant)) == (1, "abandoned")
    _touched(tenant, cart, 15)
    assert tenant.value("select swept_at is null and not settled from carts")
    assert _status(tenant) == "open"
    assert _swept(tenant) == 0
    tenant.derive()
    assert _status(tenant) == "open", "a replay brought the old verdict back"


def test_a_cart_that_only_the_shop_corrected_stays_abandoned(tenant: Tenant) -> None:
    """A price that changed overnight is no shopper: each correction sent the reminder anew."""
    cart = _left(tenant, 70)
    _swept(tenant)
    before = tenant.value("select swept_at from carts")
    cart.total_minor += 500
    tenant.run_once()
    assert tenant.value("select total_minor from carts") == cart.total_minor
    assert tenant.value("select swept_at from carts") == before
    assert (_swept(tenant), _status(tenant)) == (0, "abandoned")


def test_a_wait_that_was_shortened_counts_for_the_next_touch(tenant: Tenant) -> None:
    """The verdict under the long wait bore the later time, passed for the newest and hid the new
    one: the cart was swept minute after minute, and never abandoned."""
    cart = _left(tenant, 300)
    assert _swept(tenant, after_minutes=299) == 1
    _touched(tenant, cart, 30)
    assert _swept(tenant, after_minutes=20) == 1
    assert _status(tenant) == "abandoned"
    assert _swept(tenant, after_minutes=20) == 0
