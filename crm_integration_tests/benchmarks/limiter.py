"""How much of an account's allowed rate our calls reach, as the vendor counts them.

Prevents two ways to look good: a limiter that keeps to the rate by its own clock and meets 429s
at the vendor's, and one that never meets any because it is slow. One tenant alone, then ten in
processes of their own, against one account; each call is a real one over HTTP.
"""

from __future__ import annotations

import os
import platform
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Any

import httpx

from crm_integration.errors import Transient
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.urls import embedded_urls
from crm_integration.transport.budget import BudgetGate, CallBudget
from crm_integration.transport.http import http_client, send
from crm_integration_tests.benchmarks.metered_api import metered_api

TARGETS = {"one_tenant": 0.98, "ten_tenants": 0.95}
TENANTS = {"one_tenant": 1, "ten_tenants": 10}


@dataclass(frozen=True)
class Load:
    """A quota, and over how many of its windows it is used up."""

    calls: int = 100
    seconds: float = 10.0
    windows: int = 5


@dataclass(frozen=True)
class Reached:
    """What the vendor saw of one run."""

    allowed_per_s: float
    achieved_per_s: float
    avoidable_429: int
    least_share: float
    """Calls of the tenant with the fewest, as a part of an equal share."""

    @property
    def ratio(self) -> float:
        return self.achieved_per_s / self.allowed_per_s

    def json(self) -> dict[str, float]:
        """As the document shows it."""
        return {
            "allowed_per_s": round(self.allowed_per_s, 3),
            "achieved_per_s": round(self.achieved_per_s, 3),
            "ratio": round(self.ratio, 4),
            "avoidable_429": self.avoidable_429,
            "least_share": round(self.least_share, 3),
        }


def measure(load: Load, server: EmbeddedServer, told: Callable[[str], None]) -> dict[str, Any]:
    """The bench's document. Takes two times `windows` windows and some seconds."""
    ensure_databases(server, "limiter_bench")
    urls = embedded_urls(server, "limiter_bench")
    migrate(urls.owner)
    metrics: dict[str, Any] = {}
    cpu: dict[str, float] = {}
    for name, tenants in TENANTS.items():
        told(f"{tenants} tenant(s), {load.windows} windows of {load.seconds:g} s")
        found, spent = _run(load, urls.ops, tenants)
        metrics[name] = found.json()
        cpu |= {f"{name}_{process}": round(used, 2) for process, used in spent.items()}
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return {"bench": "limiter", "metrics": metrics, "cpu_s": cpu, "machine": machine}


def held(document: dict[str, Any]) -> bool:
    """Whether the targets are: the rate, and not one 429."""
    return all(
        found["ratio"] >= TARGETS[name] and not found["avoidable_429"]
        for name, found in document["metrics"].items()
    )


def _run(load: Load, url: str, tenants: int) -> tuple[Reached, dict[str, float]]:
    spawn = get_context("spawn")
    account = os.urandom(16)
    with metered_api(load.calls, load.seconds) as address:
        ready, go, spent = spawn.Barrier(tenants + 1), spawn.Event(), spawn.Queue()
        rest = (load, url, address, account, ready, go, spent)
        callers = [
            spawn.Process(target=_call, args=(f"tenant{one}", *rest), daemon=True)
            for one in range(tenants)
        ]
        for one in callers:
            one.start()
        ready.wait(120)
        go.set()
        used = sum(spent.get(timeout=load.seconds * (load.windows + 4) + 120) for _ in callers)
        for one in callers:
            one.join(30)
        report = httpx.get(f"{address}/report").json()
    seen = _seen(load, report["accepted"], report["refused"], tenants)
    return seen, {"callers": used, "vendor": report["cpu_s"]}


def _seen(load: Load, accepted: list[tuple[float, str]], refused: int, tenants: int) -> Reached:
    """A first call, then `windows` times the quota: at best that takes `windows` windows."""
    counted = load.calls * load.windows
    if len(accepted) <= counted:
        raise TimeoutError(f"only {len(accepted)} of {counted} calls were made in time")
    took = accepted[counted][0] - accepted[0][0]
    made = Counter(tenant for _, tenant in accepted[:counted])
    least = min(made[f"tenant{one}"] for one in range(tenants))
    return Reached(load.calls / load.seconds, counted / took, refused, least * tenants / counted)


def _call(
    tenant: str,
    load: Load,
    url: str,
    address: str,
    account: bytes,
    ready: Any,
    go: Any,
    spent: Any,
) -> None:
    """One tenant's process: call as often as the gate lets it, until the time is over."""
    budgets = {"all": CallBudget(calls=load.calls, seconds=load.seconds)}
    gate = BudgetGate(engine_for(url), "metered", account, budgets, purpose="live", tenant=tenant)
    with http_client(address) as client:
        ready.wait(120)
        go.wait(120)
        until = time.monotonic() + load.seconds * (load.windows + 0.5)
        while time.monotonic() < until:
            try:
                gate("all")
            except Transient as error:
                time.sleep(min(error.retry_after or 1.0, 1.0))
                continue
            request = client.build_request("GET", "call", params={"tenant": tenant})
            if send(client, request).status_code == 429:
                gate.refused("all", None)
    spent.put(time.process_time())
