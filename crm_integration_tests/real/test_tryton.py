"""A real CRM at the end of the whole way: what Tryton's own records say after each incident.

The shop is an emulator, Tryton is Tryton. Every look at its records goes to Tryton itself, past
our adapter and past the proxy that loses answers.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from crm_integration.intake.drop_table import drain, put
from crm_integration.sandbox.faults import FaultRule
from crm_integration.storage.engine import engine_for
from crm_integration_tests import shop_life
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.real.merchants import all_synced, customer
from crm_integration_tests.real.tryton_records import amount, held
from crm_integration_tests.real.tryton_server import TrytonAccount

pytestmark = pytest.mark.usefixtures("no_pauses")

NEW_PARTY = r"party\.party(/create)?\?"
NEW_OPPORTUNITY = r"sale\.opportunity(/create)?\?"
NEW_NOTE = r"ir\.note(/create)?\?"


def _deliver(house: House, merchant: Tenant, topic: str, body: Any) -> None:
    """A webhook into the drop table."""
    headers = {"x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": "d1"}
    with merchant.scope() as scope:
        keys = scope.keys
    with engine_for(house.urls.intake).begin() as connection:
        put(connection, keys, "main", headers, orjson.dumps(body))


def _live(house: House, merchant: Tenant) -> None:
    """What waits in the drop table, to the CRM; the shop is not listed."""
    drain(house.tenancy, house.engines.ops, merchant.name, merchant.store, run_id="live")
    merchant.derive()
    merchant.sync()


def test_a_new_customers_first_order_is_a_party_an_opportunity_and_its_notes(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """The least a CRM owes a merchant: who bought, what it came to, and when."""
    number = customer(merchant)
    merchant.shop.order(number, total="12.30")
    merchant.run_once()

    (party,) = crm.records.parties()
    assert party["name"] == "Ada Account"
    assert party["code"].startswith("ci-")
    assert held(party, "email") == ["ada@example.com"]
    assert held(party, "phone") == ["+441134960000"]
    (address,) = party["addresses."]
    assert (address["street"], address["city"]) == ("1 Old Road", "Leeds")
    assert (address["postal_code"], address["country."]["code"]) == ("LS1 1AA", "GB")

    (deal,) = crm.records.opportunities()
    assert (deal["party"], deal["state"], amount(deal)) == (party["id"], "lead", "12.30 GBP")
    assert deal["description"].startswith("Order ")
    assert deal["start_date"] == {"__class__": "date", "year": 2024, "month": 3, "day": 1}
    paid, placed = sorted(crm.records.notes(party["id"]))
    assert " paid: 12.30 GBP" in paid
    assert " placed: 12.30 GBP" in placed
    assert all_synced(merchant)

    crm.calls.clear()
    merchant.run_once()
    assert not crm.calls, "nothing new in the shop is no call to the CRM"


def test_a_repeat_order_goes_to_the_same_party(merchant: Tenant, crm: TrytonAccount) -> None:
    """A second order made a second customer wherever the CRM was searched too early."""
    number = customer(merchant)
    merchant.shop.order(number, total="12.30")
    merchant.run_once()
    merchant.shop.order(number, total="20.00")
    merchant.run_once()

    (party,) = crm.records.parties()
    deals = crm.records.opportunities()
    assert [amount(one) for one in deals] == ["12.30 GBP", "20.00 GBP"]
    assert {one["party"] for one in deals} == {party["id"]}
    assert len(crm.records.notes(party["id"])) == 4
    assert len(crm.records.notes()) == 4


def test_a_refund_updates_the_history_once(merchant: Tenant, crm: TrytonAccount) -> None:
    """Support promised money that had been paid back already: the refund was in the store only."""
    order = merchant.shop.order(customer(merchant), total="12.30")
    merchant.run_once()
    merchant.shop.refund(order, "4.00")
    merchant.run_once()
    merchant.run_once()

    (party,) = crm.records.parties()
    refunds = [one for one in crm.records.notes(party["id"]) if "Refund" in one]
    assert len(refunds) == 1
    assert f"of 4.00 GBP for order {order}" in refunds[0]
    (deal,) = crm.records.opportunities()
    assert amount(deal) == "12.30 GBP", "what was ordered stays what was ordered"
    assert "Refunded: 4.00 GBP" in deal["comment"]
    assert "partially_refunded" in deal["comment"]
    assert all_synced(merchant)


def test_a_change_of_address_leaves_what_sales_own(merchant: Tenant, crm: TrytonAccount) -> None:
    """A customer moved, and the sync put the store's old phone over the one sales had rung."""
    number = customer(merchant)
    merchant.shop.order(number)
    merchant.run_once()
    (party,) = crm.records.parties()
    phone = crm.records.rows("party.contact_mechanism", ["id"], [["type", "=", "phone"]])[0]["id"]
    crm.records.edit(
        "party.party",
        party["id"],
        name="Ada B. Account (VIP)",
        contact_mechanisms=[["write", [phone], {"value": "+44 20 7946 0999"}]],
        addresses=[["create", [{"street": "Dock 4", "city": "Hull"}]]],
    )
    moved = {"address_1": "2 New Lane", "city": "York", "postcode": "YO1 1AA",
             "phone": "0113 496 0111"}  # fmt: skip
    merchant.shop.call("PUT", f"/customers/{number}", {"billing": moved})
    merchant.run_once()

    (party,) = crm.records.parties()
    assert party["name"] == "Ada B. Account (VIP)"
    assert held(party, "phone") == ["+44 20 7946 0999"]
    first, second = party["addresses."]
    assert (first["street"], first["city"], first["postal_code"]) == (
        "2 New Lane", "York", "YO1 1AA",
    )  # fmt: skip
    assert (second["street"], second["city"]) == ("Dock 4", "Hull")
    assert held(party, "email") == ["ada@example.com"]


