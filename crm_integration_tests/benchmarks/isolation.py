"""What the others notice of a tenant whose CRM is dead, and of one that floods.

Prevents a figure for tenants who are alone with their misfortune: receiver, live run, database
and all CRMs share a machine, and the same twenty tenants are measured with and without the two,
in turns, so that what else the machine does meanwhile is in both figures.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import httpx
import orjson
from sqlalchemy import Engine, func, select

from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.tables.intake import webhook_queue
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration_tests.benchmarks.processes import CHECKOUT, cpu_of_database, machine, running
from crm_integration_tests.benchmarks.shops import PEOPLE, Sender, connected_shops

GROWTH = 0.1
"""The target."""
FLOOD = 20
"""Times an ordinary tenant's rate."""
FATES = ("hangs", "refuses")
"""What the dead CRM does, round by round."""
PATIENCE = 60.0
Told = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """`per_second` events of each of the tenants, for so many seconds in each half of a round."""

    tenants: int = 20
    per_second: float = 0.25
    seconds: float = 60.0
    rounds: int = 2


@dataclass
class Waits:
    """From the receiver's 2xx to the CRM's answer, of the ordinary tenants' events."""

    sent: int = 0
    seconds: list[float] = field(default_factory=list[float])

    @property
    def p95(self) -> float:
        """Of those that arrived."""
        return statistics.quantiles(self.seconds, n=20)[18] if len(self.seconds) > 1 else 0.0


def measure(load: Load, server: EmbeddedServer, told: Told) -> dict[str, Any]:
    """The bench's document."""
    ensure_databases(server, "isolation_bench")
    urls = embedded_urls(server, "isolation_bench")
    migrate(urls.owner)
    with ExitStack() as stack:
        street = stack.enter_context(running("isolation_street", b"%d" % (load.tenants + 2)))
        opened = orjson.loads(street.line)
        base = f"http://127.0.0.1:{opened['port']}"
        paths = connected_shops(urls, base, opened["accounts"])
        receiver = stack.enter_context(running("live_worker", _work("receiver", urls)))
        run = stack.enter_context(running("live_worker", _work("run", urls)))
        town = Town(load, int(receiver.line), base, paths, engine_for(urls.ops))
        told("records are made")
        town.settle()
        alone, beside = Waits(), Waits()
        for number in range(load.rounds):
            fate = FATES[number % len(FATES)]
            told(f"round {number + 1} of {load.rounds}: alone")
            town.alone(alone)
            told(f"round {number + 1} of {load.rounds}: one floods, one CRM {fate}")
            town.beside(beside, fate)
        cpu = {"receiver": receiver.cpu_s, "run": run.cpu_s, "crms": street.cpu_s}
        cpu["database"] = cpu_of_database(server)
    return _document(load, alone, beside, town, cpu)


def _document(
    load: Load, alone: Waits, beside: Waits, town: Town, cpu: dict[str, float]
) -> dict[str, Any]:
    return {
        "bench": "isolation",
        "metrics": {
            "p95_alone_s": round(alone.p95, 4),
            "p95_beside_s": round(beside.p95, 4),
            "growth": round(beside.p95 / alone.p95 - 1, 4) if alone.p95 else None,
            "p50_alone_s": round(statistics.median(alone.seconds or [0.0]), 4),
            "p50_beside_s": round(statistics.median(beside.seconds or [0.0]), 4),
            "events": alone.sent + beside.sent,
            "arrived": len(alone.seconds) + len(beside.seconds),
            "flooded": len(town.flood.accepted),
            "tenants": load.tenants,
            "per_second": load.per_second,
        },
        "cpu_s": {name: round(value, 1) for name, value in cpu.items()},
        "machine": machine(),
    }


def held(document: dict[str, Any]) -> bool:
    """Whether nothing stayed away, there was a flood, and the others hardly noticed."""
    found = document["metrics"]
    return (
        0 < found["events"] == found["arrived"]
        and found["flooded"] > 0
        and found["growth"] is not None
        and found["growth"] < GROWTH
    )


class Town:
    """The ordinary tenants, the one that floods, and the one whose CRM can be dead."""

    def __init__(
        self, load: Load, receiver: int, base: str, paths: Sequence[str], ops: Engine
    ) -> None:
        self._load, self._base, self._ops = load, base, ops
        # Numbers tell events apart: each sender has its own million.
        self.ordinary = Sender(receiver, list(paths[:-2]))
        self.flood = Sender(receiver, [paths[-2]], sent=1_000_000)
        self.dead = Sender(receiver, [paths[-1]], sent=2_000_000)

    def settle(self) -> None:
        """Everybody's records are made, and nothing is on its way."""
        asyncio.run(self.ordinary.send(self._load.tenants * PEOPLE, 10.0))
        for one in (self.flood, self.dead):
            asyncio.run(one.send(PEOPLE, 10.0))
        self._calm()

    def alone(self, waits: Waits) -> None:
        """The ordinary ones."""
        self._measured(waits, [(self.ordinary, self._load.tenants)])

    def beside(self, waits: Waits, fate: str) -> None:
        """The same, beside the two others."""
        self._fate(fate)
        others = [(self.flood, FLOOD), (self.dead, 1)]
        self._measured(waits, [(self.ordinary, self._load.tenants), *others])
        self._fate("lives")
        self._calm()

    def _measured(self, waits: Waits, senders: Sequence[tuple[Sender, int]]) -> None:
        first = self.ordinary.sent
        asyncio.run(self._send(senders))
        numbers = range(first, self.ordinary.sent)
        seen = self._arrived(numbers)
        waits.sent += len(numbers)
        waits.seconds += [
            max(0.0, seen[one] - self.ordinary.accepted[one]) for one in numbers if one in seen
        ]

    async def _send(self, senders: Sequence[tuple[Sender, int]]) -> None:
        rate, seconds = self._load.per_second, self._load.seconds
        await asyncio.gather(*(
            one.send(max(1, round(times * rate * seconds)), times * rate) for one, times in senders
        ))  # fmt: skip

    def _arrived(self, numbers: Sequence[int]) -> dict[int, float]:
        """When each of these was in its CRM; waits for all of them, but not for ever."""
        until = time.monotonic() + PATIENCE
        while True:
            seen = self._seen()
            if seen.keys() >= set(numbers) or time.monotonic() > until:
                return seen
            time.sleep(0.5)

    def _calm(self) -> None:
        """Until nothing waits and nothing more arrives: no round pays for the one before it."""
        until, before = time.monotonic() + PATIENCE, -1
        while time.monotonic() < until:
            with self._ops.connect() as connection:
                waiting = connection.scalar(select(func.count()).select_from(webhook_queue))
            now = len(self._seen())
            if not waiting and now == before:
                return
            before = now
            time.sleep(2.0)

    def _seen(self) -> dict[int, float]:
        answer = httpx.get(f"{self._base}/control/seen", trust_env=False, timeout=30)
        return dict(answer.raise_for_status().json())

    def _fate(self, fate: str) -> None:
        number = self._load.tenants + 1
        url = f"{self._base}/control/fate/{number}/{fate}"
        httpx.post(url, trust_env=False, timeout=30).raise_for_status()


def _work(what: str, urls: DatabaseUrls) -> bytes:
    return orjson.dumps({
        "what": what, "app": urls.app, "ops": urls.ops, "intake": urls.intake,
        "mappings": os.fspath(CHECKOUT / "mappings"),
    })  # fmt: skip
