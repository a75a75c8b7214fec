"""The live bench: from "accepted" to "readable in the CRM", over all events.

Prevents a figure for the empty machine: receiver, live run, database and the CRMs of all tenants
run beside the sender, with roles, row level security and sealing on.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import orjson

from crm_integration.intake.webhook_paths import add_secret, make_path
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.certificate.stand import BUDGETS, database

CHECKOUT = Path(__file__).parents[2]
SECRET = "secret-of-the-bench"
PEOPLE = 5
"""Customers of a tenant; their records are made before the clock starts."""
PATIENCE = 60.0
"""Seconds that the last event has to arrive."""
Told = Callable[[str], None]


@dataclass
class Live:
    """What was measured; seconds, from the receiver's 2xx to the CRM's answer."""

    waits: list[float]
    sent: int
    cpu: dict[str, float]
    done: dict[str, int] = field(default_factory=dict[str, int])

    def json(self) -> dict[str, Any]:
        """The document of `bench live`."""
        cuts = statistics.quantiles(self.waits, n=100) if len(self.waits) > 1 else [0.0] * 99
        return {
            "bench": "live",
            "metrics": {
                "events": self.sent,
                "arrived": len(self.waits),
                "p50_s": round(cuts[49], 4),
                "p95_s": round(cuts[94], 4),
                "p99_s": round(cuts[98], 4),
            },
            "cpu_s": {name: round(value, 1) for name, value in self.cpu.items()},
            "machine": {"cores": os.cpu_count()},
            "run": self.done,
        }


def measure(*, tenants: int, per_second: float, seconds: float, told: Told) -> Live:
    """Send `per_second` customer updates for so many seconds, spread over the tenants."""
    with ExitStack() as stack:
        told("the stand is made")
        server = stack.enter_context(database())
        urls, crms = _urls(server), stack.enter_context(_process("live_street", f"{tenants}"))
        opened = orjson.loads(crms.line)
        base = f"http://127.0.0.1:{opened['port']}"
        paths = _tenants(urls, base, opened["accounts"])
        receiver = stack.enter_context(_worker("receiver", urls))
        run = stack.enter_context(_worker("run", urls))
        sender = Sender(f"http://127.0.0.1:{int(receiver.line)}", paths)
        told("records are made")
        asyncio.run(sender.send(tenants * PEOPLE, per_second))
        _arrived(base, sender.sent, PATIENCE)
        before = len(sender.accepted)
        told(f"{per_second:g} events a second for {seconds:g} s")
        asyncio.run(sender.send(int(per_second * seconds), per_second))
        seen = _arrived(base, sender.sent, PATIENCE)
        processes = {"receiver": receiver, "run": run, "crms": crms}
        cpu = {name: _cpu(one.process.pid) for name, one in processes.items()}
        cpu["database"] = _cpu_of_database(server)
        measured = {n: at for n, at in sender.accepted.items() if n >= before}
        waits = [max(0.0, seen[n] - at) for n, at in measured.items() if n in seen]
        return Live(waits, len(measured), cpu)


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


def _urls(server: EmbeddedServer) -> DatabaseUrls:
    ensure_databases(server, "bench")
    urls = embedded_urls(server, "bench")
    migrate(urls.owner)
    return urls


def _tenants(urls: DatabaseUrls, base: str, accounts: list[list[Any]]) -> list[str]:
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


@dataclass
class _Process:
    process: subprocess.Popen[bytes]
    line: bytes


@contextmanager
def _process(module: str, first: str) -> Iterator[_Process]:
    """A process of the bench that has written its first line; it ends with our end of its pipe."""
    command = [sys.executable, "-m", f"crm_integration_tests.benchmarks.{module}"]
    running = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT)
    assert running.stdin is not None
    assert running.stdout is not None
    try:
        running.stdin.write(first.encode() + b"\n")
        running.stdin.flush()
        line = running.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start: look at what it wrote to stderr")
        yield _Process(running, line)
    finally:
        running.stdin.close()
        try:
            running.wait(timeout=30)
        except subprocess.TimeoutExpired:
            running.kill()
            running.wait()
        running.stdout.close()


def _worker(what: str, urls: DatabaseUrls) -> Any:
    told = {
        "what": what, "app": urls.app, "ops": urls.ops, "intake": urls.intake,
        "mappings": str(CHECKOUT / "mappings"),
    }  # fmt: skip
    return _process("live_worker", orjson.dumps(told).decode())


def _arrived(base: str, events: int, patience: float) -> Mapping[int, float]:
    """When each event was in its CRM; waits for all, or for `patience` seconds."""
    until = time.monotonic() + patience
    with httpx.Client(trust_env=False, timeout=30) as client:
        while True:
            seen = dict(client.get(f"{base}/seen/").json())
            if len(seen) >= events or time.monotonic() > until:
                return seen
            time.sleep(0.5)


def _cpu(pid: int) -> float:
    """Seconds of CPU that a process took so far, 0 where the system does not tell."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _cpu_of_database(server: EmbeddedServer) -> float:
    """Of the server and the backends that live now."""
    home = str(server.socket_dir.parent)
    found = [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdigit() and home.encode() in _command(one)
    ]
    children = [
        int(one.name)
        for one in Path("/proc").iterdir()
        if one.name.isdigit() and _parent(one) in found
    ]
    return sum(_cpu(pid) for pid in {*found, *children})


def _command(process: Path) -> bytes:
    try:
        return (process / "cmdline").read_bytes()
    except OSError:
        return b""


def _parent(process: Path) -> int:
    try:
        return int((process / "stat").read_text("utf-8").rpartition(")")[2].split()[1])
    except (OSError, ValueError):
        return 0


if __name__ == "__main__":
    wanted = [float(one) for one in sys.argv[1:4]]
    found = measure(
        tenants=int(wanted[0]), per_second=wanted[1], seconds=wanted[2],
        told=lambda words: print(words, file=sys.stderr),
    )  # fmt: skip
    print(orjson.dumps(found.json(), option=orjson.OPT_INDENT_2).decode())
