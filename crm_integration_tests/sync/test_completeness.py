"""The proof finds each kind of hole at its stage, counts it exactly, and calls nothing else one."""

from __future__ import annotations

from crm_integration_tests.house import Tenant
from crm_integration_tests.sync.proving import proven, verdicts


def _lives(tenant: Tenant) -> int:
    """Two accounts, three orders, a refund, all the way to the CRM; the last order's id."""
    shop = tenant.shop
    ada = shop.account("ada@example.com")
    shop.account("bob@example.com")
    shop.order(ada, total="20.00")
    order = shop.order(ada, total="30.00")
    shop.refund(order, "5.00")
    last = shop.guest_order("gus@example.com")
    tenant.run_once()
    return last


def test_an_untouched_tenant_is_whole(tenant: Tenant) -> None:
    """A proof that cries wolf is switched off."""
    _lives(tenant)
    done = proven(tenant)
    assert verdicts(done) == {}
    print(verdicts(done, all_of=True))
    assert done.whole
