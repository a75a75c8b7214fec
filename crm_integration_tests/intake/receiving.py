"""A receiver on a free port of 127.0.0.1, on role `crm_intake`, and stores that deliver to it."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from hashlib import sha256
from typing import Any
from urllib.parse import urlsplit

import httpx
from sqlalchemy import text

from crm_integration.intake.receiver_app import Limits, receiver_app
from crm_integration.intake.receiver_door import Door
from crm_integration.intake.receiver_opening import in_short
from crm_integration.intake.receiver_server import server_for
from crm_integration.intake.webhook_paths import add_secret, make_path
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import TenantKeys
from crm_integration_tests.house import House, Tenant

SECRET = "whsec_realstore_woo"  # the recorded deliveries are signed with it


def signature(body: bytes, secret: str = SECRET) -> str:
    """As WooCommerce and Shopify write it."""
    return base64.b64encode(hmac.digest(secret.encode(), body, sha256)).decode()


def order_headers(body: bytes, *, secret: str = SECRET, delivery: str = "d1") -> dict[str, str]:
    """Those of a WooCommerce `order.updated`."""
    return {
        "x-wc-webhook-topic": "order.updated",
        "x-wc-webhook-delivery-id": delivery,
        "x-wc-webhook-signature": signature(body, secret),
        "content-type": "application/json",
    }


def order_body(number: int = 7, **more: Any) -> bytes:
    """A small order."""
    return json.dumps({"id": number, "date_modified_gmt": "2024-03-01T12:00:00", **more}).encode()


@dataclass(frozen=True)
class Kept:
    """A delivery as the drop table holds it, opened."""

    connection: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiving:
    """One running receiver."""

    house: House
    url: str
    door: Door
    http: httpx.Client = field(repr=False)

    @property
    def place(self) -> tuple[str, int]:
        """Where a bare socket connects to."""
        parts = urlsplit(self.url)
        return str(parts.hostname), int(parts.port or 0)

    def address(
        self, tenant: Tenant, connection: str = "main", overlap: timedelta = timedelta(hours=1)
    ) -> str:
        """A new path of this connection."""
        with tenant.scope() as scope:
            master = self.house.tenancy.master
            return make_path(scope, master, connection, actor="test", overlap=overlap)

    def shop(self, tenant: Tenant, secret: str = SECRET) -> str:
        """A connection that is ready to be delivered to; its path."""
        secret_of(tenant, secret)
        return self.address(tenant)

    def post(self, path: str, body: bytes, headers: dict[str, str]) -> httpx.Response:
        """One delivery."""
        return self.http.post(self.url + path, content=body, headers=headers)

    def order(self, path: str, body: bytes | None = None, **more: Any) -> httpx.Response:
        """A signed order."""
        sent = order_body() if body is None else body
        return self.post(path, sent, order_headers(sent, **more))

    def metric(self, line: str) -> float:
        """The value of one line of /metrics, 0 where it is not there."""
        shown = self.http.get(f"{self.url}/metrics").text
        return sum(float(one.rpartition(" ")[2]) for one in shown.splitlines()
                   if one.startswith(line + " "))  # fmt: skip


def secret_of(
    tenant: Tenant, secret: str = SECRET, overlap: timedelta = timedelta(hours=1)
) -> None:
    """A signing secret for its first store."""
    with tenant.scope() as scope:
        add_secret(scope, "main", secret, actor="test", overlap=overlap)


def keys_of(tenant: Tenant) -> TenantKeys:
    with tenant.scope() as scope:
        return scope.keys


def kept(tenant: Tenant) -> list[Kept]:
    """What the drop table holds for a tenant, in the order in which it came."""
    keys = keys_of(tenant)
    rows = tenant.rows("select * from webhook_drop order by received_at, drop_id")
    return [
        Kept(
            row.connection_id,
            json.loads(keys.open("webhook_drop", f"{row.drop_id}/headers", row.headers)),
            keys.open("webhook_drop", f"{row.drop_id}/body", row.body),
        )
        for row in rows
    ]


def queued(house: House, tenant: Tenant) -> int:
    with house.engines.ops.connect() as connection:
        return connection.execute(
            text("select count(*) from webhook_queue where tenant_id = :t"), {"t": tenant.name}
        ).scalar_one()


@contextmanager
def receiving(
    house: House, limits: Limits | None = None, door: Door | None = None
) -> Iterator[Receiving]:
    """A receiver in a thread of its own, stopped at the end."""
    door = door or Door()
    engine = engine_for(in_short(house.urls.intake), pool_size=4)
    app = receiver_app(engine, house.tenancy.master, limits)
    server = server_for(app, "127.0.0.1", 0, door)
    thread = threading.Thread(target=lambda: asyncio.run(server.serve()), daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(trust_env=False, timeout=20) as http:
        try:
            yield Receiving(house, f"http://127.0.0.1:{port}", door, http)
        finally:
            server.should_exit = True
            thread.join(25)
            assert not thread.is_alive()


@contextmanager
def connected(place: tuple[str, int]) -> Iterator[socket.socket]:
    """A bare connection."""
    with socket.create_connection(place, timeout=10) as one:
        yield one
