"""The adapter over real HTTP against the HubSpot emulator, with the accidents of real accounts."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from crm_integration.crms._contract import Association, FieldNeed, Write
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.errors import (
    Conflict,
    DataRejected,
    NeedsReconnect,
    Permanent,
    Transient,
)
from crm_integration.sandbox.faults import FaultAction, FaultPlan, FaultRule, FaultyApp
from crm_integration.sandbox.portal_state import PortalState
from crm_integration_tests.crms.hubspot.served.conftest import NEEDS


def person(number: int, **fields: str) -> Write:
    return Write(f"cust-{number}", None, {"email": f"P{number}@Example.com", **fields})


def test_a_new_account_is_prepared_once(adapter: Adapter, account: PortalState, calls: list[str]):
    """Key unique, our number a number; the second time costs nothing, a second worker one call."""
    defined = account.definitions("contacts")
    assert defined["ci_key"].unique
    assert defined["ci_total"].kind == "number"
    adapter.prepare("contact", NEEDS)
    assert calls == []
    assert adapter.account_id() == "4711"


def test_a_write_is_found_by_key_at_once_while_the_search_still_lags(adapter: Adapter):
    """Existence asked by search right after the write: 'not there', and a second record."""
    (made,) = adapter.write("contact", [person(1)])
    assert made.created
    assert adapter.find_by_match("contact", "email", ["p1@example.com"], []) == {}
    found = adapter.find_by_key("contact", ["cust-1"], ["email"])
    assert made.record is not None
    assert found["cust-1"].record_id == made.record.record_id
    assert found["cust-1"].fields == {"email": "p1@example.com"} == made.record.fields


def test_250_records_are_three_calls_and_once_more_changes_nothing(
    adapter: Adapter, account: PortalState, calls: list[str]
):
    """The same window twice must leave the same 250 records."""
    for new in (True, False):
        outcomes = adapter.write("contact", [person(n) for n in range(250)])
        assert Counter(outcome.created for outcome in outcomes) == {new: 250}
    assert len(list(account.records("contacts"))) == 250
    assert calls == ["batch"] * 6


def test_people_entered_by_sales_are_seen_with_their_duplicates_and_adopted(
    adapter: Adapter, account: PortalState
):
    """Other case, values of their own, one of them twice: nothing of it may be lost."""
    ann = account.seed("contacts", {"email": "ANN@Example.com", "jobtitle": "Buyer"}, created=1.0)
    for _ in range(2):
        account.seed("contacts", {"email": "bob@example.com"}, created=1.0)
    found = adapter.find_by_match(
        "contact", "email", ["Ann@example.COM", "Bob@example.com"], ["jobtitle"]
    )
    assert {value: len(records) for value, records in found.items()} == {
        "ann@example.com": 1,
        "bob@example.com": 2,
    }
    (known,) = found["ann@example.com"]
    assert known.key is None
    assert known.fields["jobtitle"] == "Buyer"
    adoption = Write("cust-1", known.record_id, {"firstname": " Ann "}, adopt=True)
    (outcome,) = adapter.write("contact", [adoption])
    assert outcome.record is not None
    assert outcome.record.fields == {"firstname": "Ann"}, "blanks trimmed by the CRM"
    held = account.get("contacts", str(ann.id))
    assert held is not None
    assert held.properties["jobtitle"] == "Buyer"
    assert held.properties["ci_key"] == "cust-1"


def test_one_record_refused_leaves_99_written(
    adapter: Adapter, account: PortalState, calls: list[str]
):
    """A bad e-mail among 100: 207, and the error reaches the one record."""
    writes = [person(n) for n in range(100)]
    writes[37] = Write("cust-37", None, {"email": "no address"})
    outcomes = adapter.write("contact", writes)
    assert [n for n, outcome in enumerate(outcomes) if outcome.error] == [37]
    refused = outcomes[37].error
    assert isinstance(refused, DataRejected)
    assert (refused.field, refused.code) == ("email", "INVALID_EMAIL")
    assert len(list(account.records("contacts"))) == 99
    assert calls == ["batch"]


def test_a_conflict_fails_100_and_ends_at_one(
    adapter: Adapter, account: PortalState, calls: list[str]
):
    """409 for the whole batch; the neighbours are written once each, in at most 15 calls."""
    held = account.seed("contacts", {"email": "p37@example.com"}, created=1.0)
    outcomes = adapter.write("contact", [person(n) for n in range(100)])
    assert [n for n, outcome in enumerate(outcomes) if outcome.error] == [37]
    conflict = outcomes[37].error
    assert isinstance(conflict, Conflict)
    assert conflict.existing_id == str(held.id)
    assert len(list(account.records("contacts"))) == 100
    assert len(calls) <= 15


@pytest.mark.parametrize(("accident", "stand"), [("commit_then_drop", 5), ("cut", 0)])
def test_a_lost_answer_is_unknown_and_no_second_record_comes_of_it(
    adapter: Adapter,
    account: PortalState,
    server: tuple[str, FaultyApp],
    accident: FaultAction,
    stand: int,
):
    """From outside both look the same; by key all or none are found, and a repeat makes none."""
    server[1].follow(FaultPlan((FaultRule(accident, path="batch/upsert"),)))
    writes = [person(n) for n in range(5)]
    outcomes = adapter.write("contact", writes)
    assert {type(outcome.error) for outcome in outcomes} == {Transient}
    assert {outcome.error.code for outcome in outcomes if outcome.error} == {"unknown"}
    assert len(adapter.find_by_key("contact", [write.key for write in writes], [])) == stand
    assert all(outcome.record for outcome in adapter.write("contact", writes))
    assert len(list(account.records("contacts"))) == 5


def test_records_refused_in_a_207_are_named_and_the_others_written(
    adapter: Adapter, account: PortalState, server: tuple[str, FaultyApp], calls: list[str]
):
    """Two of 100 refused: 98 written, the two with errors, in one call."""
    rule = FaultRule("partial", path="batch/upsert", records=("cust-3", "cust-99"))
    server[1].follow(FaultPlan((rule,)))
    outcomes = adapter.write("contact", [person(n) for n in range(100)])
    assert [n for n, outcome in enumerate(outcomes) if outcome.error] == [3, 99]
    assert len(list(account.records("contacts"))) == 98
    assert calls == ["batch"]


def test_a_property_nobody_has_is_refused_before_and_at_the_write(
    adapter: Adapter, account: PortalState
):
    """The mapping's typo is named; of 3 records the 2 without the field are written."""
    with pytest.raises(DataRejected, match="loyalty does not exist"):
        adapter.prepare("contact", [FieldNeed("loyalty", "text")])
    outcomes = adapter.write("contact", [person(1), person(2, loyalty="gold"), person(3)])
    assert [bool(outcome.record) for outcome in outcomes] == [True, False, True]
    refused = outcomes[1].error
    assert isinstance(refused, DataRejected)
    assert refused.field == "loyalty"


