"""What a resolver may know: the shop, the operation it serves, its own arguments.

Prevents stale answers: nothing read from the shop outlives the request it was read for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from crm_integration.sandbox.shop_state import OrderRecord, ShopState

if TYPE_CHECKING:
    from crm_integration.sandbox.shopify.bulk import BulkOperations
    from crm_integration.sandbox.shopify.subscriptions import Subscriptions

Json = dict[str, Any]
#: Without this scope a shop shows only the orders of the last 60 days.
ALL_ORDERS, SHORT_MEMORY_SECONDS = "read_all_orders", 60 * 86_400


@dataclass(slots=True)
class Operation:
    """One request's view of the shop; `errors` and `warnings` are told beside the data."""

    shop: ShopState
    scopes: frozenset[str]
    bulk: BulkOperations
    subscriptions: Subscriptions
    api_version: str
    base_url: str
    errors: list[Json] = field(default_factory=list[Json])
    warnings: list[Json] = field(default_factory=list[Json])
    _by_customer: dict[int, list[OrderRecord]] | None = None

    def orders_of(self, customer_id: int) -> list[OrderRecord]:
        """An account's listed orders, oldest first."""
        if self._by_customer is None:
            self._by_customer = {}
            for _, key in list(self.shop.by_created.pairs):
                order = self.shop.orders.get(key)
                if order is not None and order.customer_id:
                    self._by_customer.setdefault(order.customer_id, []).append(order)
        return self._by_customer.get(customer_id, [])

    def may_see(self, order: OrderRecord) -> bool:
        """Whether the order is old enough to need its own scope, and that scope is there."""
        if order.status == "trash":
            return False
        return ALL_ORDERS in self.scopes or (
            order.created >= self.shop.now() - SHORT_MEMORY_SECONDS
        )


@dataclass(frozen=True, slots=True)
class Call:
    """One field's call: the operation, the field's arguments, its path in the answer."""

    operation: Operation
    args: Mapping[str, Any]
    path: tuple[str | int, ...] = ()

    @property
    def shop(self) -> ShopState:
        return self.operation.shop
