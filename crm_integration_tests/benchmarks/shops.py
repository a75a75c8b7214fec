"""Shops that deliver to a receiver, each with a CRM account, and the events they tell of.

Prevents benches that measure different worlds: the same customers, signed as a store signs, told
of by the number that the CRM's process notes when it arrives.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from typing import Any

import httpx
import orjson

from crm_integration.intake.webhook_paths import add_secret, make_path
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.certificate.stand import BUDGETS

SECRET = "secret-of-the-bench"
PEOPLE = 5
"""Customers of a tenant; their records are made before the clock starts."""


@dataclass
class Sender:
    """A crowd of shops; `accepted` by event is when the receiver said 2xx."""

    url: str
    paths: list[str]
    accepted: dict[int, float] = field(default_factory=dict[int, float])
    sent: int = 0

    async def send(self, events: int, per_second: float) -> None:
        """Send so many events, evenly spread in time."""
        async with httpx.AsyncClient(base_url=self.url, timeout=30, trust_env=False) as client:
            began, tasks = time.monotonic(), list[asyncio.Task[None]]()
            for place in range(events):
                await asyncio.sleep(max(0.0, began + place / per_second - time.monotonic()))
                tasks.append(asyncio.create_task(self._one(client, self.sent)))
                self.sent += 1
            await asyncio.gather(*tasks)

    async def _one(self, client: httpx.AsyncClient, number: int) -> None:
        body = _customer(number, len(self.paths))
        signature = base64.b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
        headers = {
            "x-wc-webhook-topic": "customer.updated",
            "x-wc-webhook-resource": "customer",
            "x-wc-webhook-event": "updated",
            "x-wc-webhook-delivery-id": f"d{number}",
            "x-wc-webhook-signature": signature,
        }
        path = self.paths[number % len(self.paths)]
        (await client.post(path, content=body, headers=headers)).raise_for_status()
        self.accepted[number] = time.monotonic()


def _customer(number: int, tenants: int) -> bytes:
    """One of the tenant's people, with a first name that names the event."""
    person = (number // tenants) % PEOPLE
    changed = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)
    stamp = changed.strftime("%Y-%m-%dT%H:%M:%S")
    billing = {"first_name": "E", "address_1": "12 Elm Row", "city": "Quillhaven", "country": "GB"}
    return orjson.dumps({
        "id": person + 1, "email": f"person{person}@t{number % tenants}.example.com",
        "first_name": f"E{number}", "last_name": "Measured", "role": "customer",
        "username": f"person{person}", "is_paying_customer": False, "meta_data": [],
        "date_created_gmt": "2025-12-01T12:00:00", "date_modified_gmt": stamp,
        "billing": billing, "shipping": billing,
    })  # fmt: skip


def connected_shops(urls: DatabaseUrls, base: str, accounts: list[list[Any]]) -> list[str]:
    """Tenants that are connected; the path of each one's deliveries."""
    master = MasterKey(b"b" * 32)
    tenancy, paths = Tenancy(engine_for(urls.app), master), list[str]()
    for number, (token, portal) in enumerate(accounts):
        name = f"t{number}"
        create_tenant(tenancy, name, started_on=date(2025, 1, 1), actor="bench")
        store = StoredConnection(
            "main", "store", "woocommerce", f"{base}/shop{number}", f"shop{number}", "GBP", "UTC"
        )
        crm = StoredConnection(
            "crm", "crm", "hubspot", f"{base}/crm{number}", str(portal),
            settings={"budgets": BUDGETS},
        )  # fmt: skip
        with tenancy.scope(name) as scope:
            save_connection(scope, store, {"consumer_key": "k", "consumer_secret": "s"},
                            actor="bench")  # fmt: skip
            save_connection(scope, crm, {"access_token": token}, actor="bench")
            add_secret(scope, "main", SECRET, actor="bench", overlap=timedelta(hours=1))
            paths.append(
                make_path(scope, master, "main", actor="bench", overlap=timedelta(hours=1))
            )
    return paths


def arrived(base: str, events: int, patience: float) -> Mapping[int, float]:
    """When each event was in its CRM; waits for all, or for `patience` seconds."""
    until = time.monotonic() + patience
    with httpx.Client(trust_env=False, timeout=30) as client:
        while True:
            seen = dict(client.get(f"{base}/seen/").json())
            if len(seen) >= events or time.monotonic() > until:
                return seen
            time.sleep(0.5)
