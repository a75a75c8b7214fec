"""A merchant with mapping files of its own, two months of orders, and replays of them."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from crm_integration.mapping.names import MappingName
from crm_integration.mapping.pin_file import write_pin
from crm_integration.quality.holds import open_hold
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House, run_path
from crm_integration.sync.replay import plan
from crm_integration.sync.replay_plan import Plan, Request, days_between
from crm_integration.sync.replay_run import Force, Replayed, run
from crm_integration.sync.report import Selection
from crm_integration_tests.house import MAPPINGS, Tenant
from crm_integration_tests.served import CRM_TYPE

DAY = 86_400
MARCH = days_between(date(2024, 3, 1), date(2024, 3, 31))
APRIL = days_between(date(2024, 4, 1), date(2024, 4, 30))
ALL = frozenset({"company", "customer", "product", "order", "refund", "cart", "activity"})
CRM = frozenset(CRM_TYPE)


@dataclass
class Merchant:
    """A tenant whose mapping files are its own, and its replays."""

    tenant: Tenant
    root: Path

    @property
    def house(self) -> House:
        return House(self.tenant.house.engines, self.root)

    def pin(self, version: int) -> None:
        """Contacts are written by this version from now on."""
        write_pin(self.root, self.tenant.name, "hubspot", "contact", version)

    def everything(self) -> None:
        """Extract, derive, judge, write: an ordinary run over both months."""
        selection = Selection(frozenset({"customer", "product", "order", "refund"}), ALL, CRM)
        spring = Window(MARCH.start, APRIL.end)
        report = run_path(self.house, self.tenant.name, [spring], selection, run_id="first")
        assert not report.problems, report.problems

    def hold(self, object_type: str) -> None:
        """A person stops the writes of an object type."""
        with self.tenant.scope() as scope:
            open_hold(scope, object_type, "by hand", "a person asked", "look", 1)

    def add_to_file(self, *lines: str) -> None:
        """More lines in the tenant's file."""
        path = self.root / "tenants" / f"{self.tenant.name}.yaml"
        path.write_text("\n".join([path.read_text(), *lines]))

    def request(self, **more: Any) -> Request:
        return replace(Request(self.tenant.name, MARCH), **more)

    def plan(self, **more: Any) -> Plan:
        return plan(self.house, self.request(**more), show=True)

    def run(self, force: Force | None = None, **more: Any) -> Replayed:
        asked = self.request(**more)
        return run(self.house, asked, run_id="again", by="cli:bob", force=force)

    def version(self, number: int) -> MappingName:
        return MappingName.read(f"hubspot/contact@v{number}", self.root)

    def held(self) -> dict[tuple[str, int], dict[str, str]]:
        """All that the CRM holds: (object type, record id) -> properties."""
        kinds = CRM - {"activity"} if not self.tenant.portal.records("refund") else CRM
        return {
            (kind, number): dict(properties)
            for kind in kinds
            for number, properties in self.tenant.portal.records(kind).items()
        }

    def ledger(self) -> list[Any]:
        return self.tenant.rows("select * from ledger order by object_type, object_id")

    @classmethod
    def idle(cls, tenant: Tenant, root: Path) -> Merchant:
        """Nothing is known of this merchant; contacts are written by version 1."""
        shutil.copytree(MAPPINGS / "hubspot", root / "hubspot")
        made = cls(tenant, root)
        made.pin(1)
        return made

    def live(self) -> Merchant:
        """Two months of a shop, written to the CRM."""
        shop, order = self.tenant.shop, 0
        for number in range(4):
            shop.now += 2 * DAY
            ada = shop.account(f"ada{number}@example.com")
            order = shop.order(ada, total="20.00")
            shop.guest_order(f"gus{number}@example.com")
        shop.refund(order, "5.00")
        shop.now += 30 * DAY  # April
        shop.order(shop.account("april@example.com"))
        self.everything()
        self.tenant.portal.calls.clear()
        return self