def test_an_account_that_was_a_lead_of_sales_is_adopted_under_its_own_number(
    merchant: Tenant, crm: TrytonAccount
) -> None:
    """Sales had the person as K-17, with the e-mail in capitals; the sync made a second one."""
    before = crm.records.enter(
        "Addie", email="ADA@Example.com", phone="+44 20 7946 0999", code="K-17"
    )
    merchant.shop.order(customer(merchant))
    merchant.run_once()

    (party,) = crm.records.parties()
    assert (party["id"], party["code"], party["name"]) == (before, "K-17", "Addie")
    assert held(party, "email") == ["ADA@Example.com"]
    assert held(party, "phone") == ["+44 20 7946 0999"]
    assert [one["street"] for one in party["addresses."]] == ["1 Old Road"], "was empty"
    (key,) = party["identifiers."]
    assert key["code"].startswith("ci-")
    (deal,) = crm.records.opportunities()
    assert deal["party"] == before
    assert len(crm.records.notes(before)) == 2
    assert all_synced(merchant)

    crm.calls.clear()
    merchant.shop.order(merchant.shop.account("other@example.com"))
    merchant.run_once()
    assert len(crm.records.parties()) == 2


@pytest.mark.parametrize("lost", [NEW_PARTY, NEW_OPPORTUNITY, NEW_NOTE])
def test_a_write_whose_answer_is_lost_is_made_once(
    merchant: Tenant, crm: TrytonAccount, lost: str
) -> None:
    """Tryton had committed, the connection broke, and the retry made the second one."""
    merchant.shop.order(customer(merchant))
    crm.follow(FaultRule("commit_then_drop", method="POST", path=lost))
    merchant.run_once()
    unknown = merchant.value("select count(*) from attempts where outcome = 'unknown'")
    assert unknown > 0, "the fault did not hit"
    merchant.hurry()
    merchant.sync()

    (party,) = crm.records.parties()
    (deal,) = crm.records.opportunities()
    assert deal["party"] == party["id"]
    assert len(crm.records.notes()) == 2
    assert all_synced(merchant)


@pytest.mark.parametrize("action", ["status", "cut"])
def test_a_write_that_failed_goes_to_retry_and_reconciles(
    merchant: Tenant, crm: TrytonAccount, action: Any
) -> None:
    """Tryton was down for an hour: nothing may be lost, nothing doubled, nobody asked."""
    number = customer(merchant)
    merchant.shop.order(number, total="12.30")
    crm.follow(FaultRule(action, path="rest/model", count=0, status=503))
    merchant.run_once()
    assert crm.records.parties() == []
    states = {row.state for row in merchant.rows("select state from ledger")}
    assert "synced" not in states
    assert "dead" not in states

    merchant.shop.call("PUT", f"/customers/{number}", {"first_name": "Augusta"})
    crm.follow()
    merchant.hurry()
    merchant.run_once()
    (party,) = crm.records.parties()
    assert party["name"] == "Augusta Account"
    (deal,) = crm.records.opportunities()
    assert (deal["party"], amount(deal)) == (party["id"], "12.30 GBP")
    assert len(crm.records.notes(party["id"])) == 2
    assert all_synced(merchant)


def test_an_update_whose_answer_is_lost_is_still_ours(merchant: Tenant, crm: TrytonAccount) -> None:
    """The lost update looked like a person's edit, and the field was never written again."""
    number = customer(merchant)
    merchant.run_once()
    for city in ("York", "Hull"):
        merchant.shop.call("PUT", f"/customers/{number}", {"billing": {"city": city}})
        crm.follow(FaultRule("commit_then_drop", method="PUT", path=r"party\.party"))
        merchant.run_once()
        merchant.hurry()
        merchant.sync()
        (party,) = crm.records.parties()
        assert [one["city"] for one in party["addresses."]] == [city]
    assert all_synced(merchant)


def test_the_same_webhook_twice_is_one_order(
    house: House, merchant: Tenant, crm: TrytonAccount
) -> None:
    """Stores deliver a webhook again when our answer was slow."""
    number = merchant.shop.guest_order("gus@example.com", total="12.30")
    body = merchant.shop.call("GET", f"/orders/{number}")
    _deliver(house, merchant, "order.created", body)
    _deliver(house, merchant, "order.created", body)
    _live(house, merchant)
    (party,) = crm.records.parties()
    (deal,) = crm.records.opportunities()
    assert deal["party"] == party["id"]
    notes = crm.records.notes()

    crm.calls.clear()
    _deliver(house, merchant, "order.created", body)
    _live(house, merchant)
    assert not crm.calls
    assert crm.records.notes() == notes


def test_an_update_that_comes_before_its_creation_stands(
    house: House, merchant: Tenant, crm: TrytonAccount
) -> None:
    """The older delivery came last and set a cancelled order back to paid."""
    number = merchant.shop.guest_order("gus@example.com", total="12.30")
    created = merchant.shop.call("GET", f"/orders/{number}")
    shop_life.cancels(merchant.shop, number)
    updated = merchant.shop.call("GET", f"/orders/{number}")

    _deliver(house, merchant, "order.updated", updated)
    _live(house, merchant)
    (deal,) = crm.records.opportunities()
    assert deal["state"] == "cancelled"
    _deliver(house, merchant, "order.created", created)
    _live(house, merchant)

    (after,) = crm.records.opportunities()
    assert (after["state"], after["comment"]) == ("cancelled", deal["comment"])
    assert len(crm.records.parties()) == 1
    assert all_synced(merchant)
