"""Associations: one result per pair, also when HubSpot answers only for some."""

from __future__ import annotations

from typing import Any

import httpx

from crm_integration.crms._contract import Association
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.errors import NeedsReconnect, Permanent, Transient
from crm_integration_tests.crms.hubspot.portal import Portal, error


def stands(from_id: str, to_id: str) -> dict[str, object]:
    spec = {"associationCategory": "HUBSPOT_DEFINED", "associationTypeId": 507}
    return {"from": {"id": from_id}, "to": {"id": to_id}, "associationSpec": spec}


def pair(from_id: str, to_id: str) -> Association:
    return Association("order", from_id, "contact", to_id)


def test_pairs_that_stand_are_told_from_those_that_do_not(adapter: Adapter, portal: Portal):
    """A deleted contact in a 207 must not hide that its order has no customer."""
    gone = {
        "category": "OBJECT_NOT_FOUND",
        "message": "gone",
        "context": {"fromObjectId": ["2"], "toObjectId": ["9"]},
    }
    results = [stands("8", "1"), stands("1", "8")]
    portal.script = [httpx.Response(207, json={"results": results, "errors": [gone]})]
    first, second = adapter.associate([pair("1", "8"), pair("2", "9")])
    assert first is None
    assert isinstance(second, Permanent)
    assert portal.paths() == ["/crm/v4/associations/orders/contacts/batch/associate/default"]


def test_types_go_apart_and_100_a_call(adapter: Adapter, portal: Portal):
    """The type pair is in the path; HubSpot takes 100 pairs a call."""
    wanted = [pair(str(n), str(n + 1000)) for n in range(150)]
    notes = [Association("refund", "7", "order", "3")]
    portal.script = [
        httpx.Response(200, json={"results": [stands(a.from_id, a.to_id) for a in part]})
        for part in (wanted[:100], wanted[100:], notes)
    ]
    assert adapter.associate([*wanted, *notes]) == [None] * 151
    assert [len(body["inputs"]) for _, body in portal.calls] == [100, 50, 1]
    assert portal.paths()[-1] == "/crm/v4/associations/notes/orders/batch/associate/default"


def test_one_bad_pair_does_not_fail_its_neighbours(adapter: Adapter, portal: Portal):
    """A whole-batch 400 is halved down to the pair it is about."""
    wanted = [pair(str(n), "500") for n in range(10, 18)]
    refusal = httpx.Response(400, json=error("VALIDATION_ERROR", "bad id"))

    def answer(body: dict[str, Any]) -> httpx.Response:
        if any(given["from"]["id"] == "13" for given in body["inputs"]):
            return refusal
        made = [stands(given["from"]["id"], given["to"]["id"]) for given in body["inputs"]]
        return httpx.Response(200, json={"results": made})

    portal.elsewhere = answer
    outcome = adapter.associate(wanted)
    assert [n for n, problem in enumerate(outcome) if problem is not None] == [3]
    assert len(portal.calls) == 7


def test_a_failed_call_is_reported_for_its_pairs_and_never_raised(adapter: Adapter, portal: Portal):
    """The records are written by then: raising would make the ledger write them again."""
    portal.script = [httpx.ReadTimeout("slow")]
    (lost,) = adapter.associate([pair("1", "2")])
    assert isinstance(lost, Transient)
    portal.script = [httpx.Response(401, json=error("INVALID_AUTHENTICATION", "revoked"))]
    (refused,) = adapter.associate([pair("1", "2")])
    assert isinstance(refused, NeedsReconnect)
