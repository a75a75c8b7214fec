"""A Shopify that says what a test tells it, over httpx's own transport; all data is invented."""

from __future__ import annotations

import json
from collections.abc import Callable, Generator
from contextlib import contextmanager
from typing import Any

import httpx
import respx

from crm_integration.stores._contract import StoreAccess, StoreContext
from crm_integration.stores._registry import connector
from crm_integration.stores.shopify import to_canonical
from crm_integration.stores.shopify.client import PATH, Client

HOST = "https://example.myshopify.com"
FILE = "https://files.example.com/bulk.jsonl?signature=invented"
TOKEN = "shpat_invented"
CONTEXT = StoreContext("GBP")
Json = dict[str, Any]
Script = Callable[[str, Json], Any]
"""(operation's name, variables) -> `data`, or a whole httpx.Response."""


def always(data: Any) -> Script:
    """The same answer to everything."""
    return lambda name, given: data


def reply(data: Any, **more: Any) -> httpx.Response:
    return httpx.Response(200, json={"data": data, **more})


def refused(code: str, **extensions: Any) -> httpx.Response:
    error = {"message": "m", "extensions": {"code": code, **extensions}}
    return httpx.Response(200, json={"errors": [error]})


def bucket(available: float, *, requested: float = 100, rate: float = 50) -> Json:
    status = {"maximumAvailable": 1000, "currentlyAvailable": available, "restoreRate": rate}
    return {"cost": {"requestedQueryCost": requested, "throttleStatus": status}}


@contextmanager
def shop(
    script: Script, file: bytes | httpx.Response = b""
) -> Generator[tuple[Client, list[Json]]]:
    """A client of a shop that answers by `script`, and what it was asked, in order.

    Pauses are counted on the client's throttle and not slept.
    """
    asked: list[Json] = []

    def answer(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        name = body["query"].split(None, 2)[1].partition("(")[0]
        asked.append({"name": name, **body["variables"]})
        found = script(name, body["variables"])
        return found if isinstance(found, httpx.Response) else reply(found)

    with respx.mock(assert_all_called=False) as router:
        router.post(f"{HOST}/{PATH}").mock(side_effect=answer)
        served = file if isinstance(file, httpx.Response) else httpx.Response(200, content=file)
        router.get(FILE).mock(return_value=served)
        with Client(StoreAccess(HOST, {"access_token": TOKEN})) as client:
            client.throttle.sleep = lambda _: None
            yield client, asked


def money(amount: str, currency: str = "GBP") -> Json:
    return {"shopMoney": {"amount": amount, "currencyCode": currency}}


def line(number: int, **changes: Any) -> Json:
    return {
        "id": f"gid://shopify/LineItem/{number}",
        "sku": f"SKU-{number}",
        "name": f"Mug {number}",
        "quantity": 2,
        "product": {"id": "gid://shopify/Product/7"},
        "variant": {"id": "gid://shopify/ProductVariant/71"},
        "originalUnitPriceSet": money("5.00"),
        "originalTotalSet": money("10.00"),
        "discountAllocations": [],
        "taxLines": [],
        **changes,
    }


def order(number: int, *lines: Json, **changes: Any) -> Json:
    made = "2026-03-01T12:00:00Z"
    return {
        "id": f"gid://shopify/Order/{number}",
        "name": f"#{number}",
        "createdAt": made,
        "updatedAt": made,
        "processedAt": made,
        "cancelledAt": None,
        "test": False,
        "tags": [],
        "note": None,
        "email": "buyer@example.com",
        "phone": None,
        "currencyCode": "GBP",
        "taxesIncluded": False,
        "displayFinancialStatus": "PAID",
        "displayFulfillmentStatus": "UNFULFILLED",
        "totalPriceSet": money("12.40"),
        "totalTaxSet": money("2.40"),
        "totalShippingPriceSet": money("0.00"),
        "totalDiscountsSet": money("0.00"),
        "customer": {"id": "gid://shopify/Customer/5"},
        "billingAddress": None,
        "shippingAddress": None,
        "transactions": [],
        "refunds": [],
        "fulfillments": [],
        "lineItems": connection(lines or (line(1),)),
        **changes,
    }


def parcel(number: int, quantity: int, **changes: Any) -> Json:
    return {
        "id": f"gid://shopify/Fulfillment/{number}",
        "name": f"#1-F{number}",
        "createdAt": "2026-03-02T12:00:00Z",
        "updatedAt": "2026-03-02T12:00:00Z",
        "deliveredAt": None,
        "status": "SUCCESS",
        "displayStatus": "FULFILLED",
        "totalQuantity": quantity,
        "trackingInfo": [{"company": "Royal Mail", "number": "AB1", "url": None}],
        **changes,
    }


def refund(number: int, amount: str, **changes: Any) -> Json:
    made = "2026-03-03T12:00:00Z"
    return {
        "id": f"gid://shopify/Refund/{number}",
        "createdAt": made,
        "updatedAt": made,
        "processedAt": made,
        "note": "broken",
        "totalRefundedSet": money(amount),
        **changes,
    }


def connection(nodes: Any, after: str | None = None) -> Json:
    return {
        "nodes": list(nodes),
        "pageInfo": {"hasNextPage": after is not None, "endCursor": after},
    }


def canonical(object_type: str, payload: Json, context: StoreContext = CONTEXT) -> list[Any]:
    return list(connector("shopify").canonical.to_canonical(object_type, payload, None, context))


def as_node(object_type: str, payload: bytes, shape: str) -> Json:
    """A kept payload in the shape that to_canonical reads."""
    found = json.loads(payload)
    if not shape or shape == "node":
        return found
    newer, upcast = to_canonical.UPCASTERS[(object_type, shape)]
    assert newer == connector("shopify").manifest.shape
    return upcast(found)
