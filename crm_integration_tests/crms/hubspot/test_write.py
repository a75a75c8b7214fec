"""How peers lose or double records on HubSpot, one test each that it does not happen here."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
import stamina

from crm_integration.crms._contract import CrmAccess, Outcome, Write
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.crms.hubspot.client import Client
from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    Permanent,
    Transient,
)
from crm_integration_tests.crms.hubspot.portal import BASE, Portal, error

DROPPED = httpx.RemoteProtocolError("Server disconnected without sending a response")


def creates(count: int, **fields: str) -> list[Write]:
    return [
        Write(f"cust-{n:03}", None, {"email": f"P{n:03}@Example.com", **fields})
        for n in range(count)
    ]


def test_a_record_refused_in_a_207_is_not_taken_for_written(adapter: Adapter, portal: Portal):
    """A connector saw 2xx and marked 100 of 100 as written; 1 of them never was."""
    refusal = error("VALIDATION_ERROR", "no", ids=["cust-007"])
    portal.judge_record = lambda given: refusal if given["id"] == "cust-007" else None
    outcomes = adapter.write("contact", creates(100))
    assert [n for n, o in enumerate(outcomes) if o.error] == [7]
    assert isinstance(outcomes[7].error, DataRejected)
    assert outcomes[7].status == 207
    assert outcomes[7].record is None
    assert len(portal.records) == 99


@pytest.mark.parametrize("traces", [True, False])
def test_results_in_another_order_reach_their_own_records(
    adapter: Adapter, portal: Portal, traces: bool
):
    """HubSpot gives results in no promised order: by position, A would be bound to B's id."""
    portal.echo_traces = traces
    for write, outcome in zip(creates(30), adapter.write("contact", creates(30)), strict=True):
        assert outcome.record is not None
        assert outcome.record.key == write.key
        assert portal.records[outcome.record.record_id]["ci_key"] == write.key


def test_what_the_crm_made_of_our_values_comes_back(adapter: Adapter):
    """HubSpot lowers e-mails: compared with what we sent, each next look would find an 'edit'."""
    write = Write("cust-1", None, {"email": "Ann@Example.com", "ci_total": 12.5, "phone": None})
    (outcome,) = adapter.write("contact", [write])
    assert outcome.record is not None
    assert outcome.record.fields == {
        "email": "ann@example.com",
        "ci_total": "12.5",
        "phone": None,
    }
    assert outcome.created


def test_a_create_sent_twice_is_an_update_the_second_time(adapter: Adapter, portal: Portal):
    """A create-only writer doubles the contact when its answer was lost."""
    adapter.write("contact", creates(3))
    outcomes = adapter.write("contact", creates(3, firstname="Ann"))
    assert len(portal.records) == 3
    assert [outcome.created for outcome in outcomes] == [False] * 3


def test_a_commit_whose_answer_is_lost_is_unknown_and_found_by_key(
    adapter: Adapter, portal: Portal
):
    """The server wrote, then the line broke: neither 'failed' nor 'written' is true."""
    portal.drop_after_commit = DROPPED
    outcomes = adapter.write("contact", creates(5))
    assert [codes(o) for o in outcomes] == [(Transient, "unknown")] * 5
    found = adapter.find_by_key("contact", [w.key for w in creates(5)], ["email"])
    assert len(found) == 5
    assert found["cust-002"].fields == {"email": "p002@example.com"}


@pytest.mark.parametrize(
    "broken",
    [
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.Response(500, json={}),
        httpx.Response(504, text="<html>gateway</html>"),
        httpx.Response(200, text='{"status": "COMPL'),
        httpx.Response(200, json={"status": "COMPLETE", "results": []}),
    ],
)
def test_an_answer_that_proves_nothing_leaves_the_write_unknown(
    adapter: Adapter, portal: Portal, broken: httpx.Response | Exception
):
    """Cut, slow, 5xx or half an answer: the ledger must look before it writes again."""
    portal.script = [broken]
    outcomes = adapter.write("contact", creates(2))
    assert [codes(o) for o in outcomes] == [(Transient, "unknown")] * 2
    assert len(portal.calls) == 1, "a write is never sent twice"


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (httpx.ConnectError("refused"), Transient),
        (httpx.Response(429, headers={"Retry-After": "7"}, json={}), Transient),
        (httpx.Response(401, json=error("INVALID_AUTHENTICATION", "expired")), NeedsReconnect),
        (httpx.Response(403, json=error("MISSING_SCOPES", "no")), MissingScope),
    ],
)
def test_a_call_that_wrote_nothing_is_raised_for_the_whole_account(
    adapter: Adapter, portal: Portal, answer: httpx.Response | Exception, kind: type[Exception]
):
    """A revoked token must not be noted as 100 bad records."""
    portal.script = [answer]
    with pytest.raises(kind) as raised:
        adapter.write("contact", creates(100))
    assert getattr(raised.value, "code", "") != "unknown"
    assert len(portal.calls) == 1


