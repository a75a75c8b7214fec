"""Stores behind API2Cart over real HTTP for these tests: the sandbox's emulator, and carts whose
habits are written by hand (unsorted lists, refused parameters, zoneless dates)."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.stores._contract import StoreAccess
from crm_integration.stores.api2cart.client import Client
from crm_integration_tests.served import Street

Json = dict[str, Any]
KEYS = {"api_key": "key-of-all-tenants", "store_key": "key-of-one-store"}
ISO = "Y-m-d\\TH:i:sO"
FIRST = datetime(2026, 3, 1, 12, tzinfo=UTC)
OK = 0
_numbers = count(1)


class Refusal(Exception):
    """The cart answers this return code instead."""

    def __init__(self, code: int, message: str = "", result: Any = None) -> None:
        super().__init__(message)
        self.code, self.message, self.result = code, message, result


@dataclass
class Cart:
    """Answers each call as `answer(method, query)` says, in API2Cart's envelope.

    `calls` are (method, query) as they came, `keys` the headers of each.
    """

    answer: Callable[[str, dict[str, str]], Json]
    calls: list[tuple[str, dict[str, str]]] = field(
        default_factory=list[tuple[str, dict[str, str]]]
    )
    keys: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @property
    def app(self) -> Starlette:
        return Starlette(routes=[Route("/v1.1/{method}.json", self._call)])

    def of(self, method: str) -> list[dict[str, str]]:
        """The queries of one method."""
        return [query for name, query in self.calls if name == method]

    async def _call(self, request: Request) -> Response:
        method, query = request.path_params["method"], dict(request.query_params)
        self.calls.append((method, query))
        self.keys.append((request.headers["x-api-key"], request.headers["x-store-key"]))
        body: Json = {"return_code": OK, "return_message": ""}
        try:
            body |= self.answer(method, query)
        except Refusal as refusal:
            body = {
                "return_code": refusal.code,
                "return_message": refusal.message,
                "result": {} if refusal.result is None else refusal.result,
            }
        return Response(json.dumps(body), media_type="application/json")


@contextmanager
def opened(street: Street, app: Any, **changes: Any) -> Generator[Client]:
    """A client of a store that this app serves."""
    secrets = {**KEYS, **changes.pop("secrets", {})}
    client = Client(StoreAccess(street.open(f"cart-{next(_numbers)}", app), secrets, **changes))
    try:
        yield client
    finally:
        client.close()


def at(seconds: int, form: str = ISO) -> Json:
    """That many seconds after noon of the first day, as the cart writes it."""
    moment = FIRST + timedelta(seconds=seconds)
    written = {ISO: "%Y-%m-%dT%H:%M:%S+0000", "Y-m-d H:i:s": "%Y-%m-%d %H:%M:%S"}[form]
    return {"value": moment.strftime(written), "format": form}


def order(key: int, modified: int = 0, **changes: Any) -> Json:
    """An order as the recorded answers have it."""
    return {
        "id": str(key),
        "order_id": f"R-{key}",
        "customer": {"id": "7", "email": "ada@example.com", "first_name": "Ada", "last_name": "B"},
        "create_at": at(0),
        "modified_at": at(modified),
        "currency": {"iso3": "EUR"},
        "billing_address": None,
        "shipping_address": None,
        "status": {"id": "processing", "name": "Processing", "history": [], "refund_info": None},
        "total": {"total": 12.5, "total_tax": 2, "shipping_ex_tax": 0, "total_discount": 0},
        "totals": None,
        "order_products": [
            {"product_id": "3", "order_product_id": "31", "model": "MUG", "name": "Mug",
             "price": 6.25, "quantity": 2, "total_price": 12.5, "tax_value": 2},
        ],
        "refunds": [],
        "comment": None,
        "additional_fields": {"financial_status": "paid", "fulfillment_status": "not_shipped"},
        **changes,
    }  # fmt: skip


def customer(key: int | str, modified: int = 0, **changes: Any) -> Json:
    return {
        "id": str(key),
        "email": f"c{key}@example.com",
        "first_name": "Ada",
        "last_name": "Account",
        "created_time": at(0),
        "modified_time": at(modified),
        "address_book": [],
        **changes,
    }


@dataclass
class Shelf:
    """A cart's list of rows in an order of its own, with what it refuses.

    Each call sees the rows as they lie now; `before` may edit them. `refuses` are parameters that
    this cart does not know. Filters on time are followed unless refused.
    """

    rows: list[Json]
    key: str = "order"
    changed: str = "modified_at"
    refuses: tuple[str, ...] = ()
    named: bool = True
    cursors: bool = True
    before: Callable[[int], None] = lambda number: None
    asked: int = 0

    def answer(self, method: str, query: dict[str, str]) -> Json:
        if method.endswith(".info"):
            return {"result": self._one(method, query)}
        self.asked += 1
        self.before(self.asked)
        for name in query:
            if name in self.refuses:
                raise Refusal(109, f"Parameter '{name}' is not supported." if self.named else "No.")
        start, size, held = self._place(query)
        found = [row for row in self.rows if self._holds(row, held)]
        following = f"{start + size}%3D" if self.cursors and start + size < len(found) else None
        pagination = {"previous": None, "next": following}
        return {"pagination": pagination, "result": {self.key: found[start : start + size]}}

    def _place(self, query: dict[str, str]) -> tuple[int, int, dict[str, str]]:
        cursor = query.get("page_cursor")
        if cursor is None:
            return int(query.get("start", 0)), int(query.get("count", 10)), query
        assert set(query) <= {"page_cursor", "params"}, "a cursor stands alone"
        if not cursor.endswith("=") or "%" in cursor:
            raise Refusal(109, "Parameter 'page_cursor' is not valid.")
        return int(cursor[:-1]), 250, {}

    def _holds(self, row: Json, query: dict[str, str]) -> bool:
        ids = query.get("ids")
        if ids is not None:
            return row["id"] in ids.split(",")
        when = datetime.fromisoformat(row[self.changed]["value"])
        first, last = query.get("modified_from"), query.get("modified_to")
        return (first is None or when >= datetime.fromisoformat(first)) and (
            last is None or when <= datetime.fromisoformat(last)
        )

    def _one(self, method: str, query: dict[str, str]) -> Json:
        if method == "cart.info":
            return {"name": "Shop", "url": "https://shop.example/"}
        for row in self.rows:
            if row["id"] == query.get("id"):
                return row
        raise Refusal(112, "Item not found")
