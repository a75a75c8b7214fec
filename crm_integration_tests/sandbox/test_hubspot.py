"""The HubSpot account over HTTP: what it stores, refuses, limits and delays."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.portal_state import PortalSettings, PortalState
from crm_integration_tests.sandbox.clients import app_client

_CONTACTS = "/crm/v3/objects/contacts"
_KEY = {"name": "store_key", "label": "Store key", "type": "string", "fieldType": "text",
        "groupName": "contactinformation", "hasUniqueValue": True}  # fmt: skip


class _Clock:
    now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> _Clock:
    return _Clock()


@pytest.fixture
def portal(clock: _Clock) -> PortalState:
    return PortalState(PortalSettings(portal_id=41, token="right"), clock)


@pytest.fixture
def client(portal: PortalState) -> Iterator[httpx.Client]:
    headers = {"Authorization": "Bearer right"}
    with app_client(HubSpotApp(portal).app, "http://crm.test", headers=headers) as made:
        assert made.post("/crm/v3/properties/contacts", json=_KEY).status_code == 201
        yield made


def _upsert(client: httpx.Client, *records: dict[str, Any], trace: bool = False) -> httpx.Response:
    inputs: list[dict[str, Any]] = [
        {"id": one["store_key"], "idProperty": "store_key", "properties": one,
         **({"objectWriteTraceId": f"t{n}"} if trace else {})}
        for n, one in enumerate(records)
    ]  # fmt: skip
    return client.post(f"{_CONTACTS}/batch/upsert", json={"inputs": inputs})


def _search(client: httpx.Client, *filters: dict[str, Any], **more: Any) -> dict[str, Any]:
    body = {"filterGroups": [{"filters": list(filters)}], **more}
    answer = client.post(f"{_CONTACTS}/search", json=body)
    assert answer.status_code == 200, answer.text
    return answer.json()


def test_a_wrong_token_is_refused_in_hubspots_words(client: httpx.Client) -> None:
    """A connector must tell this from a missing scope."""
    answer = client.get(_CONTACTS, headers={"Authorization": "Bearer wrong"})
    body = answer.json()
    assert (answer.status_code, body["category"]) == (401, "INVALID_AUTHENTICATION")
    assert body["status"] == "error" and body["correlationId"]


def test_values_come_back_as_hubspot_keeps_them(client: httpx.Client) -> None:
    """E-mails in lower case, blanks trimmed, numbers shortest, times in UTC: the base of the next
    comparison is this answer, not what was sent."""
    made = client.post(_CONTACTS, json={"properties": {"email": " A.B@Example.COM ",
                                                       "firstname": "  Ann "}})  # fmt: skip
    assert (
        made.json()["properties"].items()
        >= {"email": "a.b@example.com", "firstname": "Ann"}.items()
    )
    order = client.post("/crm/v3/objects/orders", json={"properties": {
        "hs_total_price": "12.50", "hs_external_created_date": "2026-01-01T05:00:00-05:00",
    }})  # fmt: skip
    properties = order.json()["properties"]
    assert properties["hs_total_price"] == "12.5"
    assert properties["hs_external_created_date"] == "2026-01-01T10:00:00.000Z"


def test_upsert_by_our_property_creates_once_and_then_updates(client: httpx.Client) -> None:
    """The same batch twice: the same two records."""
    batch = ({"store_key": "k1", "email": "one@example.com"}, {"store_key": "k2"})
    first, second = _upsert(client, *batch), _upsert(client, *batch)
    assert [row["new"] for row in first.json()["results"]] == [True, True]
    assert [row["new"] for row in second.json()["results"]] == [False, False]
    assert len(client.get(_CONTACTS).json()["results"]) == 2


def test_a_taken_email_fails_the_whole_batch_with_the_existing_id(client: httpx.Client) -> None:
    """One contact of sales' among them, and none of the others is written."""
    held = client.post(_CONTACTS, json={"properties": {"email": "sales@example.com"}}).json()["id"]
    answer = _upsert(client, {"store_key": "k1"}, {"store_key": "k2", "email": "Sales@Example.com"})
    body = answer.json()
    assert (answer.status_code, body["category"]) == (409, "CONFLICT")
    assert body["message"] == f"Contact already exists. Existing ID: {held}"
    assert len(client.get(_CONTACTS).json()["results"]) == 1


