"""Webhooks as each platform really sends them, rendered when the shop sends them.

Prevents a certificate that speaks to itself: topic, headers and body are those of recorded
deliveries (thin ones where a platform names an id alone), never a form of our own.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from crm_integration.sandbox.shop_rendering import customer_json, order_json, product_json
from crm_integration.sandbox.shop_state import OrderRecord, ShopState
from crm_integration.sandbox.shopify.orders import OrderView, refunds_of
from crm_integration.sandbox.shopify.people import person_of_account
from crm_integration.sandbox.shopify.products import product_view
from crm_integration.sandbox.shopify.rest_rendering import RestShapes
from crm_integration_tests.certificate.merchant import Merchant, Told


@dataclass(frozen=True)
class Sent:
    """One delivery of a tenant's shop."""

    tenant: str
    headers: Mapping[str, str] = field(repr=False)
    body: str = field(repr=False)


def deliveries(merchant: Merchant, told: Told) -> list[Sent]:
    """What the shop sends because of this; not every change has a webhook everywhere."""
    return list(_SENDERS[merchant.platform](merchant, told))


def _woocommerce(one: Merchant, told: Told) -> Iterator[Sent]:
    """An object's own topic; a refund is told as an action that names its order."""
    shop = one.shop
    if told.object_type == "refund":
        topic = "action.woocommerce_order_refunded"
        order_id = shop.refunds[told.key].order_id
        yield _woo(one, topic, {"action": "woocommerce_order_refunded", "arg": order_id})
        return
    body = {
        "order": lambda: order_json(shop, shop.orders[told.key]),
        "customer": lambda: customer_json(shop, shop.customers[told.key]),
        "product": lambda: product_json(shop, shop.products[told.key]),
    }[told.object_type]()
    event = "created" if told.event == "create" else "updated"
    yield _woo(one, f"{told.object_type}.{event}", body)


def _woo(one: Merchant, topic: str, body: Mapping[str, Any]) -> Sent:
    resource, _, event = topic.partition(".")
    raw = orjson.dumps(body)
    headers = {
        "x-wc-webhook-topic": topic, "x-wc-webhook-resource": resource,
        "x-wc-webhook-event": event, "x-wc-webhook-source": one.shop.settings.public_url,
        # Made of the webhook's id and the second: two objects share it.
        "x-wc-webhook-id": "1", "x-wc-webhook-delivery-id": f"1-{one.shop.now()}",
        "x-wc-webhook-signature": _signed(one, raw),
    }  # fmt: skip
    return Sent(one.name, headers, raw.decode())


def _signed(one: Merchant, raw: bytes) -> str:
    """As WooCommerce and Shopify sign: the raw bytes, in base64."""
    made = hmac.digest(one.shop.settings.consumer_secret.encode(), raw, "sha256")
    return base64.b64encode(made).decode()


_SHOPIFY_ORDER = {"create": "orders/create", "paid": "orders/paid", "cancelled": "orders/cancelled"}


def _shopify(one: Merchant, told: Told) -> Iterator[Sent]:
    shop, shapes = one.shop, RestShapes(one.shop)
    verb = "create" if told.event == "create" else "update"
    if told.object_type == "order":
        topic = _SHOPIFY_ORDER.get(told.event, "orders/updated")
        yield _shopify_sent(one, topic, shapes.order(_view(shop, told.key)))
    elif told.object_type == "refund":
        view = _view(shop, shop.refunds[told.key].order_id)
        back = next(found for found in refunds_of(view) if found.record.id == told.key)
        yield _shopify_sent(one, "refunds/create", shapes.refund(back))
    elif told.object_type == "shipment":
        parcel = shop.shipments[told.key]
        body = {"id": parcel.id, "order_id": parcel.order_id, "status": "success"}
        yield _shopify_sent(one, f"fulfillments/{verb}", body)
    elif told.object_type == "customer":
        yield from _shopify_customer(one, told, verb, shapes)
    elif told.object_type == "cart":
        cart = shop.carts[told.key]
        body = {"id": cart.id, "token": f"t{cart.id}", "currency": cart.currency}
        yield _shopify_sent(one, f"checkouts/{verb}", body)
    elif (product := product_view(shop, told.key)) is not None:
        yield _shopify_sent(one, f"products/{verb}", shapes.product(product))


def _shopify_customer(one: Merchant, told: Told, verb: str, shapes: RestShapes) -> Iterator[Sent]:
    account = one.shop.customers[told.key]
    body = shapes.customer(person_of_account(one.shop, account))
    if told.event == "consent":
        said = {"customer_id": told.key, "email_marketing_consent": body["email_marketing_consent"]}
        yield _shopify_sent(one, "customers_email_marketing_consent/update", said)
    yield _shopify_sent(one, f"customers/{verb}", body)


def _shopify_sent(one: Merchant, topic: str, body: Mapping[str, Any]) -> Sent:
    raw = orjson.dumps(body)
    headers = {
        "x-shopify-topic": topic, "x-shopify-shop-domain": f"{one.name}.myshopify.example",
        "x-shopify-api-version": "2026-10", "x-shopify-webhook-id": f"w-{one.rng.random()}",
        "x-shopify-triggered-at": "2026-01-01T00:00:00Z", "x-shopify-test": "false",
        "x-shopify-hmac-sha256": _signed(one, raw),
    }  # fmt: skip
    return Sent(one.name, headers, raw.decode())


def _view(shop: ShopState, key: int) -> OrderView:
    order: OrderRecord = shop.orders[key]
    return OrderView(shop, order)


def _api2cart(one: Merchant, told: Told) -> Iterator[Sent]:
    """Names alone. A refund and a parcel are told as an update of their order."""
    entity, key = told.object_type, told.key
    if entity == "refund":
        entity, key = "order", one.shop.refunds[key].order_id
    elif entity == "shipment":
        entity, key = "order", one.shop.shipments[key].order_id
    name = "order.abandoned" if entity == "cart" else entity
    action = "add" if told.event == "create" and entity == told.object_type else "update"
    headers = {
        "x-webhook-entity": name, "x-webhook-action": action, "x-webhook-id": "7",
        "x-webhook-timestamp": str(one.shop.now()), "x-webhook-store-id": "1",
    }  # fmt: skip
    yield Sent(one.name, headers, orjson.dumps({"id": str(key)}).decode())


_SENDERS: Mapping[str, Callable[[Merchant, Told], Iterator[Sent]]] = {
    "woocommerce": _woocommerce,
    "shopify": _shopify,
    "api2cart": _api2cart,
}
