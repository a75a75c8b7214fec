"""Starts and drives the sandbox: shops and CRMs over HTTP in one child process.

Prevents the failure of tests that talk to an object instead of a server: what is integrated here
is reached by address and key alone, and goes away with its owner.
"""

from __future__ import annotations

import secrets
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from types import TracebackType
from typing import Any, cast

import httpx
import orjson

from crm_integration.errors import BadInvoiceFile, CrmIntegrationError, NotFound
from crm_integration.sandbox.faults import FaultPlan
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shop_state import ShopSettings

#: Six hours; a demo that is kept up for a look ends then at the latest.
MAX_LIFE_SECONDS = 6 * 3600
_READ_SECONDS = 300
#: Offsets of the shops' clocks from UTC, so that a zone mistake shows at the first tenant.
_OFFSETS = (-300, 0, 330)
THREE_KINDS: Mapping[str, str] = {
    "aurora": "woocommerce",
    "borealis": "shopify",
    "cedar": "api2cart",
}
"""The demo's merchants and the platforms of their shops."""


@dataclass(frozen=True, slots=True)
class ShopAccess:
    """Where a shop is, what kind it is, and the secrets that a connection to it must hold."""

    base_url: str
    platform: str
    secrets: Mapping[str, str] = field(repr=False)


@dataclass(frozen=True, slots=True)
class CrmAccess:
    """Where a CRM account is, its token and its own id."""

    base_url: str
    token: str
    portal_id: int


@dataclass(frozen=True, slots=True)
class TenantLoad:
    """What one load brought to one tenant's shop and CRM (money in minor units by currency)."""

    orders: int
    guest_orders: int
    refunds: int
    credits_without_order: int
    unreadable: int
    repeated: int
    changed: int
    customers: int
    entered_by_sales: int
    entered_twice: int
    gross_minor: Mapping[str, int]
    refunded_minor: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class LoadReport:
    """What one load brought, by tenant."""

    tenants: Mapping[str, TenantLoad]

    def total(self, name: str) -> int:
        """The sum of one count over all tenants."""
        return sum(int(getattr(load, name)) for load in self.tenants.values())


class SandboxDown(CrmIntegrationError):
    """The sandbox's process did not start or does not answer; start a new one."""


