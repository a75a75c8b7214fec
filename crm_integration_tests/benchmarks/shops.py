"""Shops that deliver to a receiver, each with a CRM account, and the events they tell of.

Prevents benches that measure different worlds: the same customers, signed as a store signs, told
of by the number that the CRM's process notes when it arrives.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import re
import time
from collections.abc import Mapping, Sequence
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
HOST = "127.0.0.1"
_Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]
_LENGTH = re.compile(rb"(?i)content-length: *(\d+)")
PEOPLE = 5
"""Customers of a tenant; their records are made before the clock starts."""


@dataclass
class Sender:
    """A crowd of shops; `accepted` by event is when the receiver said 2xx.

    It writes requests itself: an HTTP library took a quarter of a processor for fifty a second,
    and all that is measured shares two.
    """

    port: int
    paths: list[str]
    accepted: dict[int, float] = field(default_factory=dict[int, float])
    sent: int = 0

    async def send(self, events: int, per_second: float) -> None:
        """Send so many events, evenly spread in time. Raises OSError for one that was refused."""
        free: list[_Connection] = []
        began, tasks = time.monotonic(), list[asyncio.Task[None]]()
        for place in range(events):
            await asyncio.sleep(max(0.0, began + place / per_second - time.monotonic()))
            tasks.append(asyncio.create_task(self._one(free, self.sent)))
            self.sent += 1
        await asyncio.gather(*tasks)
        for _, writer in free:
            writer.close()

    async def _one(self, free: list[_Connection], number: int) -> None:
        request = _request(number, self.paths)
        while True:
            used = bool(free)
            reader, writer = free.pop() if used else await asyncio.open_connection(HOST, self.port)
            writer.write(request)
            try:
                head = await reader.readuntil(b"\r\n\r\n")
                break
            except (asyncio.IncompleteReadError, ConnectionResetError):
                writer.close()
                if not used:
                    raise
                # The receiver closes what was not used for some seconds: as a shop does, once more.
        found = _LENGTH.search(head)
        await reader.readexactly(int(found[1]) if found else 0)
        free.append((reader, writer))
        if head[9:10] != b"2":
            raise ConnectionRefusedError(f"the receiver said {head[9:12].decode('latin-1')}")
        self.accepted[number] = time.monotonic()


def _request(number: int, paths: Sequence[str]) -> bytes:
    body = _customer(number, len(paths))
    signature = base64.b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
    head = (
        f"POST {paths[number % len(paths)]} HTTP/1.1\r\nHost: {HOST}\r\n"
        "X-WC-Webhook-Topic: customer.updated\r\nX-WC-Webhook-Resource: customer\r\n"
        f"X-WC-Webhook-Event: updated\r\nX-WC-Webhook-Delivery-ID: d{number}\r\n"
        f"X-WC-Webhook-Signature: {signature}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


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


def arrived(base: str, events: int, tenants: int, patience: float) -> Mapping[int, float]:
    """When each event was in its CRM; waits for all, or for `patience` seconds."""
    until = time.monotonic() + patience
    with httpx.Client(trust_env=False, timeout=30) as client:
        while True:
            seen = _with_overtaken(dict(client.get(f"{base}/seen/").json()), events, tenants)
            if len(seen) >= events or time.monotonic() > until:
                return seen
            time.sleep(0.5)


def _with_overtaken(seen: Mapping[int, float], events: int, tenants: int) -> Mapping[int, float]:
    """An event whose record holds something newer already is there from that moment on: of two
    that waited together only the newer one is written."""
    found, round_of_all = dict[int, float](), tenants * PEOPLE
    for number in range(events - 1, -1, -1):
        known = (seen.get(number), found.get(number + round_of_all))
        moments = [one for one in known if one is not None]
        if moments:
            found[number] = min(moments)
    return found
