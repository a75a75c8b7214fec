"""The sandbox's one process: every shop and every CRM on a port of its own, and a control port.

Prevents the failure of emulators left behind: the process ends by itself when its parent's end
of the pipe closes, or after its longest life.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
from collections import Counter
from datetime import date
from pathlib import Path
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_integration.errors import BadInvoiceFile
from crm_integration.sandbox.faults import FaultPlan, FaultyApp
from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.invoices import Invoice, read_invoices
from crm_integration.sandbox.loopback import listening_socket
from crm_integration.sandbox.order_book import fill, split_by_tenant
from crm_integration.sandbox.portal_state import PortalSettings, PortalState
from crm_integration.sandbox.sales_records import enter
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shop_state import ShopSettings, ShopState
from crm_integration.sandbox.side_records import enrich


class CountedApp:
    """Counts calls by method and path template; ids and addresses in a path become {id}."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self.calls: Counter[str] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            template = re.sub(r"/(\d+|[^/]*@[^/]*)(?=/|$)", "/{id}", scope["path"])
            self.calls[f"{scope['method']} {template}"] += 1
        await self._app(scope, receive, send)


class House:
    """All shops and CRMs of one sandbox, by tenant."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.seed = int(spec["seed"])
        self.control_token = str(spec["control_token"])
        self.shops: dict[str, ShopState] = {}
        self.portals: dict[str, PortalState] = {}
        self.counted: dict[str, CountedApp] = {}
        self.faulty: dict[str, FaultyApp] = {}
        for tenant in spec["tenants"]:
            self._open(tenant)

    def _open(self, tenant: dict[str, Any]) -> None:
        name = tenant["name"]
        shop = self.shops[name] = ShopState(ShopSettings(**tenant["shop"]))
        portal = self.portals[name] = PortalState(PortalSettings(**tenant["crm"]))
        self._serve(f"shop:{name}", SHOP_KINDS[tenant["platform"]].app(shop))
        self._serve(f"crm:{name}", HubSpotApp(portal).app)

    def _serve(self, name: str, app: ASGIApp) -> None:
        self.faulty[name] = FaultyApp(app)
        self.counted[name] = CountedApp(self.faulty[name])

    def load(self, invoices: list[Invoice], sales_percent: float) -> dict[str, Any]:
        """Fill every shop with its share; the counts by tenant."""
        report: dict[str, Any] = {}
        for tenant, share in split_by_tenant(invoices, list(self.shops)).items():
            shop, portal = self.shops[tenant], self.portals[tenant]
            counts = fill(shop, share)
            enrich(shop)
            sales = enter(portal, shop, counts.new_customers, percent=sales_percent)
            report[tenant] = {
                **counts.json(),
                "entered_by_sales": len(sales.entered),
                "entered_twice": len(sales.twice),
            }
        return report

    def facts(self) -> dict[str, Any]:
        """What the shops hold now, for messages."""
        return {
            tenant: {
                "orders": sum(order.readable for order in shop.orders.values()),
                "orders_served": len(shop.by_id.pairs),
                "refunds": len(shop.refunds),
                "customers": len(shop.customers),
                "products": len(shop.products),
                "crm_contacts": len(self.portals[tenant].shelf("contacts").records),
            }
            for tenant, shop in self.shops.items()
        }


def _read(body: dict[str, Any], seed: int) -> list[Invoice]:
    first = date.fromisoformat(body["first_day"]) if body.get("first_day") else None
    if body.get("path"):
        return read_invoices(Path(body["path"]), first_day=first, days=body.get("days"))
    from crm_integration.sandbox.generator import generated_table

    return read_invoices(generated_table(seed), first_day=first, days=body.get("days"))


class ControlApp:
    """The port through which the owner of a sandbox fills it, plans faults and counts calls."""

    def __init__(self, house: House) -> None:
        self._house = house
        self.app = Starlette(routes=[
            Route("/load", self._load, methods=["POST"]),
            Route("/faults", self._faults, methods=["POST"]),
            Route("/calls", self._calls),
            Route("/facts", self._facts),
        ])  # fmt: skip

    def _refused(self, request: Request) -> Response | None:
        if request.headers.get("authorization") == f"Bearer {self._house.control_token}":
            return None
        return _json({"error": "unauthorized"}, 401)

    async def _load(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        body = orjson.loads(await request.body())
        try:
            invoices = await asyncio.to_thread(_read, body, self._house.seed)
        except BadInvoiceFile as error:
            return _json({"error": "bad_invoice_file", "message": str(error)}, 422)
        return _json(self._house.load(invoices, float(body.get("sales_percent", 5))))

    async def _faults(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        body = orjson.loads(await request.body())
        faulty = self._house.faulty.get(body["app"])
        if faulty is None:
            return _json({"error": "unknown_app"}, 404)
        faulty.follow(FaultPlan.from_json(body["rules"]))
        return _json({})

    async def _calls(self, request: Request) -> Response:
        if refused := self._refused(request):
            return refused
        counted = self._house.counted.get(request.query_params["app"])
        if counted is None:
            return _json({"error": "unknown_app"}, 404)
        answer = dict(counted.calls)
        if request.query_params.get("reset") == "true":
            counted.calls.clear()
        return _json(answer)

    async def _facts(self, request: Request) -> Response:
        return self._refused(request) or _json(self._house.facts())


def _json(body: Any, status: int = 200) -> Response:
    return Response(orjson.dumps(body), status_code=status, media_type="application/json")


class _ByPort:
    """One server, many sockets: the port a call came in by names the app."""

    def __init__(self, apps: dict[int, ASGIApp]) -> None:
        self._apps = apps

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await self._apps[scope["server"][1]](scope, receive, send)


def _end_with_parent(server: uvicorn.Server) -> None:
    def wait() -> None:
        sys.stdin.buffer.read()
        server.should_exit = True

    threading.Thread(target=wait, daemon=True).start()


async def _run(spec: dict[str, Any]) -> None:
    house = House(spec)
    apps: dict[str, ASGIApp] = {**house.counted, "control": ControlApp(house).app}
    sockets = {name: listening_socket() for name in apps}
    ports = {name: held.getsockname()[1] for name, held in sockets.items()}
    by_port = _ByPort({ports[name]: app for name, app in apps.items()})
    config = uvicorn.Config(
        by_port, log_level="critical", access_log=False, lifespan="off", backlog=256,
        timeout_graceful_shutdown=1, timeout_keep_alive=120,
    )  # fmt: skip
    server = uvicorn.Server(config)
    _end_with_parent(server)
    serving = asyncio.create_task(server.serve(sockets=list(sockets.values())))
    while not server.started and not serving.done():
        await asyncio.sleep(0.005)
    sys.stdout.write(orjson.dumps({"ready": ports}).decode() + "\n")
    sys.stdout.flush()
    await asyncio.wait([serving], timeout=float(spec["max_life_seconds"]))
    server.should_exit = True
    await serving


def main() -> None:
    """Read the specification from the first line of stdin and serve until stdin closes."""
    asyncio.run(_run(orjson.loads(sys.stdin.buffer.readline())))
