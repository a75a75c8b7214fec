"""The demo's steps: connect, fill, run, replay, and read back what the CRMs hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from crm_integration.cli.crm_reading import CrmTotals, add_totals
from crm_integration.cli.demo_show import Watcher
from crm_integration.definitions import defs
from crm_integration.defs.run_here import (
    Instance,
    RunHere,
    add_tenants,
    instance_at,
    run_partition,
    run_range,
)
from crm_integration.sandbox.server import CrmAccess, Sandbox, ShopAccess
from crm_integration.settings import get_settings
from crm_integration.sync.connecting import connect_crm, connect_store
from crm_integration.sync.opening import open_house
from crm_integration.sync.overview import Overview, overview
from crm_integration.sync.path import House
from crm_integration.sync.window_counts import raw_counts
from crm_integration.tenancy.tenants import create_tenant

CRM = "hubspot"
PLAN = {"all": {"calls": 190, "seconds": 10}}
"""What the emulated accounts' plan allows."""
STORE_PLAN = {"api2cart": {"all": {"calls": 200, "seconds": 1}}}
TENANT_START = date(2000, 1, 1)


@dataclass
class DemoResult:
    """The document of `demo --json`, without `seconds`."""

    tenants: list[dict[str, Any]] = field(default_factory=lambda: list[dict[str, Any]]())
    totals: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    replay: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    sandbox: dict[str, Any] = field(default_factory=lambda: dict[str, Any]())
    runs: list[dict[str, Any]] = field(default_factory=lambda: list[dict[str, Any]]())


class Demo:
    """One demo on a running sandbox; the databases are fresh."""

    def __init__(self, sandbox: Sandbox, watcher: Watcher) -> None:
        self._sandbox, self._watcher = sandbox, watcher
        self._tenants = list(sandbox.shops)
        self._house = open_house(get_settings(), database=get_settings().database)
        self._result = DemoResult()

    def run(
        self,
        orders: Sequence[Path],
        first_day: date | None,
        days: int | None,
        spans: Sequence[tuple[date, date]],
    ) -> DemoResult:
        """All steps. Raises BadInvoiceFile before anything was filled."""
        with instance_at(get_settings().home / "dagster-demo") as instance:
            for number, (book, span) in enumerate(
                zip(orders or [None], spans, strict=True), start=1
            ):
                self._watcher.say(f"filling the shops ({book.name if book else 'generated'})")
                self._sandbox.load(book, first_day=first_day, days=days)
                if number == 1:
                    self._connect()
                    add_tenants(instance, self._tenants)
                self._sync(instance, span)
            self._replay(instance, spans[-1])
        self._read_back()
        return self._result

    def _connect(self) -> None:
        self._watcher.say("connecting three shops and three CRM accounts")
        for tenant in self._tenants:
            connect_tenant(
                self._house, tenant, self._sandbox.shops[tenant], self._sandbox.crms[tenant]
            )

    def _sync(self, instance: Instance, span: tuple[date, date]) -> None:
        self._watcher.follow(self._house, self._tenants)
        job = defs.resolve_job_def("reconcile_all")
        self._note(run_range(instance, job, self._tenants, *span), job.name)

    def _replay(self, instance: Instance, span: tuple[date, date]) -> None:
        """Replay the fullest partition and count what it did, at the CRM and in our tables."""
        tenant, day, records = self._fullest(span)
        self._watcher.say(f"replaying {tenant} {day}")
        calls, writes = self._calls(tenant), self._overview(tenant).writes
        job = defs.resolve_job_def("replay_a_window")
        self._note(run_partition(instance, job, tenant, day), job.name)
        self._result.replay = {
            "partition": f"{tenant}|{day}",
            "records": records,
            "crm_calls": self._calls(tenant) - calls,
            "writes": self._overview(tenant).writes - writes,
        }

    def _fullest(self, span: tuple[date, date]) -> tuple[str, date, int]:
        found: list[tuple[int, str, date]] = []
        for tenant in self._tenants:
            with self._house.engines.tenancy.scope(tenant) as scope:
                days = span[0], span[1] + timedelta(days=1)
                counts = raw_counts(scope, days, ("order",))
            found += [(one.raw, tenant, day) for day, one in counts["order"].items()]
        records, tenant, day = max(found)
        return tenant, day, records

    def _read_back(self) -> None:
        self._watcher.say("reading the CRMs back over HTTP")
        totals = CrmTotals()
        quarantined = 0
        for tenant in self._tenants:
            calls = self._calls(tenant)
            records = add_totals(self._sandbox.crms[tenant], totals)
            seen = self._overview(tenant)
            quarantined += seen.quarantined["order"]
            row = _tenant_row(tenant, self._sandbox.shops[tenant], seen, records, calls)
            self._result.tenants.append(row)
        self._result.totals = {
            "orders": totals.orders,
            "refunds": totals.refunds,
            "guest_orders": totals.guest_orders,
            "quarantined_invoices": quarantined,
            "gross_minor": dict(totals.gross_minor),
            "refunded_minor": dict(totals.refunded_minor),
        }
        self._result.sandbox = {
            "crm": [self._sandbox.crms[tenant].base_url for tenant in self._tenants]
        }

    def _overview(self, tenant: str) -> Overview:
        with self._house.engines.tenancy.scope(tenant) as scope:
            return overview(scope)

    def _calls(self, tenant: str) -> int:
        return sum(self._sandbox.calls(f"crm:{tenant}").values())

    def _note(self, run: RunHere, job: str) -> None:
        self._result.runs.append(
            {"job": job, "run_id": run.run_id, "passed": run.passed, "problem": run.problem}
        )


def connect_tenant(house: House, tenant: str, shop: ShopAccess, crm: CrmAccess) -> None:
    """Make the tenant and connect its shop and its CRM account."""
    create_tenant(house.engines.tenancy, tenant, started_on=TENANT_START, actor="demo")
    connect_store(
        house,
        tenant,
        "main",
        shop.platform,
        shop.base_url,
        shop.secrets,
        actor="demo",
        budgets=STORE_PLAN.get(shop.platform),
    )
    secrets = {"access_token": crm.token}
    connect_crm(
        house, tenant, "crm", CRM, crm.base_url, secrets, actor="demo", settings={"budgets": PLAN}
    )


def _tenant_row(
    tenant: str, shop: ShopAccess, seen: Overview, records: dict[str, int], calls: int
) -> dict[str, Any]:
    return {
        "tenant": tenant,
        "store": shop.platform,
        "crm": CRM,
        "raw_records": seen.raw_records,
        "repeats": seen.repeats,
        "canonical": seen.canonical,
        "crm_records": records,
        "crm_calls": calls,
        "adopted": seen.adopted,
        "ambiguous": seen.ambiguous,
        "quarantined": sum(seen.quarantined.values()),
        "held": seen.held,
        "dead": seen.dead,
    }
