"""The HTTP face of a shop that speaks Shopify: GraphQL, the files of bulk operations, some REST.

Prevents the failure where a connector meets its first throttled, denied or half-answered query at
a merchant: all of them are HTTP 200 there, and so here.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any, cast

import orjson
from graphql import DocumentNode, GraphQLError, OperationDefinitionNode, parse
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify import cost, refusals
from crm_integration.sandbox.shopify.bulk import BulkHabits, BulkOperations
from crm_integration.sandbox.shopify.call import ALL_ORDERS, Operation
from crm_integration.sandbox.shopify.execute import renderer
from crm_integration.sandbox.shopify.plan import Planned, Planner
from crm_integration.sandbox.shopify.rest import RestFace
from crm_integration.sandbox.shopify.schema import NAMED, VERSIONS, all_tables
from crm_integration.sandbox.shopify.subscriptions import Subscriptions

Json = dict[str, Any]
ALL_SCOPES = frozenset({"read_orders", ALL_ORDERS, "read_customers", "read_products"})
_NO_TOKEN = {
    "errors": "[API] Invalid API key or access token (unrecognized login or wrong password)"
}
_VERSION = re.compile(r"\d{4}-\d{2}|unstable")


class ShopifyApp:
    """Routes for one `ShopState`; `app` is the ASGI application.

    `scopes`, `bucket`, `bulk.habits` and `serves` (a version that is answered whatever was asked
    for) may be changed at any time and hold from the next call on.
    """

    def __init__(
        self,
        shop: ShopState,
        *,
        scopes: frozenset[str] = ALL_SCOPES,
        maximum: float = 20_000.0,
        restore_rate: float = 1_000.0,
        habits: BulkHabits | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.shop, self.scopes = shop, scopes
        self.bucket = cost.Bucket(clock, maximum, restore_rate)
        self.bulk = BulkOperations(shop.now, habits)
        self.serves: str | None = None
        self._subscriptions = Subscriptions(shop)
        self._tables = all_tables()
        self._rest = RestFace(self.operation)
        self.app = Starlette(routes=[
            Route("/admin/oauth/access_token", self._token, methods=["POST"]),
            Route("/admin/api/{version}/graphql.json", self._graphql, methods=["POST"]),
            Route("/bulk/{secret}.jsonl", self._file),
            Route("/admin/api/{version}/{path:path}", self._rest_call),
        ])  # fmt: skip

    def operation(self, version: str, base_url: str) -> Operation:
        """A fresh view of the shop for one call."""
        return Operation(self.shop, self.scopes, self.bulk, self._subscriptions, version, base_url)

    def _version(self, request: Request) -> str | None:
        """What is served for the version asked for; None for one that never was."""
        asked = request.path_params["version"]
        if not _VERSION.fullmatch(asked) or (asked != "unstable" and asked > VERSIONS[-1]):
            return None
        return self.serves or max(asked, VERSIONS[0])

    def _refusal(self, request: Request) -> Response | None:
        token = request.headers.get("x-shopify-access-token", "")
        desk = self.shop.desk
        known = token == self.shop.settings.consumer_secret or (desk and desk.knows(token))
        if not known:
            return _json(_NO_TOKEN, 401)
        return None if self._version(request) else _json({"errors": "Not Found"}, 404)

    async def _token(self, request: Request) -> Response:
        """Where an app's tokens come from; a shop without such an app has no such path."""
        desk = self.shop.desk
        return _json({"errors": "Not Found"}, 404) if desk is None else await desk.token(request)

    async def _graphql(self, request: Request) -> Response:
        if refused := self._refusal(request):
            return refused
        body = await _body(request)
        if body is None:
            return _json({"errors": {"query": "Required parameter missing or invalid"}}, 400)
        version = self._version(request) or ""
        operation = self.operation(version, str(request.base_url).rstrip("/"))
        return _versioned(_json(self._answer(operation, body)), version)

    def _answer(self, operation: Operation, body: Json) -> Json:
        try:
            document = _parsed(str(body["query"]))
            definition = _chosen(document, body.get("operationName"))
            variables = cast(Json, body.get("variables") or {})
            planner = Planner(self._tables, document, operation, variables)
            return self._run(operation, definition, planner.plan(definition))
        except GraphQLError as wrong:
            where = [{"line": one.line, "column": one.column} for one in wrong.locations or []]
            return {"errors": [{"message": wrong.message, "locations": where}]}
        except refusals.Refused as refused:
            answer: Json = {"data": None} if refused.with_data else {}
            return {"errors": refused.errors, **answer}

    def _run(
        self, operation: Operation, definition: OperationDefinitionNode, roots: list[Planned]
    ) -> Json:
        mutates = definition.operation.value == "mutation"
        asked = cost.MUTATION_COST * len(roots) if mutates else cost.requested(roots)
        if asked > cost.MAX_QUERY_COST:
            return {"errors": [refusals.too_dear(asked, cost.MAX_QUERY_COST)]}
        if not self.bucket.take(asked):
            told = self.bucket.told(asked, None)
            return {"errors": [refusals.throttled()], "extensions": {"cost": told}}
        answer: Json = {}
        try:
            answer["data"] = renderer(roots, NAMED)(None)
        except refusals.Refused as refused:
            answer = {"errors": refused.errors, "data": None}
        paid = asked if mutates else min(asked, cost.actual(roots))
        self.bucket.give_back(asked - paid)
        if operation.errors:
            answer["errors"] = [*answer.get("errors", []), *operation.errors]
        extensions: Json = {"cost": self.bucket.told(asked, paid)}
        if operation.warnings:
            extensions["search"] = operation.warnings
        return {**answer, "extensions": extensions}

    async def _file(self, request: Request) -> Response:
        """The secret in the address is the only key, as in a signed link."""
        run = self.bulk.file(request.path_params["secret"])
        if run is None or run.status == "CANCELED":
            return Response(status_code=404)
        return StreamingResponse(
            run.chunks(),
            media_type="application/jsonl",
            headers={"Content-Length": str(run.file_size)},
        )

    async def _rest_call(self, request: Request) -> Response:
        if refused := self._refusal(request):
            return refused
        version = self._version(request) or ""
        status, body, headers = await asyncio.to_thread(
            self._rest.answer, version, request.path_params["path"],
            dict(request.query_params), str(request.base_url).rstrip("/"),
        )  # fmt: skip
        answer = _json(body, status)
        answer.headers.update(headers)
        return _versioned(answer, version)


def _json(body: Any, status: int = 200) -> Response:
    return Response(
        orjson.dumps(body), status_code=status, media_type="application/json; charset=utf-8"
    )


def _versioned(answer: Response, version: str) -> Response:
    answer.headers["X-Shopify-API-Version"] = version
    return answer


async def _body(request: Request) -> Json | None:
    try:
        body: Any = orjson.loads(await request.body())
    except orjson.JSONDecodeError:
        return None
    held = cast(Json, body) if isinstance(body, dict) else {}
    return held if isinstance(held.get("query"), str) else None


@lru_cache(maxsize=256)
def _parsed(query: str) -> DocumentNode:
    """A parsed document is never changed, so the same text need not be parsed twice."""
    return parse(query)


def _chosen(document: DocumentNode, name: Any) -> OperationDefinitionNode:
    found = [one for one in document.definitions if isinstance(one, OperationDefinitionNode)]
    if name:
        found = [one for one in found if one.name and one.name.value == name]
    if len(found) != 1:
        raise refusals.Refused([refusals.error(
            f'No operation named "{name}"' if name else "An operation name is required",
            None, None)])  # fmt: skip
    return found[0]