class Sandbox:
    """A running sandbox; a context manager that stops it at its end."""

    def __init__(self, process: subprocess.Popen[bytes], spec: dict[str, Any]) -> None:
        self._process = process
        ports = cast(dict[str, int], self._ready()["ready"])
        self.shops: dict[str, ShopAccess] = {}
        self.crms: dict[str, CrmAccess] = {}
        for tenant in spec["tenants"]:
            name, shop, crm = tenant["name"], tenant["shop"], tenant["crm"]
            kind = SHOP_KINDS[tenant["platform"]]
            self.shops[name] = ShopAccess(
                f"http://127.0.0.1:{ports[f'shop:{name}']}",
                kind.platform,
                kind.secrets(ShopSettings(**shop)),
            )
            base_url = f"http://127.0.0.1:{ports[f'crm:{name}']}"
            self.crms[name] = CrmAccess(base_url, crm["token"], crm["portal_id"])
        self._control = httpx.Client(
            base_url=f"http://127.0.0.1:{ports['control']}",
            headers={"Authorization": f"Bearer {spec['control_token']}"},
            timeout=_READ_SECONDS,
            trust_env=False,
        )

    def _ready(self) -> dict[str, Any]:
        assert self._process.stdout is not None  # noqa: S101 (a pipe by construction)
        line = self._process.stdout.readline()
        if not line:
            code = self._process.wait(timeout=5)
            raise SandboxDown(f"the sandbox ended at its start with code {code}")
        return cast(dict[str, Any], orjson.loads(line))

    @classmethod
    def start(
        cls,
        tenants: Mapping[str, str] = THREE_KINDS,
        *,
        seed: int = 7,
        search_lag_seconds: float = 1.0,
        max_life_seconds: float = MAX_LIFE_SECONDS,
    ) -> Sandbox:
        """Start the process with a shop of a platform for each tenant; keys are drawn anew.

        Raises:
            SandboxDown: the process did not come up.
        """
        spec: dict[str, Any] = {
            "seed": seed,
            "control_token": secrets.token_hex(16),
            "max_life_seconds": max_life_seconds,
            "tenants": [
                _tenant(name, platform, number, seed, search_lag_seconds)
                for number, (name, platform) in enumerate(tenants.items())
            ],
        }
        process = subprocess.Popen(  # noqa: S603 (our own module, no shell)
            [sys.executable, "-m", "crm_integration.sandbox.server"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # an interrupt is for the owner, which then closes the pipe
            cwd=Path(__file__).parents[2],
        )
        assert process.stdin is not None  # noqa: S101 (a pipe by construction)
        process.stdin.write(orjson.dumps(spec) + b"\n")
        process.stdin.flush()
        return cls(process, spec)

    def load(
        self,
        invoice_file: Path | None = None,
        *,
        first_day: date | None = None,
        days: int | None = None,
        sales_percent: float = 5,
    ) -> LoadReport:
        """Fill the shops from a file (None: the seeded generator), the CRMs with sales' entries.

        Raises:
            BadInvoiceFile: with the file, the column and the fix; nothing was filled.
        """
        answer = self._call("POST", "/load", json={
            "path": str(invoice_file.resolve()) if invoice_file else None,
            "first_day": first_day.isoformat() if first_day else None,
            "days": days,
            "sales_percent": sales_percent,
        })  # fmt: skip
        if answer.get("error") == "bad_invoice_file":
            raise BadInvoiceFile(answer["message"])
        return LoadReport({name: TenantLoad(**counts) for name, counts in answer.items()})

    def set_faults(self, app: str, plan: FaultPlan) -> None:
        """Let `shop:TENANT` or `crm:TENANT` follow a plan from now on (an empty one ends it).

        Raises:
            NotFound: no such app here.
        """
        self._call("POST", "/faults", json={"app": app, "rules": plan.json()})

    def calls(self, app: str, *, reset: bool = False) -> dict[str, int]:
        """Calls so far by `METHOD /path/template` of `shop:TENANT` or `crm:TENANT`.

        Raises:
            NotFound: no such app here.
        """
        return self._call("GET", "/calls", params={"app": app, "reset": str(reset).lower()})

    def facts(self) -> dict[str, dict[str, int]]:
        """What the shops and CRMs hold now, by tenant; for messages, never for checks."""
        return self._call("GET", "/facts")

    def _call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        try:
            answer = self._control.request(method, path, **more)
        except httpx.HTTPError as error:
            raise SandboxDown("the sandbox does not answer; start a new one") from error
        if answer.status_code == 404:
            raise NotFound(f"{path}: no such app; the sandbox has shop:TENANT and crm:TENANT")
        if answer.status_code not in {200, 422}:
            raise SandboxDown(f"the sandbox's control port answered {answer.status_code} to {path}")
        return cast(dict[str, Any], orjson.loads(answer.content))

    def stop(self) -> None:
        """End the process; a second call does nothing."""
        self._control.close()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None and not pipe.closed:
                pipe.close()
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait(timeout=5)

    def __enter__(self) -> Sandbox:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def _tenant(name: str, platform: str, number: int, seed: int, lag: float) -> dict[str, Any]:
    return {
        "name": name,
        "platform": platform,
        "shop": {
            "name": name,
            "consumer_key": f"ck_{secrets.token_hex(20)}",
            "consumer_secret": f"cs_{secrets.token_hex(20)}",
            "public_url": f"https://{name}.shop.example",
            "seed": seed,
            "utc_offset_minutes": _OFFSETS[number % len(_OFFSETS)],
        },
        "crm": {
            "portal_id": 41_000_001 + number,
            "token": f"pat-eu1-{secrets.token_hex(16)}",
            "search_lag_seconds": lag,
        },
    }


if __name__ == "__main__":
    from crm_integration.sandbox.hosting import main

    main()
