"""The legacy REST paths that `ShopifyAPI` needs: lists by since_id and page_info, reads, counts.

Prevents the failure of a list that ends too early: the next page is told in the Link header, and
a page_info goes with a limit and nothing else.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, cast
from urllib.parse import urlencode

import orjson

from crm_integration.sandbox.shopify.call import Call, Operation
from crm_integration.sandbox.shopify.listing import BadPage, Page, Sorted
from crm_integration.sandbox.shopify.lists import (
    customers_listing,
    orders_listing,
    products_listing,
)
from crm_integration.sandbox.shopify.orders import OrderView, refunds_of
from crm_integration.sandbox.shopify.rest_rendering import RestShapes

Json = dict[str, Any]
Answer = tuple[int, Any, dict[str, str]]
_LIMIT_HEADER = {"X-Shopify-Shop-Api-Call-Limit": "1/400"}
_BOUNDS = {"_at_min": ">=", "_at_max": "<="}
_PAGE_ALONE = {"limit", "fields", "page_info"}


@dataclass(frozen=True, slots=True)
class _Resource:
    """One kind of thing: its names, its list, its shape and the scope it needs."""

    one: str
    many: str
    listing: Callable[[Call], Sorted]
    shape: Callable[[RestShapes], Callable[[Any], Json]]
    scope: str


_RESOURCES: Mapping[str, _Resource] = {
    one.many: one
    for one in (
        _Resource("order", "orders", orders_listing, lambda held: held.order, "read_orders"),
        _Resource(
            "customer", "customers", customers_listing, lambda held: held.customer, "read_customers"
        ),
        _Resource(
            "product", "products", products_listing, lambda held: held.product, "read_products"
        ),
    )
}


class _BadParameter(ValueError):
    """A parameter that REST refuses; `name` is its name."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


class RestFace:
    """Answers a GET by path and parameters; `operation` opens a view of the shop."""

    def __init__(self, operation: Callable[[str, str], Operation]) -> None:
        self._operation = operation

    def answer(self, version: str, path: str, params: Mapping[str, str], base: str) -> Answer:
        """Status, body and headers."""
        operation = self._operation(version, base)
        shapes = RestShapes(operation.shop)
        found = re.fullmatch(r"(\w+)(?:/(count|\d+)(/refunds)?)?\.json", path)
        if found and path == "shop.json":
            return 200, {"shop": shapes.shop()}, dict(_LIMIT_HEADER)
        resource = _RESOURCES.get(found[1]) if found else None
        if found is None or resource is None or (found[3] and resource.one != "order"):
            return 404, {"errors": "Not Found"}, {}
        if resource.scope not in operation.scopes:
            told = f"[API] This action requires merchant approval for {resource.scope} scope."
            return 403, {"errors": told}, {}
        try:
            if found[2] == "count":
                return 200, {"count": _listing(resource, operation, params).count(None)}, {}
            if found[2]:
                return _single(resource, operation, shapes, int(found[2]), bool(found[3]))
            address = f"{base}/admin/api/{version}/{path}"
            return _page(resource, operation, shapes, params, address)
        except _BadParameter as wrong:
            return 400, {"errors": {wrong.name: str(wrong)}}, {}


def _query(params: Mapping[str, str]) -> str:
    """REST's filters in the search syntax."""
    terms: list[str] = []
    for name, value in params.items():
        for ending, sign in _BOUNDS.items():
            if name.endswith(ending):
                field = name.removesuffix(ending) + "_at"
                terms.append(f"{field}:{sign}'{value}'")
        if name == "ids":
            terms.append(f"id:{value}")
        if name == "since_id":
            terms.append(f"id:>{value}")
    return " AND ".join(terms)


def _listing(resource: _Resource, operation: Operation, params: Mapping[str, str]) -> Sorted:
    """By id, newest first; with since_id oldest first. Only open orders, if no status is told."""
    terms = [_query(params)]
    if resource.one == "order":
        status = params.get("status", "open")
        terms += [] if status == "any" else [f"status:{status}"]
        financial = params.get("financial_status", "any")
        terms += [] if financial == "any" else [f"financial_status:{financial}"]
    query = " AND ".join(term for term in terms if term)
    args = {"query": query, "sortKey": "ID", "reverse": "since_id" not in params}
    return resource.listing(Call(operation, args))


def _page(
    resource: _Resource,
    operation: Operation,
    shapes: RestShapes,
    params: Mapping[str, str],
    address: str,
) -> Answer:
    limit = params.get("limit", "50")
    if not limit.isdigit() or not 1 <= int(limit) <= 250:
        raise _BadParameter("limit", "must be between 1 and 250")
    place: Json = {}
    filters = {k: v for k, v in params.items() if k not in _PAGE_ALONE}
    if "page_info" in params:
        if filters:
            raise _BadParameter("page_info", "cannot be used with other filters")
        place = _place(params["page_info"])
        filters = cast(dict[str, str], place.pop("filters"))
    backwards = "before" in place
    page = Page(
        first=None if backwards else int(limit),
        last=int(limit) if backwards else None,
        after=place.get("after"),
        before=place.get("before"),
        reverse=False,
    )
    listing = _listing(resource, operation, filters)
    try:
        window = listing.window(page)
    except BadPage as wrong:
        raise _BadParameter("page_info", "Invalid value.") from wrong
    links = [
        _link(address, limit, {"filters": filters, side: window.cursor(at)}, rel)
        for there, side, at, rel in (
            (window.has_previous, "before", 0, "previous"),
            (window.has_next, "after", -1, "next"),
        )
        if there and window.nodes
    ]
    shape = resource.shape(shapes)
    rows = [_only(shape(one), params.get("fields", "")) for one in window.nodes]
    headers = {**_LIMIT_HEADER, **({"Link": ", ".join(links)} if links else {})}
    return 200, {resource.many: rows}, headers


def _link(address: str, limit: str, place: Json, rel: str) -> str:
    token = base64.urlsafe_b64encode(orjson.dumps(place)).decode()
    return f'<{address}?{urlencode({"limit": limit, "page_info": token})}>; rel="{rel}"'


def _place(token: str) -> Json:
    try:
        place: Any = orjson.loads(base64.urlsafe_b64decode(token))
    except (binascii.Error, ValueError) as wrong:
        raise _BadParameter("page_info", "Invalid value.") from wrong
    if not isinstance(place, dict) or "filters" not in place:
        raise _BadParameter("page_info", "Invalid value.")
    return cast(Json, place)


def _single(
    resource: _Resource, operation: Operation, shapes: RestShapes, key: int, refunds: bool
) -> Answer:
    args = {"query": f"id:{key}", "sortKey": "ID"}
    found = next(resource.listing(Call(operation, args)).everything(), None)
    if found is None:
        return 404, {"errors": "Not Found"}, {}
    if refunds and isinstance(found, OrderView):
        return 200, {"refunds": [shapes.refund(one) for one in refunds_of(found)]}, {}
    return 200, {resource.one: resource.shape(shapes)(found)}, dict(_LIMIT_HEADER)


def _only(body: Json, fields: str) -> Json:
    wanted = {name.strip() for name in fields.split(",") if name.strip()}
    return {name: value for name, value in body.items() if name in wanted} if wanted else body
