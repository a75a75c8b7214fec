"""What the engine stands on in a certificate: its own database server, the world, three tenants.

Prevents a certificate from touching anything of yours: the server lies in a folder of its own,
listens on no network, and both processes end with this one.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import orjson
from sqlalchemy.engine import make_url

from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shop_state import ShopSettings
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines, engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration.sync.connecting import connect_crm, connect_store
from crm_integration.sync.engines import Engines
from crm_integration.sync.path import House
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.certificate.mappings import made_mappings
from crm_integration_tests.certificate.world import KEYS, SPAN_DAYS, TENANTS

CHECKOUT = Path(__file__).parents[2]
MASTER_BYTES = b"c" * 32
MASTER = MasterKey(MASTER_BYTES)
_PLENTY = {"calls": 1_000_000, "seconds": 1}
BUDGETS = {"all": _PLENTY, "search": _PLENTY}


@dataclass
class Town:
    """The world's process, over HTTP."""

    process: subprocess.Popen[bytes]
    http: httpx.Client = field(repr=False)

    def ask(self, path: str, body: Any = None) -> Any:
        """A control call: GET without a body."""
        if body is None:
            return self.http.get(path).raise_for_status().json()
        return self.http.post(path, content=orjson.dumps(body)).raise_for_status().json()


@dataclass(frozen=True)
class Stand:
    """All that a run needs; `mappings` is a folder of its own, whose tenant files may change."""

    server: EmbeddedServer
    urls: DatabaseUrls
    mappings: Path
    town: Town
    base: str
    name: str
    """Of its databases."""

    @property
    def tenants(self) -> tuple[str, ...]:
        return tuple(name for name, _ in TENANTS)


def house(urls: DatabaseUrls, mappings: Path) -> House:
    """The engine's own view of the stand, in the process that asks."""
    tenancy = Tenancy(engine_for(urls.app), MASTER)
    return House(Engines(tenancy, engine_for(urls.ops)), mappings)


def impatient(urls: DatabaseUrls) -> DatabaseUrls:
    """The same databases for who must never wait for a frozen process's locks."""
    bound = {"options": "-c statement_timeout=1500"}
    return replace(
        urls,
        **{
            name: make_url(getattr(urls, name))
            .update_query_dict(bound)
            .render_as_string(hide_password=False)
            for name in ("app", "ops")
        },
    )


@contextmanager
def town(seed: int, events: int) -> Iterator[tuple[Town, str]]:
    """The world's process; ended at the end."""
    command = [sys.executable, "-m", "crm_integration_tests.certificate.street"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(orjson.dumps({"seed": seed, "events": events}) + b"\n")
        process.stdin.flush()
        base = f"http://127.0.0.1:{int(process.stdout.readline())}"
        with httpx.Client(base_url=f"{base}/world", timeout=60, trust_env=False) as http:
            yield Town(process, http), base
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


@contextmanager
def database() -> Iterator[EmbeddedServer]:
    """A server for this run alone."""
    home = Path(tempfile.mkdtemp(prefix="crm-", dir="/tmp"))
    home.chmod(0o700)
    server = EmbeddedServer(home)
    try:
        server.start()
        yield server
    finally:
        dispose_engines()
        server.stop()
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def stand(server: EmbeddedServer, seed: int, events: int, name: str) -> Iterator[Stand]:
    """Fresh databases of this name, a new world, three connected tenants."""
    ensure_databases(server, name)
    urls = embedded_urls(server, name)
    migrate(urls.owner)
    with (
        tempfile.TemporaryDirectory(prefix="crm-mappings-") as folder,
        town(seed, events) as (running, base),
    ):
        made = Stand(server, urls, made_mappings(Path(folder)), running, base, name)
        _connect(made, seed)
        yield made


def _connect(made: Stand, seed: int) -> None:
    engine = house(made.urls, made.mappings)
    started = (datetime.now(UTC) - timedelta(days=SPAN_DAYS + 30)).date()
    state: Mapping[str, Any] = made.town.ask("/state")
    for one in state["tenants"]:
        tenant, platform = one["name"], one["platform"]
        create_tenant(engine.engines.tenancy, tenant, started_on=started, actor="certificate")
        settings = ShopSettings(tenant, *KEYS, "", seed=seed)
        connect_store(
            engine, tenant, "main", platform, f"{made.base}/{tenant}",
            SHOP_KINDS[platform].secrets(settings), actor="certificate", budgets=BUDGETS,
        )  # fmt: skip
        log_in(made, engine, tenant)
    dispose_engines()


def log_in(made: Stand, engine: House, tenant: str, *, at: str = "") -> None:
    """The owner of the tenant's CRM, or by mistake that `at` another tenant's, consents.

    Raises what `connect_crm` raises.
    """
    given = made.town.ask("/login", {"tenant": at or tenant})
    connect_crm(
        engine, tenant, "crm", "hubspot", f"{made.base}/{at or tenant}-crm", given["secrets"],
        actor="certificate", settings={"budgets": BUDGETS}, login="oauth", lives=given["lives"],
    )  # fmt: skip
