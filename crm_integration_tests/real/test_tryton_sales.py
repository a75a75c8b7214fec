"""A real CRM with people at work in it: what they close, merge and enter twice stays theirs."""

from __future__ import annotations

from typing import Any

import pytest

from crm_integration.sync.waiting import AMBIGUOUS
from crm_integration_tests import shop_life
from crm_integration_tests.house import Tenant
from crm_integration_tests.real.merchants import all_synced, customer
from crm_integration_tests.real.tryton_records import held
from crm_integration_tests.real.tryton_server import TrytonAccount

pytestmark = pytest.mark.usefixtures("no_pauses")


def test_a_cancelled_order_closes_its_opportunity_and_a_won_one_stays(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """A dead order stood in the pipeline for a quarter; the next sync reopened what sales lost."""
    number = customer(merchant)
    called_off, lost = merchant.shop.order(number), merchant.shop.order(number)
    merchant.run_once()
    deal = _of_order(crm, lost)
    crm.records.press("sale.opportunity", deal["id"], "lost")
    shop_life.cancels(merchant.shop, called_off)
    merchant.shop.refund(lost, "2.00")
    merchant.run_once()

    assert _of_order(crm, called_off)["state"] == "cancelled"
    closed = _of_order(crm, lost)
    assert (closed["state"], closed["comment"]) == ("lost", deal["comment"])
    assert all_synced(merchant), "what Tryton lets nobody change is no error"


def _of_order(crm: TrytonAccount, number: int) -> Any:
    """The opportunity that an order is; they are made in no certain order."""
    (found,) = (
        one for one in crm.records.opportunities() if f"Order {number} " in one["description"]
    )
    return found


def test_what_comes_after_sales_merged_two_parties_goes_to_the_one_that_stands(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """Refund and second order went to the party that nobody sees any more."""
    number = customer(merchant)
    order = merchant.shop.order(number, total="12.30")
    merchant.run_once()
    (ours,) = crm.records.parties()
    stands = crm.records.enter("Ada Lovelace", email="lovelace@example.com")
    crm.merge(ours["id"], stands)
    merchant.shop.refund(order, "4.00")
    merchant.shop.order(number, total="20.00")
    merchant.shop.call("PUT", f"/customers/{number}", {"billing": {"city": "York"}})
    merchant.run_once()

    _, party = crm.records.parties()
    assert (party["id"], party["name"]) == (stands, "Ada Lovelace")
    assert held(party, "email") == ["lovelace@example.com"]
    assert {one["party"] for one in crm.records.opportunities()} == {stands}
    notes = "".join(crm.records.notes(stands))
    assert "Refund" in notes
    assert "20.00 GBP" in notes
    assert len(crm.records.parties()) == 2
    assert all_synced(merchant)


def test_a_person_who_is_there_twice_waits_for_sales_and_the_order_does_not(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """One of two was picked at random, and it was the wrong one."""
    first = crm.records.enter("Addie", email="ada@example.com")
    second = crm.records.enter("A. Account", email="Ada@example.com")
    number = customer(merchant)
    merchant.shop.order(number)
    merchant.run_once()
    assert merchant.state("contact") == [("parked", AMBIGUOUS)]
    (deal,) = crm.records.opportunities()
    assert deal["party"] is None
    assert crm.records.notes() == []

    crm.records.edit("party.party", second, active=False)  # sales put the double away
    merchant.shop.call("PUT", f"/customers/{number}", {"billing": {"city": "York"}})
    merchant.hurry()
    merchant.run_once()
    deals = {one["id"]: one["party"] for one in crm.records.opportunities()}
    assert deals[deal["id"]] == first
    assert len(crm.records.notes(first)) == 2
    assert all_synced(merchant)


def test_one_customer_tryton_cannot_take_does_not_hold_back_the_others(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """A country that Tryton's list lacks failed the whole batch of a hundred."""
    for number in range(5):
        account = merchant.shop.account(f"p{number}@example.com", f"P{number}", f"Person{number}")
        country = "FR" if number == 2 else "GB"
        merchant.shop.call("PUT", f"/customers/{account}", {"billing": {"country": country}})
    merchant.run_once()
    emails = {held(party, "email")[0] for party in crm.records.parties()}
    assert emails == {f"p{number}@example.com" for number in (0, 1, 3, 4)}
    refused = ("dead", "the CRM refuses address.country")
    assert merchant.state("contact") == [refused, *[("synced", None)] * 4]
