"""What a store is subscribed to through API2Cart: listed, made, switched on again, taken away.

Prevents the webhook made twice at every start: the same event and address again is refused by
API2Cart, and whoever looks first need not ask.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from crm_integration.errors import Permanent
from crm_integration.stores._contract import JsonObject, Subscription
from crm_integration.stores.api2cart.answers import is_gone
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.methods import MOST
from crm_integration.stores.api2cart.objects import id_text

_FIELDS = "id,entity,action,active,callback"


def subscriptions(client: Client) -> Sequence[Subscription]:
    """All webhooks of this store. Raises what the client's calls raise."""
    found: list[Subscription] = []
    while True:
        params = {"params": _FIELDS, "count": str(MOST)}
        params |= {"start": str(len(found))} if found else {}
        listed: Any = client.call("webhook.list", params).result.get("webhook")
        rows = cast(list[JsonObject], listed or [])
        found += [_subscription(row) for row in rows]
        if len(rows) < MOST:
            return found


def subscribe(client: Client, topic: str, address: str, secret: str | None) -> None:
    """A new webhook; API2Cart signs nothing. Raises RefusedParameter where the store has no such
    event."""
    entity, _, action = topic.rpartition(".")
    given = {"entity": entity, "action": action, "callback": address, "active": "true"}
    client.write("POST", "webhook.create", {**given, "label": f"CRM integration {topic}"})


def revive(client: Client, found: Subscription, secret: str | None) -> None:
    """Active again at the same address."""
    client.write("PUT", "webhook.update", {"id": found.subscription_id, "active": "true"})


def unsubscribe(client: Client, found: Subscription) -> None:
    """One that is gone already is as wanted."""
    try:
        client.write("DELETE", "webhook.delete", {"id": found.subscription_id})
    except Permanent as error:
        if not is_gone(error):
            raise


def _subscription(row: JsonObject) -> Subscription:
    return Subscription(
        id_text(row.get("id")) or "",
        f"{row.get('entity')}.{row.get('action')}",
        str(row.get("callback") or ""),
        row.get("active") in (True, "true", "1", 1),
    )