def test_a_revoked_token_writes_nothing_and_asks_to_reconnect(
    adapter: Adapter, account: PortalState, calls: list[str]
):
    """The merchant removed the app."""
    account.settings = replace(account.settings, token="pat-another")
    with pytest.raises(NeedsReconnect):
        adapter.write("contact", [person(n) for n in range(250)])
    assert len(calls) == 1
    assert list(account.records("contacts")) == []


def test_the_accounts_limit_gives_the_time_to_wait(adapter: Adapter, account: PortalState):
    """What was written before the 429 stays written; the rest knows when to come back."""
    account.settings = replace(account.settings, per_ten_seconds=len(NEEDS) + 3)
    outcomes = adapter.write("contact", [person(n) for n in range(600)])
    written = [outcome for outcome in outcomes if outcome.record]
    waiting = [outcome.error for outcome in outcomes if outcome.error]
    assert len(written) == len(list(account.records("contacts"))) > 0
    assert waiting
    for error in waiting:
        assert isinstance(error, Transient)
        assert error.status == 429
        assert error.retry_after is not None
        assert 0 < error.retry_after <= 11


def test_a_record_deleted_in_the_crm_is_absent_and_its_update_says_so(
    adapter: Adapter, account: PortalState
):
    """Sales deleted the contact between two runs."""
    gone, kept = (outcome.record for outcome in adapter.write("contact", [person(1), person(2)]))
    assert gone is not None
    assert kept is not None
    account.archive("contacts", list(account.records("contacts"))[0])
    ids = [gone.record_id, kept.record_id]
    assert list(adapter.read("contact", ids, ["email"])) == [kept.record_id]
    changes = [Write(f"cust-{n}", i, {"firstname": "Ann"}) for n, i in enumerate(ids, 1)]
    first, second = adapter.write("contact", changes)
    assert isinstance(first.error, Permanent)
    assert first.error.code == "OBJECT_NOT_FOUND"
    assert second.record is not None


def test_orders_hang_on_their_contact_also_the_second_time(adapter: Adapter, account: PortalState):
    """An association is a call of its own; making it again is no error, a missing end is."""
    adapter.prepare("order", [])
    (contact,) = (outcome.record for outcome in adapter.write("contact", [person(1)]))
    (order,) = (outcome.record for outcome in adapter.write("order", [Write("o-1", None, {})]))
    assert contact is not None
    assert order is not None
    good = Association("order", order.record_id, "contact", contact.record_id)
    bad = Association("order", order.record_id, "contact", "1")
    for _ in range(2):
        stands, fails = adapter.associate([good, bad])
        assert stands is None
        assert isinstance(fails, Permanent)
    linked = account.linked("orders", int(order.record_id), "contacts")
    assert list(linked) == [int(contact.record_id)]


def test_a_refund_is_a_note_and_a_time_comes_back_as_hubspot_writes_it(adapter: Adapter):
    """The base of the next comparison is HubSpot's own form of the time."""
    adapter.prepare("refund", [FieldNeed("hs_timestamp", "datetime")])
    when = {"hs_timestamp": "2026-01-05T10:00:00+01:00"}
    (outcome,) = adapter.write("refund", [Write("refund-1", None, when)])
    assert outcome.record is not None
    assert outcome.record.fields == {"hs_timestamp": "2026-01-05T09:00:00.000Z"}
    read = adapter.read("refund", [outcome.record.record_id], ["hs_timestamp"])
    assert read[outcome.record.record_id].fields == outcome.record.fields


def test_clearing_a_field_reads_the_same_from_the_write_and_from_a_read(adapter: Adapter):
    """'' here and null there would look like an edit made in the CRM."""
    (made,) = adapter.write("contact", [person(1, firstname="Ann")])
    assert made.record is not None
    record_id = made.record.record_id
    (cleared,) = adapter.write("contact", [Write("cust-1", record_id, {"firstname": None})])
    assert cleared.record is not None
    assert cleared.record.fields == {"firstname": None}
    assert adapter.read("contact", [record_id], ["firstname"])[record_id].fields == {
        "firstname": None
    }
