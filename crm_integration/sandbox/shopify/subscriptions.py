"""Webhook subscriptions: kept, listed, made and deleted; nothing is delivered from here.

Prevents the failure of a watchdog that never saw a subscription missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from crm_integration.sandbox.shop_state import Json, ShopState
from crm_integration.sandbox.shopify.call import Call
from crm_integration.sandbox.shopify.listing import Sorted
from crm_integration.sandbox.shopify.types import FieldTable, asked, connection, plain
from crm_integration.sandbox.shopify.values import gid, gid_parts, moment

#: The topics of what this shop holds, of Shopify's own some 200.
TOPICS = frozenset({
    "APP_UNINSTALLED", "BULK_OPERATIONS_FINISH", "CARTS_CREATE", "CARTS_UPDATE",
    "CHECKOUTS_CREATE", "CHECKOUTS_DELETE", "CHECKOUTS_UPDATE", "CUSTOMERS_CREATE",
    "CUSTOMERS_DELETE", "CUSTOMERS_DISABLE", "CUSTOMERS_EMAIL_MARKETING_CONSENT_UPDATE",
    "CUSTOMERS_ENABLE", "CUSTOMERS_MERGE", "CUSTOMERS_UPDATE", "FULFILLMENTS_CREATE",
    "FULFILLMENTS_UPDATE", "ORDERS_CANCELLED", "ORDERS_CREATE", "ORDERS_DELETE", "ORDERS_EDITED",
    "ORDERS_FULFILLED", "ORDERS_PAID", "ORDERS_PARTIALLY_FULFILLED", "ORDERS_UPDATED",
    "ORDER_TRANSACTIONS_CREATE", "PRODUCTS_CREATE", "PRODUCTS_DELETE", "PRODUCTS_UPDATE",
    "REFUNDS_CREATE", "SHOP_UPDATE",
})  # fmt: skip
_KIND = "WebhookSubscription"


class Subscriptions:
    """The subscriptions of one shop; they live in the shop's state."""

    def __init__(self, shop: ShopState) -> None:
        self._shop = shop

    def find(self, key: int) -> Json | None:
        held = self._shop.webhooks.get(key)
        return held if held is not None and "uri" in held else None

    def listing(self, call: Call) -> Sorted:
        topics, uri = call.args.get("topics"), call.args.get("uri")

        def view(key: int) -> Json | None:
            held = self.find(key)
            if held is None or (topics and held["topic"] not in topics):
                return None
            return None if uri and held["uri"] != uri else held

        pairs = [(key, key) for key in sorted(self._shop.webhooks)]
        return Sorted(pairs, view, bool(call.args.get("reverse")))

    def create(self, topic: str, given: Mapping[str, Any]) -> Json:
        """The payload of webhookSubscriptionCreate."""
        uri = str(given.get("uri") or given.get("callbackUrl") or "")
        problem = self._problem(topic, uri)
        if problem:
            told = {"field": ["webhookSubscription", "callbackUrl"], "message": problem}
            return {"webhookSubscription": None, "userErrors": [told]}
        key, now = self._shop.next_id("webhook"), self._shop.now()
        self._shop.webhooks[key] = {
            "id": key, "topic": topic, "uri": uri, "created": now, "updated": now,
            "format": given.get("format") or "JSON", "filter": given.get("filter"),
            "includeFields": given.get("includeFields") or [], "name": given.get("name"),
        }  # fmt: skip
        return {"webhookSubscription": self._shop.webhooks[key], "userErrors": []}

    def delete(self, text: str) -> Json:
        """The payload of webhookSubscriptionDelete."""
        parts = gid_parts(text)
        if parts is None or parts[0] != _KIND or self.find(parts[1]) is None:
            told = {"field": ["id"], "message": "Webhook subscription does not exist"}
            return {"deletedWebhookSubscriptionId": None, "userErrors": [told]}
        del self._shop.webhooks[parts[1]]
        return {"deletedWebhookSubscriptionId": text, "userErrors": []}

    def _problem(self, topic: str, uri: str) -> str:
        place = urlsplit(uri)
        if not place.hostname:
            return "Address is invalid"
        if place.scheme != "https" and place.hostname not in {"127.0.0.1", "localhost"}:
            return f"Address protocol {place.scheme}:// is not supported"
        for held in self._shop.webhooks.values():
            if (held.get("topic"), held.get("uri")) == (topic, uri):
                return "Address for this topic has already been taken"
        return ""


_PAYLOAD: FieldTable = {
    "userErrors": plain("[UserError!]!", lambda payload: payload["userErrors"]),
}
SUBSCRIPTION_TABLES: dict[str, FieldTable] = {
    _KIND: {
        "id": plain("ID!", lambda one: gid(_KIND, one["id"])),
        "legacyResourceId": plain("UnsignedInt64!", lambda one: str(one["id"])),
        "topic": plain("WebhookSubscriptionTopic!", lambda one: one["topic"]),
        "uri": plain("String!", lambda one: one["uri"]),
        "callbackUrl": plain("URL!", lambda one: one["uri"]),
        "format": plain("WebhookSubscriptionFormat!", lambda one: one["format"]),
        "filter": plain("String", lambda one: one["filter"]),
        "name": plain("String", lambda one: one["name"]),
        "includeFields": plain("[String!]!", lambda one: one["includeFields"]),
        "apiVersion": asked("ApiVersion!", lambda _, call: call.operation.api_version),
        "createdAt": plain("DateTime!", lambda one: moment(one["created"])),
        "updatedAt": plain("DateTime!", lambda one: moment(one["updated"])),
    },
    "WebhookSubscriptionCreatePayload": {
        **_PAYLOAD,
        "webhookSubscription": plain(_KIND, lambda payload: payload["webhookSubscription"]),
    },
    "WebhookSubscriptionDeletePayload": {
        **_PAYLOAD,
        "deletedWebhookSubscriptionId": plain(
            "ID", lambda payload: payload["deletedWebhookSubscriptionId"]),
    },
    "UserError": {
        "field": plain("[String!]", lambda one: one["field"]),
        "message": plain("String!", lambda one: one["message"]),
    },
}  # fmt: skip
SUBSCRIPTION_QUERIES: FieldTable = {
    "webhookSubscription": asked(_KIND, lambda _, call: _named(call), {"id": "ID!"}),
    "webhookSubscriptions": connection(
        "WebhookSubscriptionConnection!",
        lambda _, call: call.operation.subscriptions.listing(call),
        {"topics": "[WebhookSubscriptionTopic!]", "uri": "String",
         "sortKey": "WebhookSubscriptionSortKeys"}),
}  # fmt: skip
SUBSCRIPTION_MUTATIONS: FieldTable = {
    "webhookSubscriptionCreate": asked(
        "WebhookSubscriptionCreatePayload",
        lambda _, call: call.operation.subscriptions.create(
            call.args["topic"], call.args["webhookSubscription"]),
        {"topic": "WebhookSubscriptionTopic!", "webhookSubscription": "WebhookSubscriptionInput!"}),
    "webhookSubscriptionDelete": asked(
        "WebhookSubscriptionDeletePayload",
        lambda _, call: call.operation.subscriptions.delete(call.args["id"]), {"id": "ID!"}),
}  # fmt: skip


def _named(call: Call) -> Json | None:
    parts = gid_parts(str(call.args["id"]))
    if parts is None or parts[0] != _KIND:
        return None
    return call.operation.subscriptions.find(parts[1])
