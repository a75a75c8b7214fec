"""A shop and a CRM account over real HTTP, in this process, for tests that edit them.

Prevents a test that talks to an object in place of a server. State, clock and counters stay in
reach, so that a test can make a second pass, spoil a payload or count calls.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

import httpx
import uvicorn
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.faults import FaultPlan, FaultRule, FaultyApp
from crm_integration.sandbox.hosting import CountedApp
from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.portal_state import PortalSettings, PortalState, Record
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shop_state import Json, ShopSettings, ShopState
from crm_integration.sandbox.token_desk import TokenDesk
from crm_integration_tests.sandbox.clients import KEY, SECRET, ShopCaller

NOON = int(datetime(2024, 3, 1, 12, tzinfo=UTC).timestamp())
"""When the shops' clocks start; each call that writes moves its clock by a minute."""

CRM_TYPE = {
    "company": "companies",
    "contact": "contacts",
    "product": "products",
    "order": "orders",
    "refund": "notes",
    "cart": "carts",
    "activity": "notes",
}


class Spoiling:
    """Changes the bytes of an app's answers as `spoil` says."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.spoil: Callable[[bytes], bytes] = lambda body: body

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        start: Message = {}

        async def changed(message: Message) -> None:
            if message["type"] == "http.response.start":
                start.update(message)
                return
            if start:
                kept = [pair for pair in start["headers"] if pair[0].lower() != b"content-length"]
                await send({**start, "headers": kept})
                start.clear()
            await send({**message, "body": self.spoil(message.get("body", b""))})

        await self._app(scope, receive, changed)


class Asking:
    """Takes down what a shop was asked: `method`, `path` and the query, without signatures."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.asked: list[dict[str, str]] = []

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        query = dict(parse_qsl(scope["query_string"].decode()))
        told = {name: value for name, value in query.items() if not name.startswith("oauth_")}
        self.asked.append({"method": scope["method"], "path": scope["path"], **told})
        await self._app(scope, receive, send)


class Shop:
    """One shop of any kind (`shop_kinds.py`), five hours behind UTC.

    `account`, `order`, `guest_order` and `refund` are what its own people and buyers do, on any
    platform; `call` speaks WooCommerce's API.
    """

    def __init__(self, name: str, platform: str = "woocommerce") -> None:
        settings = ShopSettings(
            name, KEY, SECRET, f"https://{name}.shop.example", utc_offset_minutes=-300
        )
        self.kind = SHOP_KINDS[platform]
        self.now = NOON
        self.state = ShopState(settings, clock=lambda: self.now)
        self.spoiling = Spoiling(self.kind.app(self.state))
        self.faulty = FaultyApp(self.spoiling)
        self._asking = Asking(self.faulty)
        self.app = CountedApp(self._asking)
        self.url = ""
        self._http = httpx.Client(trust_env=False)

    @property
    def asked(self) -> list[dict[str, str]]:
        """Every call so far, with its query; a test may clear it."""
        return self._asking.asked

    @property
    def secrets(self) -> dict[str, str]:
        """What a connection to this shop holds."""
        return self.kind.secrets(self.state.settings)

    def call(self, method: str, path: str, body: Any = None, **params: Any) -> dict[str, Any]:
        """A signed call to a WooCommerce shop; a writing one is a minute after the one before."""
        self.now += 60 if method != "GET" else 0
        answer = ShopCaller(self._http, self.url).call(method, path, json=body, **params)
        assert answer.is_success, answer.text
        return answer.json()

    def account(self, email: str, first: str = "Ada", last: str = "Account") -> int:
        """A new account's id."""
        self.now += 60
        body: Json = {"email": email, "first_name": first, "last_name": last}
        return shop_edits.create_customer(self.state, body).id

    def order(self, customer: int = 0, *, total: str = "10.00", **billing: str) -> int:
        """A new paid order's id; `billing` as WooCommerce names it (`email`, `first_name`, …)."""
        self.now += 60
        line = {"name": "Mug", "sku": "MUG", "quantity": 1, "total": total}
        body = {"customer_id": customer, "set_paid": True, "line_items": [line], "billing": billing}
        return shop_edits.create_order(self.state, body).id

    def guest_order(self, email: str, first: str = "Gus", last: str = "Guest", **more: Any) -> int:
        """A paid guest order's id."""
        return self.order(0, email=email, first_name=first, last_name=last, **more)

    def refund(self, order: int, amount: str) -> int:
        """A new refund's id."""
        self.now += 60
        held = shop_edits.held_order(self.state, order)
        return shop_edits.create_refund(self.state, held, {"amount": amount}).id

    def follow(self, *rules: FaultRule) -> None:
        self.faulty.follow(FaultPlan(rules))

    def close(self) -> None:
        self._http.close()


