"""The live bench: from "accepted" to "readable in the CRM", over all events.

Prevents a figure for the empty machine: sender, receiver, Dagster with its live run and a backfill
beside it, the database and the CRMs of all tenants share it, with roles, row level security and
sealing on. And the figure for good weather alone: runs are killed, terminated and reloaded after
the measured part, and what was accepted must still arrive.
"""

from __future__ import annotations

import asyncio
import os
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy import Engine, func, select

from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.tables.intake import touched_partitions
from crm_integration.storage.urls import embedded_urls
from crm_integration_tests.benchmarks.dagster_here import (
    Dagster,
    dagster_dev,
    environment,
    free_port,
)
from crm_integration_tests.benchmarks.processes import (
    CHECKOUT,
    cpu_of_database,
    cpu_of_family,
    machine,
    parent_of,
    running,
)
from crm_integration_tests.benchmarks.shops import PEOPLE, Sender, arrived, connected_shops

LIFE = 60
"""Seconds of a live run in the bench."""
PATIENCE = 60.0
"""Seconds that the last event has to arrive."""
LATE = 1.0
"""Seconds: what took longer was waiting for somebody to drain it."""
P50, P95, P99, COLD, MOST_RUNS, DRAINED = 0.1, 0.3, 1.0, 10.0, 20, 15.0
"""The targets."""
Told = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """`per_second` events over the tenants for so many seconds; then `disturbances`, each with
    `around` seconds of the same."""

    tenants: int = 100
    per_second: float = 50.0
    seconds: float = 180.0
    around: float = 30.0
    backfill_days: int = 30
    disturbances: tuple[str, ...] = ("killed", "killed_with_code", "terminated", "reloaded")


@dataclass
class Town:
    """All that runs, and what was sent so far."""

    load: Load
    dagster: Dagster
    sender: Sender
    base: str
    ops: Engine
    waits: dict[str, list[float]] = field(default_factory=dict[str, list[float]])

    def send(self, seconds: float) -> range:
        """Events at the load's rate for so long; their numbers."""
        first = self.sender.sent
        events = max(1, round(self.load.per_second * seconds))
        asyncio.run(self.sender.send(events, self.load.per_second))
        return range(first, self.sender.sent)

    def seen(self, events: int) -> Mapping[int, float]:
        """When each of the first so many was in its CRM."""
        return arrived(self.base, events, self.load.tenants, PATIENCE)

    def measured(self, numbers: range) -> list[float]:
        """From accepted to readable, of those that arrived."""
        seen = self.seen(numbers.stop)
        accepted = self.sender.accepted
        return [max(0.0, seen[one] - accepted[one]) for one in numbers if one in seen]


def measure(load: Load, server: EmbeddedServer, told: Told) -> dict[str, Any]:
    """The bench's document."""
    ensure_databases(server, "live_bench")
    urls = embedded_urls(server, "live_bench")
    migrate(urls.owner)
    with ExitStack() as stack:
        street = stack.enter_context(running("live_street", b"%d" % load.tenants))
        opened = orjson.loads(street.line)
        base = f"http://127.0.0.1:{opened['port']}"
        paths = connected_shops(urls, base, opened["accounts"])
        home = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="crm-", dir="/tmp")))
        started = (datetime.now(UTC) - timedelta(days=load.backfill_days)).date().isoformat()
        env = environment(urls, home, LIVE_LIFE=f"{LIFE}", START_DAY=started)
        told("dagster dev loads our code")
        dagster = stack.enter_context(dagster_dev(env))
        port, at = free_port(), {"CRM_INTEGRATION_WEBSERVER_URL": dagster.url}
        receiver = stack.enter_context(_receiver(port, {**env, **at}))
        sender = Sender(port, paths)
        town = Town(load, dagster, sender, base, engine_for(urls.ops))
        found = _measured(town, told)
        cpu = {"receiver": cpu_of_family(receiver), "dagster": dagster.cpu_s}
        cpu |= {"crms": street.cpu_s, "database": cpu_of_database(server)}
    return {
        "bench": "live",
        "metrics": found,
        "cpu_s": {name: round(value, 1) for name, value in cpu.items()},
        "machine": machine(),
    }


