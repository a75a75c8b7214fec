"""How long an object waits for the record it belongs to is the merchant's to say."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import text

from crm_integration.errors import BadInput
from crm_integration.sync.tenant_settings import USUAL, engine_settings
from crm_integration.sync.waiting import DEPENDENCY
from crm_integration_tests.house import Tenant, at, order, refund


def _waited(tenant: Tenant, hours: int) -> None:
    with tenant.scope() as scope:
        scope.connection.execute(
            text("update ledger set waiting_since = now() - make_interval(hours => :h)"),
            {"h": hours},
        )


def test_a_refund_before_its_order_is_written_without_it_after_the_set_time(
    tenant: Tenant,
) -> None:
    """Its order's export had failed: the refund waited for a day, and the books were closed."""
    tenant.keep(order(7, at(0)), refund(70, 7, "4.00", at(5)))
    tenant.derive()
    tenant.sync("refund")
    assert tenant.state("refund") == [("parked", DEPENDENCY)]
    _waited(tenant, 2)
    assert tenant.sync("refund").calls == 0, "a day, where nothing is set"
    tenant.sync("refund", settings=replace(USUAL, crm_waits_hours=1))
    assert tenant.state("refund") == [("synced", None)]
    (refund_id,) = tenant.portal.records("refund")
    assert tenant.portal.linked("refund", refund_id, "order") == set()

    tenant.sync()
    (order_id,) = tenant.portal.records("order")
    assert tenant.portal.linked("refund", refund_id, "order") == {order_id}, "and tied later"


def test_a_refund_whose_order_comes_is_released_by_itself(tenant: Tenant) -> None:
    """Whatever time is set: nobody need wait for what is there."""
    tenant.keep(order(7, at(0)), refund(70, 7, "4.00", at(5)))
    tenant.derive()
    tenant.sync("refund", settings=replace(USUAL, crm_waits_hours=500))
    assert tenant.state("refund") == [("parked", DEPENDENCY)]
    tenant.sync(settings=replace(USUAL, crm_waits_hours=500))
    (refund_id,) = tenant.portal.records("refund")
    assert len(tenant.portal.linked("refund", refund_id, "order")) == 1


def test_what_a_tenant_sets_about_the_crm_is_read_from_its_file() -> None:
    """A mistyped word was taken for the default, and nothing was ever archived."""
    settings = {"crm_waits_hours": 6, "crm_changes_minutes": 5, "merged_contacts": "archive"}
    found = engine_settings(settings)
    assert (found.crm_waits_hours, found.crm_changes_minutes) == (6, 5)
    assert found.merged_contacts == "archive"
    assert engine_settings({}) == USUAL
    for wrong in ({"merged_contacts": "delete"}, {"crm_waits_hours": 0}, {"crm_waits_hours": "1"}):
        with pytest.raises(BadInput, match=next(iter(wrong))):
            engine_settings(wrong)