def test_a_bad_value_fails_all_without_and_one_with_a_trace_id(client: httpx.Client) -> None:
    """Only inputs that carry an objectWriteTraceId get errors of their own in a 207."""
    batch = ({"store_key": "k1"}, {"store_key": "k2", "lifecyclestage": "no such stage"})
    assert _upsert(client, *batch).status_code == 400
    assert client.get(_CONTACTS).json()["results"] == []
    answer = _upsert(client, *batch, trace=True)
    body = answer.json()
    assert (answer.status_code, body["numErrors"], len(body["results"])) == (207, 1, 1)
    assert body["errors"][0]["context"]["objectWriteTraceId"] == ["t1"]


def test_twins_within_a_batch_refuse_the_batch(client: httpx.Client) -> None:
    """Two inputs for one key would race; HubSpot takes neither."""
    assert _upsert(client, {"store_key": "k1"}, {"store_key": "k1"}).status_code == 400


def test_unknown_properties_and_wrong_types_are_refused(client: httpx.Client) -> None:
    """A mapping's typo is an error of the first write, with the property's name."""
    typo = client.post(_CONTACTS, json={"properties": {"fristname": "x"}})
    assert (typo.status_code, typo.json()["errors"][0]["code"]) == (400, "PROPERTY_DOESNT_EXIST")
    text = {"properties": {"hs_total_price": "twelve"}}
    assert client.post("/crm/v3/objects/orders", json=text).status_code == 400
    when = {"properties": {"hs_timestamp": "yesterday"}}
    assert client.post("/crm/v3/objects/notes", json=when).status_code == 400


def test_a_batch_holds_a_hundred(client: httpx.Client) -> None:
    """101 inputs are a 400, not a truncation."""
    assert _upsert(client, *({"store_key": f"k{n}"} for n in range(100))).status_code == 200
    assert _upsert(client, *({"store_key": f"k{n}"} for n in range(101))).status_code == 400


def test_a_batch_read_by_our_property_sees_a_write_at_once(client: httpx.Client) -> None:
    """This, not search, proves existence; what is missing is an error in a 207."""
    _upsert(client, {"store_key": "k1", "firstname": "Ann"})
    body = {"idProperty": "store_key", "properties": ["store_key", "firstname"],
            "inputs": [{"id": "k1"}, {"id": "k9"}]}  # fmt: skip
    answer = client.post(f"{_CONTACTS}/batch/read", json=body)
    told = answer.json()
    assert (answer.status_code, told["results"][0]["properties"]["firstname"]) == (207, "Ann")
    assert told["errors"][0]["category"] == "OBJECT_NOT_FOUND"
    assert told["errors"][0]["context"]["ids"] == ["k9"]


def test_an_update_of_a_missing_record_leaves_the_others_written(client: httpx.Client) -> None:
    """A 207: who takes it for a success loses a record."""
    made = _upsert(client, {"store_key": "k1"}).json()["results"][0]["id"]
    inputs = [{"id": made, "properties": {"city": "X"}}, {"id": "999", "properties": {}}]
    answer = client.post(f"{_CONTACTS}/batch/update", json={"inputs": inputs})
    assert (answer.status_code, len(answer.json()["results"])) == (207, 1)


def test_search_lags_behind_writes(client: httpx.Client, clock: _Clock) -> None:
    """A search right after a write does not find it; a second later it does."""
    _upsert(client, {"store_key": "k1", "email": "one@example.com"})
    wanted = {"propertyName": "email", "operator": "EQ", "value": "One@Example.com"}
    assert _search(client, wanted)["total"] == 0
    clock.now += 1.0
    assert _search(client, wanted)["total"] == 1


def test_search_filters_sorts_and_pages(client: httpx.Client, clock: _Clock) -> None:
    """IN takes lower case only, tokens take a star, after is a position."""
    _upsert(client, *(
        {"store_key": f"k{n}", "email": f"p{n}@example.com", "lastname": f"Doe {n}"}
        for n in range(5)
    ))  # fmt: skip
    clock.now += 2
    emails = {"propertyName": "email", "operator": "IN"}
    assert _search(client, {**emails, "values": ["p1@example.com", "p3@example.com"]})["total"] == 2
    assert _search(client, {**emails, "values": ["P1@example.com"]})["total"] == 0
    token = {"propertyName": "lastname", "operator": "CONTAINS_TOKEN", "value": "do*"}
    sorts = [{"propertyName": "lastname", "direction": "DESCENDING"}]
    first = _search(client, token, sorts=sorts, limit=3, properties=["lastname"])
    clock.now += 1
    rest = _search(client, token, sorts=sorts, limit=3, after=first["paging"]["next"]["after"])
    assert [row["properties"]["lastname"] for row in first["results"]] == [
        "Doe 4",
        "Doe 3",
        "Doe 2",
    ]
    assert (rest["total"], len(rest["results"]), "paging" in rest) == (5, 2, False)


