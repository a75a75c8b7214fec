"""Planned faults happen when planned, and only then."""

from __future__ import annotations

from typing import Any

import pytest

from crm_integration.sandbox.faults import FaultPlan, FaultRule, FaultyApp
from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.portal_state import PortalSettings, PortalState
from crm_integration_tests.sandbox.clients import app_client

_BATCH = "/crm/v3/objects/contacts/batch/create"


def _portal() -> PortalState:
    return PortalState(PortalSettings(portal_id=1, token="t"))


def _post(portal: PortalState, *rules: FaultRule, emails: tuple[str, ...], times: int = 1) -> Any:
    app = FaultyApp(HubSpotApp(portal).app, FaultPlan(rules))
    body = {"inputs": [{"properties": {"email": email}} for email in emails]}
    with app_client(app, "http://crm.test", headers={"Authorization": "Bearer t"}) as client:
        return [client.post(_BATCH, json=body) for _ in range(times)]


def test_the_nth_call_fails_and_its_neighbours_do_not() -> None:
    """A 429 with Retry-After at the second call; the first and third are the app's own."""
    rule = FaultRule("status", "POST", "/batch/", first=2, status=429, retry_after=3)
    first, second, third = _post(_portal(), rule, emails=("a@example.com",), times=3)
    assert [first.status_code, second.status_code, third.status_code] == [201, 429, 409]
    assert second.headers["Retry-After"] == "3"


def test_a_dropped_answer_has_been_carried_out() -> None:
    """The worst of faults: the caller sees a broken line, the CRM holds the record."""
    portal = _portal()
    with pytest.raises(ConnectionResetError):
        _post(portal, FaultRule("commit_then_drop"), emails=("a@example.com",))
    assert portal.get("contacts", "a@example.com", "email") is not None


def test_a_cut_call_has_not_been_carried_out() -> None:
    """From outside it looks like the one above, which is why callers must look before retrying."""
    portal = _portal()
    with pytest.raises(ConnectionResetError):
        _post(portal, FaultRule("cut"), emails=("a@example.com",))
    assert portal.get("contacts", "a@example.com", "email") is None


def test_a_partial_fault_refuses_the_named_records_in_a_207() -> None:
    """One of two is written, the other is an error beside it."""
    portal = _portal()
    rule = FaultRule("partial", records=("bad@example.com",))
    (answer,) = _post(portal, rule, emails=("good@example.com", "bad@example.com"))
    body = answer.json()
    assert (answer.status_code, body["numErrors"], len(body["results"])) == (207, 1, 1)
    assert portal.get("contacts", "bad@example.com", "email") is None


@pytest.mark.parametrize(
    ("action", "status"), [("conflict", 409), ("revoke", 401), ("scope_missing", 403)]
)
def test_a_whole_refusal_writes_nothing(action: Any, status: int) -> None:
    """The batch fails as one, with the category a connector must read."""
    portal = _portal()
    answers = _post(portal, FaultRule(action, count=0), emails=("a@example.com",), times=2)
    assert {answer.status_code for answer in answers} == {status}
    assert list(portal.records("contacts")) == []