def test_a_token_revoked_in_the_middle_keeps_what_was_written(adapter: Adapter, portal: Portal):
    """Raising for all would make the ledger write the first 100 again."""
    refusal = httpx.Response(401, json=error("INVALID_AUTHENTICATION", "revoked"))
    portal.script = [None, refusal]
    outcomes = adapter.write("contact", creates(250))
    assert all(outcome.record for outcome in outcomes[:100])
    assert all(isinstance(outcome.error, NeedsReconnect) for outcome in outcomes[100:])
    assert len(portal.calls) == 2, "no third call with a revoked token"


def test_after_an_answer_that_did_not_come_the_rest_is_not_sent(adapter: Adapter, portal: Portal):
    """Three batches waiting 30 s each outlive the claim they were sent under."""
    portal.script = [httpx.ReadTimeout("slow")]
    outcomes = adapter.write("contact", creates(250))
    assert {codes(o) for o in outcomes[:100]} == {(Transient, "unknown")}
    assert {codes(o) for o in outcomes[100:]} == {(Transient, "not_sent")}
    assert len(portal.calls) == 1


@pytest.mark.parametrize("bad", [0, 37, 99])
def test_one_bad_record_does_not_fail_its_99_neighbours(adapter: Adapter, portal: Portal, bad: int):
    """HubSpot refused 100 for one bad e-mail; halving finds it and writes each other once."""
    refusal = error("VALIDATION_ERROR", 'x: [{"error": "INVALID_EMAIL", "name": "email"}]')
    key = f"cust-{bad:03}"
    portal.judge_batch = lambda inputs: (
        httpx.Response(400, json=refusal) if key in [i["id"] for i in inputs] else None
    )
    outcomes = adapter.write("contact", creates(100))
    assert [n for n, o in enumerate(outcomes) if o.error] == [bad]
    assert codes(outcomes[bad]) == (DataRejected, "INVALID_EMAIL")
    assert len(portal.records) == 99
    assert len(portal.calls) <= 15


def test_a_conflict_that_fails_all_100_ends_at_the_one_record(adapter: Adapter, portal: Portal):
    """Sales entered this customer before us: 409 for the batch, and the id to bind to."""
    conflict = error("CONFLICT", "Contact already exists. Existing ID: 501")
    portal.judge_batch = lambda inputs: (
        httpx.Response(409, json=conflict) if "cust-042" in [i["id"] for i in inputs] else None
    )
    outcomes = adapter.write("contact", creates(100))
    found = outcomes[42].error
    assert isinstance(found, Conflict)
    assert found.existing_id == "501"
    assert sum(o.record is not None for o in outcomes) == 99


def test_an_unknown_property_costs_one_more_call_and_not_sixty(adapter: Adapter, portal: Portal):
    """A property archived in HubSpot spoils each record that has it, and only those."""
    refusal = {
        "category": "VALIDATION_ERROR",
        "errors": [{"code": "PROPERTY_DOESNT_EXIST", "context": {"propertyName": ["tier"]}}],
    }
    portal.judge_batch = lambda inputs: (
        httpx.Response(400, json=refusal)
        if any("tier" in i["properties"] for i in inputs)
        else None
    )
    outcomes = adapter.write("contact", [*creates(60, tier="gold"), *creates(100)[60:]])
    assert {codes(o) for o in outcomes[:60]} == {(DataRejected, "PROPERTY_DOESNT_EXIST")}
    assert all(outcome.record for outcome in outcomes[60:])
    assert len(portal.calls) == 2


