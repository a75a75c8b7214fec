"""Shops over real HTTP for these tests: the sandbox's emulator, and lists made by hand."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.sandbox.shop_state import (
    CustomerRecord,
    OrderRecord,
    ShopSettings,
    ShopState,
)
from crm_integration.sandbox.woocommerce import WooCommerceApp
from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.woocommerce.client import Client

KEY, SECRET = "ck_invented", "cs_invented"
NOON = int(datetime(2026, 3, 1, 12, tzinfo=UTC).timestamp())


@contextmanager
def served(app: Any) -> Generator[str]:
    """The app on a free port of 127.0.0.1, stopped at the end."""
    config = uvicorn.Config(app, host="127.0.0.1", port=0, log_level="error", ws="none")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 10
    while not server.started and time.monotonic() < deadline:
        time.sleep(0.005)
    try:
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(10)


def access(url: str, **changes: Any) -> StoreAccess:
    secrets = {"consumer_key": KEY, "consumer_secret": SECRET, **changes.pop("secrets", {})}
    return StoreAccess(url, secrets, **changes)


class Emulated:
    """One emulated shop five hours behind UTC, filled by hand."""

    def __init__(self) -> None:
        settings = ShopSettings(
            "Test shop", KEY, SECRET, "https://elsewhere.invalid", utc_offset_minutes=-300
        )
        self.now = NOON
        self.state = ShopState(settings, clock=lambda: self.now)
        self.app = WooCommerceApp(self.state).app

    def order(self, number: int, modified: int, **changes: Any) -> OrderRecord:
        values: dict[str, Any] = {
            "id": number, "number": str(number), "status": "processing", "currency": "GBP",
            "created": modified, "modified": modified, "customer_id": 0,
            "person": f"guest-{number}", "country": "EIRE", "lines": (), "total_minor": 100,
        }  # fmt: skip
        return self.state.insert_order(OrderRecord(**{**values, **changes}))

    def customer(self, number: int) -> None:
        self.state.customers[number] = CustomerRecord(
            number, f"customer-{number}", "EIRE", NOON, NOON
        )


@dataclass
class Listed:
    """A list endpoint that answers as WooCommerce does; `spoil` may change the bytes.

    Rows are dicts with `id` and `date_modified_gmt` (and `date_created_gmt`). Every request's
    query is kept in `asked`.
    """

    rows: list[dict[str, Any]] = field(default_factory=list[dict[str, Any]])
    spoil: Callable[[dict[str, str], bytes], bytes] = lambda query, body: body
    asked: list[dict[str, str]] = field(default_factory=list[dict[str, str]])

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/wp-json/wc/v3/{name}", self._answer)])

    async def _answer(self, request: Request) -> Response:
        query = dict(request.query_params)
        self.asked.append(query)
        body = json.dumps(self._page(query), ensure_ascii=False).encode("utf-8", "surrogatepass")
        return Response(self.spoil(query, body), media_type="application/json")

    def _page(self, query: dict[str, str]) -> list[dict[str, Any]]:
        name = "date_created_gmt" if query.get("orderby") == "date" else "date_modified_gmt"
        prefix = "" if query.get("orderby") == "date" else "modified_"
        low, high = query.get(f"{prefix}after", ""), query.get(f"{prefix}before", "9")
        kept = [row for row in self.rows if low < row.get(name, "") < high]
        if "include" in query:
            kept = [row for row in self.rows if str(row["id"]) in query["include"].split(",")]
        kept.sort(key=lambda row: (row.get(name, ""), row["id"]))
        size = int(query.get("per_page", "10"))
        start = (int(query.get("page", "1")) - 1) * size
        return kept[start : start + size]


@contextmanager
def opened(app: Any, **changes: Any) -> Generator[Client]:
    """A client of the served app."""
    with served(app) as url, Client(access(url, **changes)) as client:
        yield client


def gmt(epoch: int) -> str:
    return datetime.fromtimestamp(epoch, UTC).strftime("%Y-%m-%dT%H:%M:%S")
