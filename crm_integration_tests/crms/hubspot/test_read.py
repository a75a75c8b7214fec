"""Reads: exact by key, complete by match, patient where HubSpot only asks for a moment."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.errors import NeedsReconnect, Permanent, Transient
from crm_integration_tests.crms.hubspot.portal import Portal, error


def page(records: list[dict[str, Any]], after: str | None = None) -> httpx.Response:
    paging = {"paging": {"next": {"after": after}}} if after else {}
    return httpx.Response(200, json={"total": 9, "results": records, **paging})


def person(record_id: str, email: str | None, key: str | None = None) -> dict[str, Any]:
    return {"id": record_id, "properties": {"email": email, "ci_key": key}}


def test_existence_is_asked_by_key_and_not_by_search(
    adapter: Adapter, portal: Portal, gated: list[str]
):
    """Search lags behind writes by seconds: 'not found' there made a second record."""
    portal.records["5"] = {"ci_key": "cust-1", "email": "ann@example.com"}
    found = adapter.find_by_key("contact", ["cust-1", "cust-2"], ["email"])
    assert {key: record.record_id for key, record in found.items()} == {"cust-1": "5"}
    assert portal.paths() == ["/crm/v3/objects/contacts/batch/read"]
    assert portal.calls[0][1]["idProperty"] == "ci_key"
    assert gated == ["batch"]


def test_a_deleted_record_is_absent_and_the_others_are_there(adapter: Adapter, portal: Portal):
    """A 207 with OBJECT_NOT_FOUND is an answer, not a failure."""
    portal.records["5"] = {"email": "ann@example.com", "city": ""}
    found = adapter.read("contact", ["5", "6"], ["email", "city"])
    assert list(found) == ["5"]
    assert found["5"].fields == {"email": "ann@example.com", "city": None}
    assert found["5"].key is None


def test_ids_are_read_100_a_call(adapter: Adapter, portal: Portal, gated: list[str]):
    """The 101st id is a 400 for all of them."""
    adapter.read("contact", [str(n) for n in range(250)], ["email"])
    assert [len(body["inputs"]) for _, body in portal.calls] == [100, 100, 50]
    assert gated == ["batch"] * 3


def test_every_record_with_the_address_is_seen_on_all_pages(
    adapter: Adapter, portal: Portal, gated: list[str]
):
    """Sales entered Ann twice: with only the first hit, the wrong one would be adopted."""
    ann = person("1", "ANN@example.com")
    portal.records = {
        "1": {"email": "ANN@example.com"}, "2": {"email": "bob@example.com"},
        "3": {"email": "ann@example.com "},
    }  # fmt: skip
    portal.script = [
        page([ann, person("2", "bob@example.com")], after="2"),
        page([ann, person("3", "ann@example.com ")]),
    ]
    found = adapter.find_by_match(
        "contact", "email", ["Ann@Example.com", "bob@example.com", "eve@example.com"], ["city"]
    )
    assert {value: [r.record_id for r in records] for value, records in found.items()} == {
        "ann@example.com": ["1", "3"],
        "bob@example.com": ["2"],
    }
    searches = [body for path, body in portal.calls if path.endswith("/search")]
    asked = searches[0]["filterGroups"][0]["filters"][0]
    assert asked["values"] == ["ann@example.com", "bob@example.com", "eve@example.com"]
    assert [body.get("after") for body in searches] == [None, "2"]
    assert [each["id"] for each in portal.calls[-1][1]["inputs"]] == ["1", "2", "3"]
    assert gated == ["search", "search", "batch"]


def test_addresses_are_searched_100_a_call(adapter: Adapter, portal: Portal):
    """HubSpot refuses an IN filter with more values."""
    portal.script = [page([]), page([]), page([])]
    adapter.find_by_match("contact", "email", [f"p{n}@example.com" for n in range(201)], [])
    counts = [len(b["filterGroups"][0]["filters"][0]["values"]) for _, b in portal.calls]
    assert counts == [100, 100, 1]


def test_a_search_stays_within_the_3000_characters_of_its_body(adapter: Adapter, portal: Portal):
    """A hundred companies with their whole names were a 400 for all of them."""
    portal.script = [page([]) for _ in range(9)]
    names = [f"{'Invented Holding Société ' * 3}{n}" for n in range(100)]
    adapter.find_by_match("company", "name", [*names, "x" * 3000], ["city"])
    bodies = [body for _, body in portal.calls]
    asked = [name for b in bodies for name in b["filterGroups"][0]["filters"][0]["values"]]
    assert asked == [name.lower() for name in names]
    assert max(len(json.dumps(body)) for body in bodies) <= 3000
    assert len(bodies) <= 5


@pytest.mark.parametrize(
    "first",
    [
        httpx.Response(503, text="busy"),
        httpx.Response(429, headers={"Retry-After": "1"}, json={}),
        httpx.ReadTimeout("slow"),
        httpx.Response(200, text="not json"),
    ],
)
def test_a_read_is_tried_again(
    adapter: Adapter, portal: Portal, gated: list[str], first: httpx.Response | Exception
):
    """A read changes nothing: a second try costs one call, a failed batch costs a hundred."""
    portal.script = [first]
    portal.records["5"] = {"ci_key": "cust-1"}
    assert list(adapter.find_by_key("contact", ["cust-1"], [])) == ["cust-1"]
    assert gated == ["batch", "batch"], "each try is paid for from the budget"


def test_a_read_gives_up_after_three_tries(adapter: Adapter, portal: Portal):
    """An outage is the ledger's to wait out."""
    portal.script = [httpx.Response(503)] * 5
    with pytest.raises(Transient):
        adapter.read("contact", ["5"], [])
    assert len(portal.calls) == 3


def test_a_long_wait_is_not_slept_through_in_a_read(adapter: Adapter, portal: Portal):
    """The daily quota is used up: sleeping here would outlive the claim."""
    portal.script = [httpx.Response(429, json={"policyName": "DAILY"})]
    with pytest.raises(Transient) as raised:
        adapter.read("contact", ["5"], [])
    assert raised.value.retry_after == 3600.0
    assert len(portal.calls) == 1


def test_a_revoked_token_is_not_tried_again(adapter: Adapter, portal: Portal):
    """Three calls with a dead token look like an attack."""
    portal.script = [httpx.Response(401, json=error("INVALID_AUTHENTICATION", "revoked"))]
    with pytest.raises(NeedsReconnect):
        adapter.account_id()
    assert len(portal.calls) == 1


def test_the_account_id_is_the_portals(adapter: Adapter, portal: Portal):
    """An agency picked another portal: the id is compared before the first write."""
    portal.script = [httpx.Response(200, json={"portalId": 1234567, "timeZone": "UTC"})]
    assert adapter.account_id() == "1234567"
    portal.script = [httpx.Response(200, json={})]
    with pytest.raises(Permanent, match="portalId"):
        adapter.account_id()
