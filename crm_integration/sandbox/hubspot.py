"""The HTTP face of one HubSpot account: token, quotas, objects, properties, associations.

Prevents the failure where a connector's first meeting with limits, partial batches and lagging
search happens in a merchant's account. Built from public documentation and recorded behaviour.
"""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.sandbox.hubspot_answers import (
    Refused,
    answer,
    batch_answer,
    inputs_of,
    json_body,
    not_found,
    now_text,
    refused_value,
)
from crm_integration.sandbox.hubspot_associations import AssociationEndpoints
from crm_integration.sandbox.hubspot_limits import Quotas, Throttled
from crm_integration.sandbox.hubspot_merges import MergeEndpoint
from crm_integration.sandbox.hubspot_objects import ObjectEndpoints, kind_of
from crm_integration.sandbox.portal_properties import Json, Property, defined
from crm_integration.sandbox.portal_state import AlreadyExists, InvalidValue, PortalState

Handler = Callable[[Request], Awaitable[Response]]


class HubSpotApp:
    """Routes for one `PortalState`; `app` is the ASGI application."""

    def __init__(self, portal: PortalState) -> None:
        self.portal = portal
        self._quotas = Quotas(portal)
        self._groups: dict[str, set[str]] = {}
        self.app = Starlette(routes=self._routes())

    def _routes(self) -> list[Route]:
        objects, links = ObjectEndpoints(self.portal), AssociationEndpoints(self.portal)

        def route(path: str, method: str, handler: Handler) -> Route:
            return Route(path, self._guarded(handler), methods=[method])

        one_kind, pair = "/crm/v3/objects/{kind}", "/crm/v4/associations/{start}/{end}/batch"
        properties = "/crm/v3/properties/{kind}"
        linked = "/crm/v4/objects/{start}/{key}/associations"
        return [
            *self._login_routes(),
            route("/account-info/v3/details", "GET", self._account),
            route(f"{one_kind}/batch/read", "POST", objects.batch_read),
            route(f"{one_kind}/batch/create", "POST", objects.batch_create),
            route(f"{one_kind}/batch/update", "POST", objects.batch_update),
            route(f"{one_kind}/batch/upsert", "POST", objects.batch_upsert),
            route(f"{one_kind}/batch/archive", "POST", objects.batch_archive),
            route(f"{one_kind}/search", "POST", objects.search),
            route(f"{one_kind}/merge", "POST", MergeEndpoint(self.portal).merge),
            route(one_kind, "GET", objects.list),
            route(one_kind, "POST", objects.create),
            route(f"{one_kind}/{{key}}", "GET", objects.get),
            route(f"{one_kind}/{{key}}", "PATCH", objects.update),
            route(f"{one_kind}/{{key}}", "DELETE", objects.archive),
            route(properties, "GET", self._properties),
            route(properties, "POST", self._create_property),
            route(f"{properties}/batch/create", "POST", self._create_properties),
            route(f"{properties}/groups", "POST", self._create_group),
            route(f"{properties}/{{name}}", "GET", self._property),
            route(f"{pair}/associate/default", "POST", links.associate_default),
            route(f"{pair}/create", "POST", links.create),
            route(f"{pair}/read", "POST", links.read),
            route(f"{pair}/archive", "POST", links.archive),
            route(f"{linked}/{{end}}", "GET", links.of_record),
            route(f"{linked}/default/{{end}}/{{other}}", "PUT", links.put_default),
        ]

    def _login_routes(self) -> list[Route]:
        """Where an app's tokens come from, in an account that has such an app."""
        desk = self.portal.desk
        if desk is None:
            return []
        return [
            Route("/oauth/authorize", desk.authorize, methods=["GET"]),
            Route("/oauth/v3/token", desk.token, methods=["POST"]),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            try:
                self._authenticate(request)
                search = request.url.path.endswith("/search")
                throttled = self._quotas.refuse(search=search)
                if throttled is not None:
                    return _too_many(throttled)
                response = await handler(request)
            except Refused as refused:
                response, search = answer(refused.body(), refused.status), False
            if not search:
                response.headers.update(self._quotas.headers())
            return response

        return guarded

    def _authenticate(self, request: Request) -> None:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        desk = self.portal.desk
        known = token == self.portal.settings.token or (desk is not None and desk.knows(token))
        if scheme.lower() != "bearer" or not known:
            raise Refused(
                401,
                "INVALID_AUTHENTICATION",
                "Authentication credentials not found. This API supports OAuth 2.0 authentication"
                " and you can find more details at"
                " https://developers.hubspot.com/docs/methods/auth/oauth-overview",
            )

    async def _account(self, request: Request) -> Response:
        return answer({
            "portalId": self.portal.settings.portal_id,
            "accountType": "STANDARD",
            "timeZone": "Europe/London",
            "companyCurrency": "GBP",
            "additionalCurrencies": [],
            "utcOffset": "+00:00",
            "utcOffsetMilliseconds": 0,
            "uiDomain": "app.hubspot.com",
            "dataHostingLocation": "eu1",
        })  # fmt: skip

    async def _properties(self, request: Request) -> Response:
        known = self.portal.definitions(kind_of(request))
        return answer({"results": [known[name].json() for name in sorted(known)]})

    async def _property(self, request: Request) -> Response:
        found = self.portal.definitions(kind_of(request)).get(request.path_params["name"])
        if found is None:
            raise not_found()
        return answer(found.json())

    async def _create_property(self, request: Request) -> Response:
        kind = kind_of(request)
        return answer(self._define(kind, await json_body(request)).json(), 201)

    async def _create_properties(self, request: Request) -> Response:
        kind, started = kind_of(request), now_text()
        made: list[Json] = []
        for one in inputs_of(await json_body(request), 100):
            made.append(self._define(kind, one).json())
        return batch_answer(made, [], started=started, created=True)

    async def _create_group(self, request: Request) -> Response:
        """A property can name a group only after it was made."""
        kind, body = kind_of(request), await json_body(request)
        name = str(body.get("name", ""))
        groups = self._groups.setdefault(kind, set())
        if name in groups:
            raise Refused(
                409, "OBJECT_ALREADY_EXISTS", f"A property group named '{name}' already exists."
            )
        groups.add(name)
        return answer({"name": name, "label": body.get("label", name), "archived": False}, 201)

    def _define(self, kind: str, body: Json) -> Property:
        try:
            definition = defined(body)
            self.portal.define(kind, definition)
        except InvalidValue as wrong:
            raise refused_value(wrong) from wrong
        except AlreadyExists as twin:
            raise Refused(
                409, "OBJECT_ALREADY_EXISTS",
                f"A property named '{twin.name}' already exists.",
                subCategory="Properties.PROPERTY_EXISTS",
            ) from twin  # fmt: skip
        return definition


def _too_many(throttled: Throttled) -> Response:
    body: Json = {
        "status": "error",
        "message": throttled.message,
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid.uuid4()),
        "policyName": throttled.policy,
        "category": "RATE_LIMITS",
    }
    return answer(body, 429, {"Retry-After": str(throttled.retry_after)})
