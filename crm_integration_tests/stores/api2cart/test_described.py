"""Every call the connector makes, against the emulator and held against the vendor's published
description; and each emulated date format read to the second."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest

from crm_integration.sandbox.api2cart.app import Api2CartApp
from crm_integration.sandbox.shop_state import ShopSettings, ShopState
from crm_integration.stores._contract import StoreContext, Window
from crm_integration.stores._registry import connector
from crm_integration.stores.api2cart import extract
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.to_canonical import to_canonical
from crm_integration_tests.conformance import books
from crm_integration_tests.published import api2cart_description
from crm_integration_tests.sandbox.api2cart import described
from crm_integration_tests.served import Street
from crm_integration_tests.stores.api2cart.carts import KEYS, opened

DOCUMENTED_LATER = {"customer.list": {"include_guests", "ids"}}
"""In the vendor's documentation of today (api2cart/perl-sdk, docs/CustomerApi.md), not yet in the
published description."""
DAY = Window(date(2026, 3, 1), date(2026, 3, 2))
AT = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())
MANIFEST = connector("api2cart").manifest


@pytest.fixture(params=["Y-m-d\\TH:i:sO", "Y-m-d H:i:s", "U"])
def client(street: Street, request: pytest.FixtureRequest) -> Iterator[Client]:
    """A shop of 260 orders, five hours behind UTC, with one of everything else."""
    settings = ShopSettings(
        "mugs", KEYS["api_key"], KEYS["store_key"], "https://mugs.example", utc_offset_minutes=-300
    )
    state = ShopState(settings, clock=lambda: AT)
    for key in range(1, 261):
        books.order(state, key, AT + key)
    books.account(state, 7, AT)
    books.cart(state, 5, AT)
    books.parcel(state, 9, state.orders[3], AT + 3, "shipped")
    app = Api2CartApp(state, date_format=request.param).app
    with opened(street, app) as made:
        yield made


@cache
def _checker() -> OpenAPI:
    """The description, mended where it does not load (sandbox/api2cart/described.py)."""
    return OpenAPI.from_dict(described.mended())


def _everything(client: Client) -> list[Any]:
    extract.check(client)
    found: list[Any] = []
    for kind in MANIFEST.object_types:
        for window in (None, DAY):
            for page in extract.pages(client, kind, window, None):
                found += page.objects
    named = {(item.object_type, item.source_id) for item in found}
    for kind in MANIFEST.object_types:
        ids = sorted(source_id for found_kind, source_id in named if found_kind == kind)
        assert ids, f"the shop shows no {kind}"
        found += extract.fetch(client, kind, [*ids[:3], "404/404"])
    return found


def test_every_call_is_as_the_vendor_describes_it(client: Client) -> None:
    """An emulator and a connector of one author agree easily; the vendor must agree as well."""
    paths, checker = api2cart_description()["paths"], _checker()
    sent: list[httpx.Request] = []
    http: httpx.Client = client._http  # noqa: SLF001  # pyright: ignore[reportPrivateUsage]
    http.event_hooks = {"request": [sent.append]}
    _everything(client)
    assert len(sent) > 20
    for request in sent:
        method = request.url.path.rpartition("/")[2].removesuffix(".json")
        known = {one["name"] for one in paths[f"/{method}.json"]["get"]["parameters"]}
        assert set(request.url.params) <= known | DOCUMENTED_LATER.get(method, set()), method
        checker.validate_request(MockRequest(
            described.HOST, "get", f"/v1.1/{method}.json",
            args=dict(request.url.params), headers=dict(request.headers),
        ))  # fmt: skip


def test_times_are_the_shops_in_each_format(client: Client) -> None:
    """In shop time without a zone (UTC-5), with one, and as seconds since 1970."""
    expected = {"cart": AT, "customer": AT, "shipment": AT + 3}
    for item in _everything(client):
        if getattr(item, "source_time", None) is None:
            continue
        wanted = AT + int(item.source_id) if item.object_type == "order" else None
        wanted = wanted or expected.get(item.object_type)
        if wanted is not None:
            assert item.source_time == datetime.fromtimestamp(wanted, UTC)


def test_the_emulators_zone_is_understood(client: Client) -> None:
    account = extract.check(client)
    context = StoreContext(account.currency, {"timezone": account.timezone})
    for page in extract.pages(client, "order", DAY, None):
        for item in page.objects[:5]:
            payload = json.loads(item.payload)
            for made in to_canonical("order", payload, None, context):
                assert made.source_time == item.source_time
                assert "zone_assumed" not in made.flags