def test_the_sixth_search_within_a_second_is_throttled(client: httpx.Client) -> None:
    """Search has a quota of its own and says so, without the other quotas' headers."""
    body: dict[str, Any] = {"filterGroups": [], "limit": 1}
    answers = [client.post(f"{_CONTACTS}/search", json=body) for _ in range(6)]
    assert [answer.status_code for answer in answers] == [200] * 5 + [429]
    assert answers[5].json()["policyName"] == "SECONDLY"
    assert "X-HubSpot-RateLimit-Max" not in answers[0].headers


def test_the_quota_of_ten_seconds_is_announced_and_kept(
    client: httpx.Client, clock: _Clock
) -> None:
    """190 calls, then 429 with Retry-After; ten seconds later it goes on."""
    clock.now += 60
    answers = [client.get("/account-info/v3/details") for _ in range(191)]
    assert answers[0].json()["portalId"] == 41
    assert answers[0].headers["X-HubSpot-RateLimit-Remaining"] == "189"
    assert [answer.status_code for answer in answers] == [200] * 190 + [429]
    assert answers[190].json()["policyName"] == "TEN_SECONDLY_ROLLING"
    assert int(answers[190].headers["Retry-After"]) == 10
    clock.now += 10
    assert client.get("/account-info/v3/details").status_code == 200


def test_associations_are_a_call_of_their_own(client: httpx.Client) -> None:
    """Linked both ways; a record without a link is an error in a 207, and so is a missing one."""
    contact = _upsert(client, {"store_key": "k1"}).json()["results"][0]["id"]
    orders = [
        client.post("/crm/v3/objects/orders", json={"properties": {"hs_order_name": name}})
        for name in ("#1", "#2")
    ]
    linked, lonely = (order.json()["id"] for order in orders)
    path = "/crm/v4/associations/orders/contacts/batch"
    inputs = [{"from": {"id": linked}, "to": {"id": contact}},
              {"from": {"id": "999"}, "to": {"id": contact}}]  # fmt: skip
    made = client.post(f"{path}/associate/default", json={"inputs": inputs})
    assert (made.status_code, made.json()["numErrors"]) == (207, 1)
    assert made.json()["results"][0]["associationSpec"]["associationTypeId"] == 507
    read = client.post(f"{path}/read", json={"inputs": [{"id": linked}, {"id": lonely}]})
    assert (read.status_code, read.json()["results"][0]["to"][0]["toObjectId"]) == (
        207, int(contact),
    )  # fmt: skip
    back = client.get(f"{_CONTACTS}/{contact}", params={"associations": "orders"}).json()
    assert back["associations"]["orders"]["results"] == [{"id": linked, "type": "contact_to_order"}]


def test_an_archived_record_is_gone_and_its_key_is_free(client: httpx.Client) -> None:
    """Deleting in the CRM must not block the next write for ever."""
    made = _upsert(client, {"store_key": "k1"}).json()["results"][0]["id"]
    assert client.delete(f"{_CONTACTS}/{made}").status_code == 204
    assert client.get(f"{_CONTACTS}/{made}").status_code == 404
    again = _upsert(client, {"store_key": "k1"}).json()["results"][0]
    assert again["new"] and again["id"] != made


def test_lists_are_paged_by_id(client: httpx.Client) -> None:
    """Totals are read back this way, so no record may be lost between two pages."""
    _upsert(client, *({"store_key": f"k{n}"} for n in range(25)))
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 10, "properties": "store_key"}
    while True:
        page = client.get(_CONTACTS, params=params).json()
        seen += [row["properties"]["store_key"] for row in page["results"]]
        if "paging" not in page:
            break
        params["after"] = page["paging"]["next"]["after"]
    assert seen == [f"k{n}" for n in range(25)]