def _measured(town: Town, told: Told) -> dict[str, Any]:
    load = town.load
    told("the first event comes into a cold lane")
    cold = town.measured(town.send(1 / load.per_second))
    told("records are made")
    town.measured(town.send(load.tenants * PEOPLE / load.per_second))
    _queue_backfill(town)
    told(f"{load.per_second:g} events a second for {load.seconds:g} s, a backfill beside them")
    before = len(town.dagster.live_runs())
    numbers = town.send(load.seconds)
    waits = town.measured(numbers)
    runs = len(town.dagster.live_runs())
    drained = {one: _disturbed(town, one, told) for one in load.disturbances}
    seen = town.seen(town.sender.sent)
    cuts = statistics.quantiles(waits, n=100) if len(waits) > 1 else [0.0] * 99
    return {
        "events": len(numbers),
        "arrived": len(waits),
        "p50_s": round(cuts[49], 4),
        "p95_s": round(cuts[94], 4),
        "p99_s": round(cuts[98], 4),
        "cold_s": round(cold[0], 2) if cold else None,
        "runs_started": runs,
        "handovers": max(0, runs - before),
        "drained_s": {name: round(value, 2) for name, value in drained.items()},
        "lost": town.sender.sent - len(seen),
        "untold_partitions": _untold(town.ops),
        "tenants": load.tenants,
        "per_second": load.per_second,
    }


def held(document: Mapping[str, Any]) -> bool:
    """Whether all targets were met."""
    found = document["metrics"]
    return (
        0 < found["events"] == found["arrived"]
        and found["lost"] == 0
        and found["p50_s"] < P50
        and found["p95_s"] < P95
        and found["p99_s"] < P99
        and found["cold_s"] is not None
        and found["cold_s"] < COLD
        and found["runs_started"] <= MOST_RUNS
        and all(value < DRAINED for value in found["drained_s"].values())
    )


def _disturbed(town: Town, what: str, told: Told) -> float:
    """Seconds from the disturbance until nothing waited any more; events come all the while."""
    told(f"a run is {what.replace('_', ' ')}")
    with ThreadPoolExecutor(1) as person:
        doing = person.submit(_disturb, town, what)
        numbers = town.send(town.load.around)
        happened = doing.result()
    seen, accepted = town.seen(numbers.stop), town.sender.accepted
    late = [seen[one] for one in numbers if one in seen and seen[one] - accepted[one] > LATE]
    if any(one not in seen for one in numbers):
        return PATIENCE
    return max([0.0, *(one - happened for one in late)])


def _disturb(town: Town, what: str) -> float:
    """The moment (monotonic) in which it was done, a third of the way through."""
    time.sleep(town.load.around / 3)
    _DISTURBANCES[what](town.dagster)
    return time.monotonic()


def _killed(dagster: Dagster) -> None:
    os.kill(dagster.process_of(dagster.draining()), signal.SIGKILL)


def _killed_with_code(dagster: Dagster) -> None:
    run = dagster.process_of(dagster.draining())
    code_server = parent_of(run)
    os.kill(run, signal.SIGKILL)
    os.kill(code_server, signal.SIGKILL)


def _terminated(dagster: Dagster) -> None:
    dagster.terminate(dagster.draining())


def _reloaded(dagster: Dagster) -> None:
    dagster.reload()


_DISTURBANCES: Mapping[str, Callable[[Dagster], None]] = {
    "killed": _killed,
    "killed_with_code": _killed_with_code,
    "terminated": _terminated,
    "reloaded": _reloaded,
}


def _queue_backfill(town: Town) -> None:
    """All windows of all tenants: what a person asks for who replays everything."""
    if town.load.backfill_days:
        town.dagster.backfill_all([f"t{one}" for one in range(town.load.tenants)])


def _untold(ops: Engine) -> int:
    """Partitions that were touched and that Dagster was never told of."""
    with ops.connect() as connection:
        untold = select(func.count()).where(touched_partitions.c.reported_at.is_(None))
        return connection.execute(untold).scalar_one()


@contextmanager
def _receiver(port: int, env: Mapping[str, str]) -> Generator[int]:
    """The product's own, with its waker; yields its process id."""
    command = [os.fspath(Path(sys.executable).with_name("crm-integration")), "receiver",
               "--port", str(port)]  # fmt: skip
    process = subprocess.Popen(command, env=dict(env), cwd=CHECKOUT, stderr=subprocess.DEVNULL)
    try:
        _wait(f"http://127.0.0.1:{port}/readyz", process)
        yield process.pid
    finally:
        process.terminate()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while process.poll() is None and time.monotonic() < until:
        try:
            if httpx.get(url, trust_env=False, timeout=5).is_success:
                return
        except httpx.HTTPError:
            time.sleep(0.1)
    raise RuntimeError("the receiver did not get ready: run it by hand and look")
