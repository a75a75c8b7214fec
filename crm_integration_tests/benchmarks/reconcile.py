"""How long the hourly look takes at shops in which nothing has happened.

Prevents the reconciliation that does not end within its hour: the same function that the job
calls, with its threads, looks at shops of every platform that have nothing new to tell. Shops
whose look did anything else, or failed, are counted, and fail the bench.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

import orjson
from sqlalchemy import text

from crm_integration.defs.reconcile import poll
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import engine_for
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores._registry import connector
from crm_integration.sync.engines import Engines
from crm_integration.sync.path import House
from crm_integration.sync.report import PathReport
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.benchmarks.processes import CHECKOUT, cpu_of_database, machine, running
from crm_integration_tests.certificate.stand import BUDGETS

TARGET_S = 0.3
"""Seconds a tenant: a thousand in five minutes."""
Told = Callable[[str], None]


@dataclass(frozen=True)
class Load:
    """So many shops, of every platform in turn; the first `selling` have so many old orders."""

    tenants: int = 1_000
    selling: int = 60
    orders: int = 5


def measure(load: Load, server: EmbeddedServer, told: Told) -> dict[str, Any]:
    """The bench's document. Everything is looked at twice: the second time counts."""
    ensure_databases(server, "reconcile_bench")
    urls = embedded_urls(server, "reconcile_bench")
    migrate(urls.owner)
    house = _house(urls)
    wanted = {"tenants": load.tenants, "selling": load.selling, "orders": load.orders}
    told(f"{load.tenants} shops are opened")
    with running("reconcile_street", orjson.dumps(wanted)) as street:
        opened = orjson.loads(street.line)
        names = _connected(house, f"http://127.0.0.1:{opened['port']}", opened["shops"])
        _count(poll(house, names, "first"), told, "first look")
        _count(poll(house, names[: load.selling], "second"), told, "what sold is proven")
        cpu = time.process_time(), cpu_of_database(server), street.cpu_s
        began = time.monotonic()
        reports = _count(poll(house, names, "idle"), told, "idle look")
        seconds = time.monotonic() - began
        spent = (
            time.process_time() - cpu[0], cpu_of_database(server) - cpu[1], street.cpu_s - cpu[2]
        )  # fmt: skip
    return {
        "bench": "reconcile",
        "metrics": {
            "tenants": len(reports),
            "seconds": round(seconds, 1),
            "idle": sum(is_quiet(one) for one in reports),
            "selling": load.selling,
        },
        "cpu_s": dict(
            zip(("reconcile", "database", "stores"), (round(one, 1) for one in spent), strict=True)
        ),
        "machine": machine(),
    }


def held(document: dict[str, Any]) -> bool:
    """Whether it was fast enough, and every look the look at an idle shop."""
    found = document["metrics"]
    return (
        found["tenants"] > 0
        and found["idle"] == found["tenants"]
        and found["seconds"] < TARGET_S * found["tenants"]
    )


def is_quiet(report: PathReport) -> bool:
    """It listed everything, found nothing, and ended there."""
    return bool(report.reconciled) and not (report.problems or report.days or report.crm)


def _count(reports: Any, told: Told, what: str) -> Sequence[PathReport]:
    done: list[PathReport] = []
    for report in reports:
        done.append(report)
        told(f"{what}: {len(done)} tenants")
    return done


def _house(urls: DatabaseUrls) -> House:
    tenancy = Tenancy(engine_for(urls.app), MasterKey(os.urandom(32)))
    return House(Engines(tenancy, engine_for(urls.ops)), CHECKOUT / "mappings")


def _connected(house: House, base: str, shops: Sequence[dict[str, Any]]) -> list[str]:
    """Tenants that were connected four hours ago."""
    tenancy = house.engines.tenancy
    for one in shops:
        name, platform, url = one["name"], one["platform"], f"{base}/{one['name']}"
        create_tenant(tenancy, name, started_on=date(2025, 1, 1), actor="bench")
        account = _account(platform, url, one["secrets"])
        settings = {"budgets": BUDGETS}
        store = StoredConnection(
            "main", "store", platform, url, account, "GBP", "UTC", settings
        )  # fmt: skip
        crm = StoredConnection(
            "crm", "crm", "hubspot", f"{url}-crm", one["portal"], settings=settings
        )  # fmt: skip
        with tenancy.scope(name) as scope:
            save_connection(scope, store, one["secrets"], actor="bench")
            save_connection(scope, crm, {"access_token": one["token"]}, actor="bench")
            scope.connection.execute(
                text("update connections set created_at = now() - interval '4 hours'")
            )
    return [one["name"] for one in shops]


def _account(platform: str, url: str, secrets: dict[str, str]) -> str:
    found = connector(platform)
    client = found.open(StoreAccess(url, secrets))
    try:
        return found.extract.check(client).account_id
    finally:
        client.close()
