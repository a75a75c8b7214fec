"""Companies, carts and the opt-out of a HubSpot account, and which kinds it associates."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.portal_state import PortalSettings, PortalState
from crm_integration_tests.sandbox.clients import app_client

_OBJECTS = "/crm/v3/objects"


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
        yield made


def _made(client: httpx.Client, kind: str, **properties: str) -> str:
    answer = client.post(f"{_OBJECTS}/{kind}", json={"properties": properties})
    assert answer.status_code == 201, answer.text
    return answer.json()["id"]


def _named(client: httpx.Client, *names: str) -> list[str]:
    only = {"propertyName": "name", "operator": "IN", "values": list(names)}
    body = {"filterGroups": [{"filters": [only]}]}
    answer = client.post(f"{_OBJECTS}/companies/search", json=body)
    return [one["id"] for one in answer.json()["results"]]


def test_a_company_is_found_by_its_name_in_any_case_once_the_index_caught_up(
    client: httpx.Client, clock: _Clock
) -> None:
    """Two firms of one name are two records: HubSpot refuses no second name."""
    first = _made(client, "companies", name="Invented & Sons", domain="invented.example")
    second = _made(client, "company", name="INVENTED & SONS")
    assert _named(client, "invented & sons") == []
    clock.now += 1
    assert _named(client, "invented & sons", "nobody") == [first, second]
    renamed = {"properties": {"name": "Renamed"}}
    assert client.patch(f"{_OBJECTS}/companies/{second}", json=renamed).status_code == 200
    clock.now += 1
    assert (_named(client, "invented & sons"), _named(client, "renamed")) == ([first], [second])
    read = client.get(f"{_OBJECTS}/companies/{first}").json()["properties"]
    assert (read["name"], read["domain"]) == ("Invented & Sons", "invented.example")


def test_a_search_with_more_than_3000_characters_is_refused(client: httpx.Client) -> None:
    """Documented for the whole body, names of properties and values alike."""
    only = {"propertyName": "name", "operator": "IN", "values": ["x" * 60] * 50}
    body = {"filterGroups": [{"filters": [only]}]}
    refused = client.post(f"{_OBJECTS}/companies/search", json=body)
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")


def test_a_cart_holds_what_hubspot_documents_of_one(client: httpx.Client) -> None:
    """Its documented properties are there without being made; others are refused."""
    cart = _made(client, "carts", hs_cart_name="Cart 1", hs_external_cart_id="1",
                 hs_external_status="abandoned", hs_source_store="main", hs_total_price="25.00",
                 hs_currency_code="EUR", hs_tax="1.50", hs_cart_discount="0",
                 hs_cart_url="https://shop.example/recover/1", hs_tags="lamps")  # fmt: skip
    asked = {"properties": "hs_total_price,hs_external_status"}
    read = client.get(f"{_OBJECTS}/cart/{cart}", params=asked).json()["properties"]
    assert (read["hs_total_price"], read["hs_external_status"]) == ("25", "abandoned")
    unknown = {"properties": {"hs_total": "1"}}
    assert client.post(f"{_OBJECTS}/carts", json=unknown).status_code == 400


def test_the_opt_out_is_set_by_hubspot_alone(client: httpx.Client, portal: PortalState) -> None:
    """Empty until the person unsubscribes, readable from then on, and never to be written."""
    contact = _made(client, "contacts", email="ada@example.com")
    refused = client.patch(
        f"{_OBJECTS}/contacts/{contact}", json={"properties": {"hs_email_optout": "false"}}
    )
    assert (refused.status_code, refused.json()["errors"][0]["code"]) == (400, "READ_ONLY_VALUE")
    described = client.get("/crm/v3/properties/contacts/hs_email_optout").json()
    assert described["modificationMetadata"]["readOnlyValue"] is True
    read = {"inputs": [{"id": contact}], "properties": ["hs_email_optout"]}
    seen: list[str | None] = []
    for value in (None, True, False):
        if value is not None:
            held = portal.get("contacts", contact)
            assert held is not None
            portal.opted_out(held, value=value)
        answer = client.post(f"{_OBJECTS}/contacts/batch/read", json=read).json()
        seen.append(answer["results"][0]["properties"]["hs_email_optout"])
    assert seen == [None, "true", "false"]


@pytest.mark.parametrize(
    ("start", "end", "number"),
    [("contacts", "companies", 279), ("orders", "contacts", 507), ("carts", "contacts", 586),
     ("notes", "contacts", 202)],
)  # fmt: skip
def test_kinds_that_belong_together_are_tied_both_ways(
    client: httpx.Client, start: str, end: str, number: int
) -> None:
    """With the numbers that HubSpot documents for the pair."""
    one, other = _made(client, start), _made(client, end)
    path = f"/crm/v4/associations/{start}/{end}/batch/associate/default"
    made = client.post(path, json={"inputs": [{"from": {"id": one}, "to": {"id": other}}]})
    assert made.json()["results"][0]["associationSpec"]["associationTypeId"] == number
    back = client.get(f"/crm/v4/objects/{end}/{other}/associations/{start}").json()
    assert [each["toObjectId"] for each in back["results"]] == [int(one)]


def test_kinds_that_hubspot_does_not_tie_are_refused(
    client: httpx.Client, portal: PortalState
) -> None:
    """An emulator that ties everything hides the refusal until the first real account."""
    one, other = _made(client, "products"), _made(client, "contacts")
    path = "/crm/v4/associations/products/contacts/batch/associate/default"
    refused = client.post(path, json={"inputs": [{"from": {"id": one}, "to": {"id": other}}]})
    assert (refused.status_code, refused.json()["category"]) == (400, "VALIDATION_ERROR")
    single = f"/crm/v4/objects/products/{one}/associations/default/contacts/{other}"
    assert client.put(single).status_code == 400
    assert portal.linked("products", int(one), "contacts") == {}


def test_a_missing_company_is_named_in_the_singular(client: httpx.Client) -> None:
    """`No companie with ID 9 exists` is what no reader of an error looks for."""
    contact = _made(client, "contacts")
    path = "/crm/v4/associations/contacts/companies/batch/associate/default"
    answer = client.post(path, json={"inputs": [{"from": {"id": contact}, "to": {"id": "9"}}]})
    assert answer.json()["errors"][0]["message"] == "No company with ID 9 exists"
