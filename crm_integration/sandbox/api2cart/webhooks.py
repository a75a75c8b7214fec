"""Webhooks as API2Cart keeps them, and the list of those it could not deliver.

Prevents the subscription made twice at every start: the same entity, action and callback again is
refused with 113. Deliveries themselves are another part of the sandbox.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import itemgetter

from crm_integration.sandbox.api2cart.envelope import EXISTS, NOT_FOUND, Failure, wrong
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import View
from crm_integration.sandbox.shop_state import Json

#: What this store can tell of.
EVENTS = tuple(
    (entity, action)
    for entity in ("order", "customer", "product")
    for action in ("add", "update", "delete")
)
#: account.failed_webhooks looks back this long.
_KEPT_SECONDS = 86_400
_FIELDS = ("id", "label", "store_id", "entity", "action", "active", "callback", "fields",
           "created_at", "updated_at")  # fmt: skip


@dataclass
class FailedDeliveries:
    """Ids of what could not be delivered, with the time (epoch seconds)."""

    rows: list[tuple[int, str, int]] = field(default_factory=list[tuple[int, str, int]])

    def add(self, webhook_id: int, entity_id: str, at: int) -> None:
        self.rows.append((webhook_id, entity_id, at))

    def since_yesterday(self, now: int, ids: frozenset[str] | None) -> list[tuple[int, str, int]]:
        """Newest first."""
        recent = [row for row in self.rows if row[2] > now - _KEPT_SECONDS]
        kept = [row for row in recent if ids is None or str(row[0]) in ids]
        return sorted(kept, key=lambda row: -row[2])


def webhook_entity() -> Entity[Json]:
    """The description's Webhook: its id is a number here, and its dates are bare strings."""
    return Entity({name: itemgetter(name) for name in _FIELDS})


def registered(view: View, given: Given) -> list[Json]:
    """The webhooks a call means, by id."""
    ids, active = given.several("ids"), given.flag("active")
    return [
        hook for _, hook in sorted(view.shop.webhooks.items())
        if "entity" in hook  # the shop's other faces keep theirs in the same place
        and (ids is None or str(hook["id"]) in ids)
        and (active is None or hook["active"] == active)
        and given.text("entity") in {None, hook["entity"]}
        and given.text("action") in {None, hook["action"]}
    ]  # fmt: skip


def create(view: View, given: Given) -> Json:
    """webhook.create.

    Raises:
        Failure: 109 for an event there is not, 113 for one that is registered already.
    """
    entity, action = given.text("entity"), given.text("action")
    if entity not in {known for known, _ in EVENTS}:
        raise wrong("entity", "one of those webhook.events lists")
    if (entity, action) not in EVENTS:
        raise wrong("action", "one of those webhook.events lists")
    callback = given.text("callback") or ""
    for hook in registered(view, Given({"entity": entity, "action": action})):
        if hook["callback"] == callback:
            raise Failure(EXISTS, f"Webhook for {entity}.{action} already exists")
    key, active = view.shop.next_id("webhook"), given.flag("active")
    at = _now(view)
    view.shop.webhooks[key] = {
        "id": key, "label": given.text("label") or "", "store_id": "1", "entity": entity,
        "action": action, "active": True if active is None else active, "callback": callback,
        "fields": given.text("fields") or "force_all", "created_at": at, "updated_at": at,
    }  # fmt: skip
    return {"id": str(key)}


def update(view: View, given: Given) -> Json:
    """webhook.update: callback, label, fields and active. Raises: Failure (112)."""
    hook = _held(view, given)
    for name in ("callback", "label", "fields"):
        hook[name] = given.text(name) or hook[name]
    active = given.flag("active")
    hook["active"] = hook["active"] if active is None else active
    hook["updated_at"] = _now(view)
    return {"updated": "1"}


def delete(view: View, given: Given) -> Json:
    """webhook.delete. Raises: Failure (112)."""
    del view.shop.webhooks[_held(view, given)["id"]]
    return {"deleted": "true"}


def events() -> Json:
    """webhook.events."""
    return {"events": [
        {"entity": entity, "action": action, "webhook_name": f"{entity}.{action}"}
        for entity, action in EVENTS
    ]}  # fmt: skip


def _held(view: View, given: Given) -> Json:
    for hook in registered(view, Given({})):
        if str(hook["id"]) == given.text("id"):
            return hook
    raise Failure(NOT_FOUND, f"Webhook with id {given.text('id')} not found")


def _now(view: View) -> str:
    at = view.time(view.shop.now())
    return str(at["value"]) if at else ""
