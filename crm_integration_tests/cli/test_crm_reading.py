"""Totals are read from the CRM itself, and only refunds count as refunds."""

from __future__ import annotations

from crm_integration.cli.crm_reading import CrmTotals, add_totals
from crm_integration.sandbox.portal_properties import Property
from crm_integration.sandbox.server import CrmAccess
from crm_integration_tests.served import Portal, street

_OURS = ("ci_key", "ci_kind", "ci_refund_amount", "ci_refund_currency", "ci_amount", "ci_currency")


def test_a_note_about_a_payment_is_no_money_given_back() -> None:
    """Paid orders became notes beside the refunds, and the refunded total doubled."""
    portal = Portal(42)
    for name in _OURS:
        portal.state.define("notes", Property(name, "string"))
    refund = {"ci_kind": "refund", "ci_refund_amount": "10.50", "ci_refund_currency": "GBP"}
    paid = {"ci_kind": "order_paid", "ci_amount": "99.00", "ci_currency": "GBP"}
    for number, note in enumerate((refund, paid, refund)):
        portal.state.create("notes", {"ci_key": f"k{number}", **note})
    portal.state.create("notes", {"hs_note_body": "typed by sales"})
    portal.state.create("companies", {"name": "Invented"})
    totals = CrmTotals()
    with street() as served:
        access = CrmAccess(served.open("crm", portal.app), portal.token, 42)
        found = add_totals(access, totals)
    assert (totals.refunds, dict(totals.refunded_minor)) == (2, {"GBP": 2100})
    assert (found["notes"], found["companies"], found["carts"]) == (4, 1, 0)
