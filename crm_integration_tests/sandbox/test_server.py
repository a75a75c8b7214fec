"""The sandbox as a process, and HubSpot's own client against it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import hubspot
import pytest
from hubspot.crm.associations.v4 import BatchInputPublicDefaultAssociationMultiPost
from hubspot.crm.contacts import (
    ApiException,
    BatchInputSimplePublicObjectBatchInputUpsert,
    BatchReadInputSimplePublicObjectId,
    PublicObjectSearchRequest,
    SimplePublicObjectInputForCreate,
)
from hubspot.crm.properties import PropertyCreate

from crm_integration.errors import BadInvoiceFile, NotFound
from crm_integration.sandbox.faults import FaultPlan, FaultRule
from crm_integration.sandbox.server import Sandbox
from crm_integration_tests.sandbox.clients import ShopCaller

TWO = {"aurora": "woocommerce", "borealis": "woocommerce"}


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox.start(TWO, search_lag_seconds=0.2) as running:
        running.load()
        yield running


@pytest.fixture
def official(sandbox: Sandbox) -> Any:
    crm = sandbox.crms["borealis"]
    return hubspot.Client.create(access_token=crm.token, host=crm.base_url)


def test_all_shops_and_crms_answer_on_ports_of_their_own(sandbox: Sandbox) -> None:
    """One process; each tenant's shop is let in with its own key only."""
    with httpx.Client() as client:
        totals: list[int] = []
        for shop in sandbox.shops.values():
            caller = ShopCaller(client, shop.base_url, *shop.secrets.values())
            answer = caller.get("/orders", per_page=1)
            assert answer.status_code == 200
            totals.append(int(answer.headers["X-WP-Total"]))
        aurora, borealis = sandbox.shops.values()
        stranger = ShopCaller(client, aurora.base_url, *borealis.secrets.values())
        assert stranger.get("/orders").status_code == 401
    facts = sandbox.facts()
    assert totals == [facts["aurora"]["orders_served"], facts["borealis"]["orders_served"]]
    assert all(facts[tenant]["crm_contacts"] >= 3 for tenant in facts)


def test_calls_are_counted_by_path_template(sandbox: Sandbox) -> None:
    """A replay that makes no call is proven by this count."""
    crm = sandbox.crms["aurora"]
    sandbox.calls("crm:aurora", reset=True)
    assert sandbox.calls("crm:aurora") == {}
    headers = {"Authorization": f"Bearer {crm.token}"}
    for key in (1, 2):
        httpx.get(f"{crm.base_url}/crm/v3/objects/contacts/{key}", headers=headers)
    assert sandbox.calls("crm:aurora") == {"GET /crm/v3/objects/contacts/{id}": 2}


def test_a_bad_file_is_an_error_here_and_the_sandbox_lives_on(
    sandbox: Sandbox, tmp_path: Path
) -> None:
    """The message crosses the process with file and fix in it."""
    path = tmp_path / "torn.parquet"
    path.write_bytes(b"torn")
    with pytest.raises(BadInvoiceFile, match=r"torn\.parquet"):
        sandbox.load(path)
    assert sandbox.load().total("orders") == 0  # the same book again: all held already


def test_a_cut_line_and_a_dropped_answer_break_the_connection(sandbox: Sandbox) -> None:
    """Over real sockets: no status, no byte; only the second was carried out."""
    crm = sandbox.crms["aurora"]
    headers = {"Authorization": f"Bearer {crm.token}"}
    url = f"{crm.base_url}/crm/v3/objects/products"
    rules = (FaultRule("cut", "POST"), FaultRule("commit_then_drop", "POST"))
    sandbox.set_faults("crm:aurora", FaultPlan(rules))
    for name in ("cut", "dropped"):
        with pytest.raises(httpx.TransportError):
            httpx.post(url, headers=headers, json={"properties": {"name": name}})
    sandbox.set_faults("crm:aurora", FaultPlan())
    listed = httpx.get(url, headers=headers, params={"limit": 100}).json()["results"]
    assert [row["properties"]["name"] for row in listed] == ["dropped"]


def test_the_process_ends_with_its_owner() -> None:
    """Nothing is left listening: its end of the pipe closes and it goes."""
    running = Sandbox.start({"solo": "woocommerce"})
    address = running.crms["solo"].base_url
    started = time.monotonic()
    running.stop()
    assert time.monotonic() - started < 4
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_the_process_ends_at_the_end_of_its_life() -> None:
    """A forgotten sandbox does not live for ever."""
    with Sandbox.start({"solo": "woocommerce"}, max_life_seconds=0.3) as running:
        deadline = time.monotonic() + 5
        with pytest.raises(httpx.TransportError):
            while time.monotonic() < deadline:
                httpx.get(running.crms["solo"].base_url)
                time.sleep(0.05)


def test_hubspots_own_client_works_against_the_account(official: Any) -> None:
    """Properties, upsert, read, search and associations through hubspot-api-client."""
    official.crm.properties.core_api.create("contacts", PropertyCreate(
        name="store_key", label="Store key", type="string", field_type="text",
        group_name="contactinformation", has_unique_value=True,
    ))  # fmt: skip
    assert official.crm.properties.core_api.get_by_name("contacts", "store_key").has_unique_value
    inputs = [
        {"id": f"w{n}", "idProperty": "store_key", "properties": {"email": f"W{n}@example.com"}}
        for n in range(3)
    ]
    contacts = official.crm.contacts
    upserted = contacts.batch_api.upsert(BatchInputSimplePublicObjectBatchInputUpsert(inputs))
    assert [row.new for row in upserted.results] == [True] * 3
    read = contacts.batch_api.read(BatchReadInputSimplePublicObjectId(
        inputs=[{"id": "w1"}], id_property="store_key", properties=["email"],
        properties_with_history=[],
    ))  # fmt: skip
    assert read.results[0].properties["email"] == "w1@example.com"
    time.sleep(0.3)
    only = {"propertyName": "email", "operator": "IN", "values": ["w0@example.com"]}
    found = contacts.search_api.do_search(
        PublicObjectSearchRequest(filter_groups=[{"filters": [only]}], limit=5)
    )
    assert (found.total, found.results[0].id) == (1, upserted.results[0].id)
    order = official.crm.objects.basic_api.create(
        "orders", SimplePublicObjectInputForCreate(properties={"hs_order_name": "#1"})
    )
    pair = {"from": {"id": order.id}, "to": {"id": upserted.results[0].id}}
    official.crm.associations.v4.batch_api.create_default(
        "orders", "contacts", BatchInputPublicDefaultAssociationMultiPost(inputs=[pair])
    )
    linked = official.crm.contacts.basic_api.get_by_id(
        upserted.results[0].id, associations=["orders"]
    )
    assert [row.id for row in linked.associations["orders"].results] == [order.id]


def test_hubspots_own_client_sees_the_conflict(official: Any) -> None:
    """The vendor's client raises what a connector must understand."""
    person = SimplePublicObjectInputForCreate(properties={"email": "twice@example.com"})
    made = official.crm.contacts.basic_api.create(person)
    with pytest.raises(ApiException) as caught:
        official.crm.contacts.basic_api.create(person)
    assert caught.value.status == 409
    assert f"Existing ID: {made.id}" in caught.value.body


def test_an_unknown_app_is_named(sandbox: Sandbox) -> None:
    """A typo in a test's plan must not look like a plan that never fired."""
    with pytest.raises(NotFound, match="no such app"):
        sandbox.set_faults("crm:nobody", FaultPlan())
