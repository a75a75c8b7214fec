"""What a shop is subscribed to: listed, made, switched on again, taken away.

Prevents the silence after seven failed deliveries: the shop then sets a webhook to `disabled`, says
so nowhere but in this list, and never tries again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from crm_integration.errors import MissingScope, NeedsReconnect, Permanent, RemoteError
from crm_integration.stores._contract import Subscription
from crm_integration.stores._cutting import NotSplittable, cut_elements
from crm_integration.stores.woocommerce.answers import is_gone
from crm_integration.stores.woocommerce.client import Client
from crm_integration.stores.woocommerce.cutting import id_text

_PER_PAGE = 100
_ACTIVE = "active"


def subscriptions(client: Client) -> Sequence[Subscription]:
    """All webhooks of the shop, whoever made them. Raises Permanent for a list that is none."""
    found: list[Subscription] = []
    while True:
        page = len(found) // _PER_PAGE + 1
        params = {"per_page": str(_PER_PAGE), "page": str(page), "orderby": "id", "order": "asc"}
        rows = _rows(client.get("webhooks", params).content)
        found += [_subscription(row) for row in rows]
        if len(rows) < _PER_PAGE:
            return found


def subscribe(client: Client, topic: str, address: str, secret: str | None) -> None:
    """A new webhook, active at once. Raises MissingScope for a key that may only read."""
    body = {"name": f"CRM integration {topic}", "topic": topic, "delivery_url": address}
    _write(client, "POST", "webhooks", {**body, **_signed(secret), "status": _ACTIVE})


def revive(client: Client, found: Subscription, secret: str | None) -> None:
    """Active again; with the secret that counts now, since a wrong one may be why it failed."""
    body = {"status": _ACTIVE, **_signed(secret)}
    _write(client, "PUT", f"webhooks/{found.subscription_id}", body)


def unsubscribe(client: Client, found: Subscription) -> None:
    """Gone, not only in the trash."""
    try:
        _write(client, "DELETE", f"webhooks/{found.subscription_id}", None, force="true")
    except Permanent as error:
        if not is_gone(error):
            raise


def _signed(secret: str | None) -> dict[str, str]:
    return {} if secret is None else {"secret": secret}


def _write(client: Client, method: str, path: str, body: Any, **params: str) -> None:
    try:
        client.write(method, path, body, params)
    except (NeedsReconnect, MissingScope) as error:
        raise _may_only_read(error) from error


def _may_only_read(error: RemoteError) -> MissingScope:
    """The same key has just listed the webhooks: it opens, and may not write."""
    return MissingScope(
        f"the shop does not let this key change its webhooks ({error.code or error.status}): give "
        "the key Read/Write permission, or make the webhooks by hand in the shop's settings",
        scope="read_write",
        status=error.status,
        code=error.code,
    )


def _rows(body: bytes) -> list[dict[str, Any]]:
    try:
        return [row for row, _ in cut_elements(body, ()) if isinstance(row, dict)]
    except NotSplittable as error:
        raise Permanent(
            f"the shop's list of webhooks is no JSON list ({error.reason})", code=error.reason
        ) from error


def _subscription(row: dict[str, Any]) -> Subscription:
    return Subscription(
        id_text(row.get("id")) or "",
        str(row.get("topic") or ""),
        str(row.get("delivery_url") or ""),
        row.get("status") == _ACTIVE,
    )