class Portal:
    """One HubSpot account whose search knows at once what was written."""

    def __init__(self, number: int) -> None:
        self.token = f"pat-invented-{number}"
        self.desk = TokenDesk("app-of-ours", f"app-secret-{number}")
        settings = PortalSettings(number, self.token, search_lag_seconds=0.0)
        self.state = PortalState(settings, desk=self.desk)
        self.faulty = FaultyApp(HubSpotApp(self.state).app)
        self.app = CountedApp(self.faulty)
        self.url = ""

    def follow(self, *rules: FaultRule) -> None:
        """Follow this plan from now on; none ends it."""
        self.faulty.follow(FaultPlan(rules))

    @property
    def calls(self) -> Counter[str]:
        return self.app.calls

    def records(self, object_type: str) -> dict[int, dict[str, str]]:
        """Living records of one of the engine's object types: id -> properties.

        Refunds and activities are both notes; ours say what they are.
        """
        kind = CRM_TYPE[object_type]
        living = [one for one in self.state.records(kind) if not one.archived]
        if kind == "notes":
            is_refund = object_type == "refund"
            living = [one for one in living if (one.properties["ci_kind"] == "refund") == is_refund]
        return {one.id: one.properties for one in living}

    def one(self, object_type: str, **wanted: str) -> dict[str, str]:
        """The only living record with these properties."""
        found = [
            properties
            for properties in self.records(object_type).values()
            if all(properties.get(name) == value for name, value in wanted.items())
        ]
        assert len(found) == 1, f"{len(found)} {object_type} records with {sorted(wanted)}"
        return found[0]

    def enter(self, **properties: str) -> Record:
        """A contact that sales typed in before us."""
        return self.state.seed("contacts", properties, created=NOON - 86_400)

    def edit(self, object_type: str, record_id: str | int, **properties: str) -> None:
        """A person changes a record in the CRM."""
        kind = CRM_TYPE[object_type]
        record = self.state.get(kind, str(record_id))
        assert record is not None
        self.state.update(kind, record, properties)

    def linked(self, object_type: str, record_id: str | int, to_type: str) -> set[int]:
        """Record ids that a record is associated with."""
        kinds = CRM_TYPE[object_type], CRM_TYPE[to_type]
        return set(self.state.linked(kinds[0], int(record_id), kinds[1]))


@dataclass
class Street:
    """One server for all shops and portals of a test module; each is told apart by its path."""

    apps: dict[str, ASGIApp] = field(default_factory=dict[str, ASGIApp])
    url: str = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        name = scope["path"].split("/", 2)[1]
        await self.apps[name]({**scope, "root_path": f"/{name}"}, receive, send)

    def open(self, name: str, app: ASGIApp) -> str:
        """Serve an app under a name; returns its base URL."""
        self.apps[name] = app
        return f"{self.url}/{name}"


@contextmanager
def street() -> Iterator[Street]:
    """A server on a free port of 127.0.0.1, stopped at the end."""
    served = Street()
    config = uvicorn.Config(
        served, host="127.0.0.1", port=0, log_level="critical", lifespan="off", ws="none"
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    served.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    try:
        yield served
    finally:
        server.should_exit = True
        thread.join(10)


def writes(calls: Mapping[str, int]) -> int:
    """How many of these calls wrote records."""
    words = ("batch/upsert", "batch/update", "batch/create")
    return sum(count for path, count in calls.items() if path.endswith(words))
