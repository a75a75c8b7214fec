"""The HTTP face of one shop: WooCommerce REST v3 as recorded from version 11.0.1.

Prevents the failure where a connector meets its first real paging trap at a merchant: lists,
errors and headers here are those of the recordings, over real HTTP.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.shop_rendering import (
    customer_json,
    order_json,
    product_json,
    refund_json,
)
from crm_integration.sandbox.shop_state import Json, OrderRecord, ProductRecord, ShopState
from crm_integration.sandbox.woocommerce_answers import (
    cut,
    error_body,
    invalid_body,
    json_answer,
    json_body,
    only,
)
from crm_integration.sandbox.woocommerce_auth import OAuthGate, Refusal
from crm_integration.sandbox.woocommerce_queries import (
    InvalidParameter,
    Page,
    dated,
    ids_in,
    one_of,
    order_page,
    paging,
    paging_headers,
)

_ROOT = "/wp-json/wc/v3"
Handler = Callable[[Request], Awaitable[Response]]


class WooCommerceApp:
    """Routes for one `ShopState`; `app` is the ASGI application."""

    def __init__(self, shop: ShopState) -> None:
        self.shop = shop
        self._gate = OAuthGate(shop.settings.consumer_key, shop.settings.consumer_secret)
        self.app = Starlette(routes=self._routes())

    def _routes(self) -> list[Route]:
        def route(path: str, handler: Handler, *methods: str) -> Route:
            return Route(_ROOT + path, self._guarded(handler), methods=list(methods) or ["GET"])

        return [
            Route("/wp-json/", self._index),
            route("/orders", self._orders),
            route("/orders", self._create_order, "POST"),
            route("/orders/{order:int}", self._order),
            route("/orders/{order:int}", self._edit_order, "PUT", "POST", "PATCH"),
            route("/orders/{order:int}", self._delete_order, "DELETE"),
            route("/orders/{order:int}/refunds", self._order_refunds),
            route("/orders/{order:int}/refunds", self._create_refund, "POST"),
            route("/orders/{order:int}/refunds/{refund:int}", self._order_refund),
            route("/refunds", self._refunds),
            route("/customers", self._customers),
            route("/customers", self._create_customer, "POST"),
            route("/customers/{customer:int}", self._customer),
            route("/customers/{customer:int}", self._edit_customer, "PUT", "POST", "PATCH"),
            route("/customers/{customer:int}", self._delete_customer, "DELETE"),
            route("/products", self._products),
            route("/products/{product:int}", self._product),
            route("/products/{product:int}/variations", self._variations),
            route("/settings/general/woocommerce_currency", self._currency),
            route("/webhooks", self._webhooks),
            route("/webhooks", self._create_webhook, "POST"),
            route("/webhooks/{webhook:int}", self._webhook),
            route("/webhooks/{webhook:int}", self._edit_webhook, "PUT", "POST", "PATCH"),
            route("/webhooks/{webhook:int}", self._delete_webhook, "DELETE"),
            Route("/wp-json/{rest:path}", self._no_route, methods=["GET", "POST", "PUT", "DELETE"]),
        ]

    def _guarded(self, handler: Handler) -> Handler:
        async def guarded(request: Request) -> Response:
            refusal = self._gate.refusal(request)
            if refusal is not None:
                return self._refused(refusal)
            try:
                return await handler(request)
            except InvalidParameter as wrong:
                return self._json(invalid_body(wrong), status=400)
            except shop_edits.Refused as refused:
                body = error_body(refused.code, str(refused), refused.status)
                return self._json(body, refused.status)

        return guarded

    def _refused(self, refusal: Refusal) -> Response:
        return self._json(error_body(refusal.code, refusal.message, 401), 401)

    def _json(
        self, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> Response:
        return json_answer(self.shop.settings.public_url, body, status, headers)

    async def _index(self, request: Request) -> Response:
        settings = self.shop.settings
        hours = settings.utc_offset_minutes / 60
        return self._json({
            "name": settings.name,
            "description": "",
            "url": settings.public_url,
            "home": settings.public_url,
            "gmt_offset": f"{hours:g}",
            "timezone_string": "",
            "namespaces": ["oembed/1.0", "wc/v1", "wc/v2", "wc/v3", "wp/v2"],
            "authentication": {},
            "routes": {},
        })  # fmt: skip

    async def _no_route(self, request: Request) -> Response:
        message = "No route was found matching the URL and request method."
        return self._json(error_body("rest_no_route", message, 404), 404)

    def _listed(self, request: Request, page: Page, render: Callable[[int], Json]) -> Response:
        params = request.query_params
        headers = paging_headers(
            self.shop, request.url.path, list(params.multi_items()), paging(params), page
        )
        rows = [only(render(key), params.get("_fields", "")) for key in page.keys]
        return self._json(rows, headers=headers)

    def _one(self, request: Request, body: Json, status: int = 200) -> Response:
        return self._json(only(body, request.query_params.get("_fields", "")), status)

    # Orders and refunds

    def _held_order(self, request: Request) -> OrderRecord:
        return shop_edits.held_order(self.shop, request.path_params["order"])

    async def _orders(self, request: Request) -> Response:
        page = order_page(self.shop, request.query_params)
        return self._listed(request, page, lambda key: order_json(self.shop, self.shop.orders[key]))

    async def _order(self, request: Request) -> Response:
        return self._one(request, order_json(self.shop, self._held_order(request)))

    async def _create_order(self, request: Request) -> Response:
        order = shop_edits.create_order(self.shop, await json_body(request))
        return self._one(request, order_json(self.shop, order), 201)

    async def _edit_order(self, request: Request) -> Response:
        order = shop_edits.edit_order(
            self.shop, self._held_order(request), await json_body(request)
        )
        return self._one(request, order_json(self.shop, order))

    async def _delete_order(self, request: Request) -> Response:
        order = self._held_order(request)
        answer = order_json(self.shop, order)
        if request.query_params.get("force", "").lower() in {"true", "1"}:
            self.shop.delete_order(order)
        else:
            self.shop.trash(order)
        return self._one(request, answer)

    async def _order_refunds(self, request: Request) -> Response:
        newest = sorted(self._held_order(request).refunds, key=lambda r: (-r.at, -r.id))
        return self._refund_list(request, [refund.id for refund in newest], alone=False)

    async def _refunds(self, request: Request) -> Response:
        params = request.query_params
        one_of(params, "orderby", ("id", "date", "modified", "include", "title", "slug"), "date")
        include, in_time = ids_in(params, "include"), dated(self.shop, params)
        found = [
            refund for refund in self.shop.refunds.values()
            if in_time(refund) and (include is None or refund.id in include)
        ]  # fmt: skip
        found.sort(key=lambda one: (one.at, one.id), reverse=paging(params).descending)
        return self._refund_list(request, [refund.id for refund in found], alone=True)

    def _refund_list(self, request: Request, keys: list[int], *, alone: bool) -> Response:
        return self._listed(
            request,
            cut(request, keys),
            lambda key: refund_json(self.shop, self.shop.refunds[key], listed_alone=alone),
        )

    async def _order_refund(self, request: Request) -> Response:
        order = self._held_order(request)
        refund = self.shop.refunds.get(request.path_params["refund"])
        if refund is None or refund.order_id != order.id:
            raise shop_edits.Refused(
                "Invalid refund ID.", "woocommerce_rest_invalid_order_refund_id", 404
            )
        return self._one(request, refund_json(self.shop, refund))

    async def _create_refund(self, request: Request) -> Response:
        order = self._held_order(request)
        refund = shop_edits.create_refund(self.shop, order, await json_body(request))
        return self._one(request, refund_json(self.shop, refund), 201)

    # Customers

    async def _customers(self, request: Request) -> Response:
        """Only accounts; `modified_after` is not a parameter here and so is ignored."""
        params = request.query_params
        orderby = one_of(params, "orderby", ("id", "include", "name", "registered_date"), "name")
        role, email = params.get("role", "customer"), params.get("email", "").lower()
        include, exclude = ids_in(params, "include"), ids_in(params, "exclude")
        held = self.shop.customers
        keys = [
            key for key in sorted(held)
            if role in {"customer", "all"}
            and (include is None or key in include)
            and (exclude is None or key not in exclude)
            and (not email or shop_edits.email_of(self.shop, held[key]).lower() == email)
        ]  # fmt: skip
        if orderby == "registered_date":
            keys.sort(key=lambda key: held[key].created)
        if orderby == "name":
            keys.sort(key=lambda key: shop_edits.email_of(self.shop, held[key]).lower())
        descending = one_of(params, "order", ("asc", "desc"), "asc") == "desc"
        page = cut(request, keys[::-1] if descending else keys)
        return self._listed(request, page, lambda key: customer_json(self.shop, held[key]))

    async def _customer(self, request: Request) -> Response:
        held = shop_edits.held_customer(self.shop, request.path_params["customer"])
        return self._one(request, customer_json(self.shop, held))

    async def _create_customer(self, request: Request) -> Response:
        customer = shop_edits.create_customer(self.shop, await json_body(request))
        return self._one(request, customer_json(self.shop, customer), 201)

    async def _edit_customer(self, request: Request) -> Response:
        held = shop_edits.held_customer(self.shop, request.path_params["customer"])
        edited = shop_edits.edit_customer(self.shop, held, await json_body(request))
        return self._one(request, customer_json(self.shop, edited))

    async def _delete_customer(self, request: Request) -> Response:
        held = shop_edits.held_customer(self.shop, request.path_params["customer"])
        answer = customer_json(self.shop, held)
        if request.query_params.get("force", "").lower() not in {"true", "1"}:
            raise shop_edits.Refused(
                "Customers do not support trashing.", "woocommerce_rest_trash_not_supported", 501
            )
        del self.shop.customers[held.id]
        return self._one(request, answer)

    # Products and the rest

    async def _products(self, request: Request) -> Response:
        params, held = request.query_params, self.shop.products
        orderby = one_of(params, "orderby", ("id", "date", "modified", "title", "include"), "date")
        include, sku = ids_in(params, "include"), params.get("sku")
        in_time = dated(self.shop, params)
        keys = [
            key for key in sorted(held)
            if (include is None or key in include)
            and (sku is None or held[key].sku == sku)
            and in_time(held[key])
        ]  # fmt: skip
        if orderby in {"date", "modified"}:
            keys.sort(key=lambda key: (held[key].modified, key))
        page = cut(request, keys[::-1] if paging(params).descending else keys)
        return self._listed(request, page, lambda key: product_json(self.shop, held[key]))

    async def _product(self, request: Request) -> Response:
        return self._one(request, product_json(self.shop, self._held_product(request)))

    def _held_product(self, request: Request) -> ProductRecord:
        held = self.shop.products.get(request.path_params["product"])
        if held is None:
            raise shop_edits.Refused("Invalid ID.", "woocommerce_rest_product_invalid_id", 404)
        return held

    async def _variations(self, request: Request) -> Response:
        self._held_product(request)
        return self._listed(request, cut(request, []), lambda key: {})

    async def _currency(self, request: Request) -> Response:
        value = self.shop.settings.currency
        return self._json({
            "id": "woocommerce_currency", "label": "Currency", "type": "select",
            "default": "USD", "value": value, "group_id": "general",
        })  # fmt: skip

    async def _webhooks(self, request: Request) -> Response:
        """Newest first unless asked otherwise; the secret is never shown."""
        params, held = request.query_params, self.shop.webhooks
        one_of(params, "orderby", ("date", "id", "title"), "date")
        status = one_of(params, "status", ("all", *shop_edits.HOOK_STATES), "all")
        keys = [key for key in sorted(held) if status in {"all", held[key]["status"]}]
        descending = one_of(params, "order", ("asc", "desc"), "desc") == "desc"
        page = cut(request, keys[::-1] if descending else keys)
        return self._listed(request, page, lambda key: shop_edits.webhook_json(held[key]))

    async def _webhook(self, request: Request) -> Response:
        return self._json(shop_edits.webhook_json(self._held_webhook(request)))

    async def _create_webhook(self, request: Request) -> Response:
        made = shop_edits.create_webhook(self.shop, await json_body(request))
        return self._json(shop_edits.webhook_json(made), 201)

    def _held_webhook(self, request: Request) -> Json:
        held = self.shop.webhooks.get(request.path_params["webhook"])
        if held is None:
            raise shop_edits.Refused("Invalid ID.", "woocommerce_rest_shop_webhook_invalid_id", 404)
        return held

    async def _edit_webhook(self, request: Request) -> Response:
        held = self._held_webhook(request)
        shop_edits.edit_webhook(held, await json_body(request))
        return self._json(shop_edits.webhook_json(held))

    async def _delete_webhook(self, request: Request) -> Response:
        held = self._held_webhook(request)
        if request.query_params.get("force", "").lower() not in {"true", "1"}:
            raise shop_edits.Refused(
                "Webhooks do not support trashing.", "woocommerce_rest_trash_not_supported", 501
            )
        del self.shop.webhooks[held["id"]]
        return self._json(shop_edits.webhook_json(held))
