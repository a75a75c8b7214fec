"""What a shop is subscribed to: listed, made, taken away.

Prevents the subscription that Shopify removed after failing deliveries from staying away: it is
not switched off there but gone, and nobody is told.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from crm_integration.errors import Permanent
from crm_integration.stores._contract import JsonObject, Subscription
from crm_integration.stores._payload import block_if_any
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify.client import Client
from crm_integration.stores.shopify.pieces import next_cursor


def subscriptions(client: Client) -> Sequence[Subscription]:
    """All subscriptions of this app; others' are never shown. What is listed is active."""
    found: list[Subscription] = []
    after: str | None = None
    while True:
        asked = {"first": gql.WEBHOOKS.size, "after": after}
        listed = block_if_any(client.query(gql.WEBHOOKS, asked).data, "webhookSubscriptions")
        nodes: Any = listed.get("nodes")
        found += [_subscription(node) for node in cast(list[JsonObject], nodes or [])]
        after = next_cursor(listed)
        if after is None:
            return found


def subscribe(client: Client, topic: str, address: str, secret: str | None) -> None:
    """A new subscription; the app's own secret signs. Raises Permanent for what is refused."""
    asked = {"topic": topic.replace("/", "_").upper(), "uri": address}
    answer = client.query(gql.WEBHOOK_CREATE, asked, repeatable=False)
    payload = block_if_any(answer.data, "webhookSubscriptionCreate")
    if payload.get("userErrors") or not payload.get("webhookSubscription"):
        raise Permanent(
            f"the shop refuses a subscription to {topic}: is the topic open to this app, and the "
            "receiver's address public https?",
            code="webhook_refused",
        )


def revive(client: Client, found: Subscription, secret: str | None) -> None:
    """Shopify has no switch: it is made anew."""
    unsubscribe(client, found)
    subscribe(client, found.topic, found.address, secret)


def unsubscribe(client: Client, found: Subscription) -> None:
    """Its only complaint is that there is none, and then it is gone as wanted."""
    client.query(gql.WEBHOOK_DELETE, {"id": found.subscription_id}, repeatable=False)


def _subscription(node: JsonObject) -> Subscription:
    """ORDERS_CREATE is `orders/create` in a delivery; of several words the first is the resource,
    for all topics that we ask for."""
    resource, _, event = str(node.get("topic") or "").lower().partition("_")
    topic = f"{resource}/{event}"
    return Subscription(str(node.get("id") or ""), topic, str(node.get("uri") or ""))
