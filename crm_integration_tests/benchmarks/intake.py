"""How many deliveries a second the receiver takes, and whether a crash loses one it said yes to.

Prevents two good-looking figures: a rate of answers that came before the commit, and a count of
lost deliveries by what the receiver believes. What lies in the drop table is opened and compared,
byte for byte, with what a 2xx was said to.
"""

from __future__ import annotations

import base64
import hmac
import math
import os
import time
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import select

from crm_integration.intake.webhook_paths import add_secret, make_path
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.tables.intake import webhook_drop
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.benchmarks.intake_crowd import body_of
from crm_integration_tests.benchmarks.processes import Running, cpu_of_database, machine, running

REQUESTS_PER_S, P99_MS = 2_000, 50
"""The targets."""
SECRET = "secret-of-the-bench"
PATIENCE = 120.0
Told = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """So many deliveries over so many tenants; each sender waits for its answer."""

    requests: int = 40_000
    tenants: int = 100
    senders: int = 40
    crashed: int = 10_000
    """Deliveries of the second part, in which the database is killed."""

    @property
    def warm(self) -> int:
        """Sent before the clock starts: every path is looked up by then."""
        return self.tenants * 5


@dataclass(frozen=True)
class Sent:
    """What a crowd tells of itself."""

    took: float
    acknowledged: list[int]
    seconds: list[float]
    answers: dict[str, int]
    cpu_s: float

    def ms(self, part: float) -> float:
        """What this part of the answers took at most, in milliseconds."""
        ranked = sorted(self.seconds)
        return round(ranked[max(0, math.ceil(part * len(ranked)) - 1)] * 1_000, 1)


def measure(load: Load, server: EmbeddedServer, told: Told) -> dict[str, Any]:
    """The bench's document. The server is killed once, and runs at the end."""
    told(f"{load.tenants} tenants are made")
    ensure_databases(server, "intake_bench")
    urls = embedded_urls(server, "intake_bench")
    migrate(urls.owner)
    tenancy = Tenancy(engine_for(urls.app), MasterKey(os.urandom(32)))
    names = [f"t{number}" for number in range(load.tenants)]
    paths = [_shop(tenancy, one) for one in names]
    with _receiver(urls, tenancy.master) as receiver:
        crowd = _Crowds(int(receiver.line), paths, load.senders)
        told(f"{load.requests} deliveries from {load.senders} senders")
        warm = crowd.send(load.warm)
        before = receiver.cpu_s, cpu_of_database(server)
        full = crowd.send(load.requests)
        spent = receiver.cpu_s - before[0], cpu_of_database(server) - before[1]
        told(f"{load.crashed} more; the database is killed among them")
        after = load.crashed / load.requests * full.took / 3
        crashed = crowd.send(load.crashed, beside=lambda: _crash(server, after))
    told("what is in the drop table is compared with what was acknowledged")
    acknowledged = [*warm.acknowledged, *full.acknowledged, *crashed.acknowledged]
    lost = len(set(acknowledged) - kept(tenancy, names))
    return {
        "bench": "intake",
        "metrics": {
            "requests_per_s": round(len(full.acknowledged) / full.took, 1),
            "p50_ms": full.ms(0.5),
            "p99_ms": full.ms(0.99),
            "acknowledged": len(acknowledged),
            "lost": lost,
            "refused_in_the_crash": sum(crashed.answers.values()) - crashed.answers["2xx"],
            "senders": load.senders,
            "tenants": load.tenants,
        },
        "cpu_s": {
            "receiver": round(spent[0], 2), "database": round(spent[1], 2),
            "senders": round(full.cpu_s, 2),
        },
        "machine": machine(),
    }  # fmt: skip


def held(document: dict[str, Any]) -> bool:
    """Whether the targets are, and the crash was one: it refused something."""
    found = document["metrics"]
    return (
        found["requests_per_s"] >= REQUESTS_PER_S
        and found["p99_ms"] < P99_MS
        and found["lost"] == 0
        and found["refused_in_the_crash"] > 0
    )


def kept(tenancy: Tenancy, tenants: Iterable[str]) -> set[int]:
    """Numbers of the deliveries whose very bytes are in the drop table."""
    return {number for one in tenants for number in _kept_of(tenancy, one)}


def _kept_of(tenancy: Tenancy, tenant: str) -> Iterable[int]:
    with tenancy.scope(tenant) as scope:
        rows = scope.connection.execute(
            select(webhook_drop.c.drop_id, webhook_drop.c.headers, webhook_drop.c.body)
        ).all()
        for row in rows:
            place = f"{row.drop_id}/"
            headers = orjson.loads(scope.keys.open("webhook_drop", f"{place}headers", row.headers))
            body = scope.keys.open("webhook_drop", f"{place}body", row.body)
            number = int(headers["x-wc-webhook-delivery-id"], 16)
            if body == body_of(number) and _is_signed(headers, body):
                yield number


def _is_signed(headers: dict[str, str], body: bytes) -> bool:
    made = base64.b64encode(hmac.digest(SECRET.encode(), body, sha256)).decode()
    return headers["x-wc-webhook-signature"] == made


def _shop(tenancy: Tenancy, tenant: str) -> str:
    """A tenant with a store; the path of its deliveries."""
    create_tenant(tenancy, tenant, started_on=date(2025, 1, 1), actor="bench")
    store = StoredConnection(
        "main", "store", "woocommerce", "https://shop.example.com", tenant, "GBP", "UTC"
    )
    hour = timedelta(hours=1)
    with tenancy.scope(tenant) as scope:
        save_connection(scope, store, {"consumer_key": "k", "consumer_secret": "s"}, actor="bench")
        add_secret(scope, "main", SECRET, actor="bench", overlap=hour)
        return make_path(scope, tenancy.master, "main", actor="bench", overlap=hour)


@contextmanager
def _receiver(urls: DatabaseUrls, master: MasterKey) -> Generator[Running]:
    told = {"intake": urls.intake, "master": base64.b64encode(master.key).decode()}
    with running("intake_receiver", orjson.dumps(told)) as receiver:
        yield receiver


@dataclass
class _Crowds:
    """One crowd after the other; no delivery is like another."""

    port: int
    paths: Sequence[str]
    senders: int
    first: int = 0

    def send(self, count: int, beside: Callable[[], None] | None = None) -> Sent:
        """So many deliveries until all of them are acknowledged; `beside` is done meanwhile."""
        told = {
            "port": self.port, "paths": self.paths, "secret": SECRET, "first": self.first,
            "count": count, "senders": self.senders, "patience": PATIENCE,
        }  # fmt: skip
        self.first += count
        with running("intake_crowd", orjson.dumps(told)) as crowd:
            crowd.tell(b"go")
            if beside is not None:
                beside()
            return Sent(**orjson.loads(crowd.told()))


def _crash(server: EmbeddedServer, after: float) -> None:
    """The server ends without finishing anything, and comes back a second later."""
    time.sleep(after)
    server.stop(at_once=True)
    time.sleep(1.0)
    server.start()