def test_a_hundred_bad_records_do_not_eat_the_budget(adapter: Adapter, portal: Portal):
    """All 100 of an import were bad: 199 calls of halving would starve live traffic."""
    refusal = httpx.Response(400, json=error("VALIDATION_ERROR", "no"))
    portal.judge_batch = lambda _: refusal
    outcomes = adapter.write("contact", creates(100))
    assert len(portal.calls) == 60
    assert {codes(o)[0] for o in outcomes} == {DataRejected, Transient}
    assert {codes(o) for o in outcomes if isinstance(o.error, Transient)} == {
        (Transient, "batch_refused")
    }


def test_an_error_that_names_nobody_is_traced_to_its_record(adapter: Adapter, portal: Portal):
    """A 207 without ids in its context: guessing would blame a neighbour."""
    refusal = {"category": "VALIDATION_ERROR", "message": "Invalid"}
    portal.judge_record = lambda given: refusal if given["id"] in ("cust-003", "cust-008") else None
    outcomes = adapter.write("contact", creates(10))
    assert [n for n, o in enumerate(outcomes) if o.error] == [3, 8]
    assert len(portal.written()) == 10 + 2, "only the two unnamed ones are sent again"


def test_adoption_gives_the_record_our_key_and_touches_only_sent_fields(
    adapter: Adapter, portal: Portal
):
    """What sales wrote stays; the update goes by record id, without idProperty."""
    portal.records["77"] = {"email": "old@example.com", "jobtitle": "Buyer"}
    (outcome,) = adapter.write("contact", [Write("cust-9", "77", {"firstname": "Ann"}, adopt=True)])
    assert portal.records["77"] == {
        "email": "old@example.com",
        "jobtitle": "Buyer",
        "firstname": "Ann",
        "ci_key": "cust-9",
    }
    assert outcome.record is not None
    assert outcome.record.fields == {"firstname": "Ann"}
    assert not outcome.created
    assert "idProperty" not in portal.calls[0][1]["inputs"][0]


def test_an_update_of_a_deleted_record_says_so(adapter: Adapter, portal: Portal):
    """Sales deleted the contact: to be decided by a person, not retried for ever."""
    gone = error("OBJECT_NOT_FOUND", "gone", ids=["78"])
    portal.judge_record = lambda given: gone if given["id"] == "78" else None
    outcomes = adapter.write(
        "contact", [Write("a", "77", {"city": "Ulm"}), Write("b", "78", {"city": "Ulm"})]
    )
    assert outcomes[0].record is not None
    assert codes(outcomes[1]) == (Permanent, "OBJECT_NOT_FOUND")


def test_a_broken_character_costs_its_record_and_no_other(adapter: Adapter, portal: Portal):
    """Half an emoji, cut by a shop's plug-in, cannot be sent: it must not raise for 100."""
    outcomes = adapter.write(
        "contact", [*creates(2), Write("cust-9", None, {"firstname": "Ann\ud83d"})]
    )
    assert [bool(outcome.record) for outcome in outcomes] == [True, True, False]
    assert codes(outcomes[2]) == (DataRejected, "NOT_UTF8")
    assert adapter.find_by_match("contact", "email", ["a\ud83d@example.com"], []) == {}
    assert len(portal.calls) == 1


def test_without_budget_no_call_is_made(portal: Portal):
    """The gate is asked before the call; asking it three times for a read would burn the claim."""
    asked: list[str] = []

    def closed(endpoint: str) -> None:
        asked.append(endpoint)
        raise Transient("no budget left", retry_after=3.0, code="budget")

    client = Client(CrmAccess(BASE, {"access_token": "pat-invented"}), closed)
    adapter = Adapter(client, crm_connector("hubspot").manifest)
    with stamina.set_testing(True, attempts=3):
        for call in (
            lambda: adapter.write("contact", creates(2)),
            lambda: adapter.find_by_key("contact", ["cust-1"], []),
        ):
            with pytest.raises(Transient, match="no budget left"):
                call()
    assert portal.calls == []
    assert asked == ["batch", "batch"]
    adapter.close()


def codes(outcome: Outcome) -> tuple[type[Any], str]:
    assert outcome.error is not None
    return type(outcome.error), outcome.error.code
