"""Judged objects to canonical rows, and the facts that one row owes to others.

Prevents a sum that is a step behind: what an object moves (its order's refunds, its customer's
stage and consent) is counted anew in the transaction that writes it.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TypeVar, cast
from uuid import UUID

from crm_integration.canonical.activities import Activity
from crm_integration.canonical.activity_rows import write_activities
from crm_integration.canonical.cart_rows import write_carts
from crm_integration.canonical.carts import Cart
from crm_integration.canonical.consent_rows import refresh_consent, write_consents
from crm_integration.canonical.consents import Consent
from crm_integration.canonical.customer_precedence import follow_store_order
from crm_integration.canonical.customer_rows import name_customers, write_customers
from crm_integration.canonical.customers import Customer
from crm_integration.canonical.facts import (
    owners_of,
    refresh_customers,
    refresh_orders,
    retell_dependents,
)
from crm_integration.canonical.identity import object_id
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.order_rows import write_orders
from crm_integration.canonical.orders import Order
from crm_integration.canonical.product_rows import write_products
from crm_integration.canonical.products import Product
from crm_integration.canonical.refund_rows import write_refunds
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.shipment_rows import write_shipments
from crm_integration.canonical.shipments import Shipment
from crm_integration.canonical.sourced import Sourced, Stamp
from crm_integration.canonical.upsert import Upserted
from crm_integration.sync.reading import QUARANTINED, Chunk, Deriver
from crm_integration.tenancy.scope import TenantScope

_WEIGHT = {"older": 0, "same": 1, "applied": 2, QUARANTINED: 3}
"""Of several objects in one raw record, the outcome that says most is the record's."""


@dataclass
class Written:
    """Rows by entity: how many changed, and how many said nothing new."""

    changed: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))
    unchanged: dict[str, int] = field(default_factory=lambda: defaultdict[str, int](int))


T = TypeVar("T", bound=StoreObject)


def write(scope: TenantScope, derive: Deriver, chunk: Chunk, written: Written) -> None:
    """Customers before orders before what belongs to orders; then the facts."""
    work = _Work(scope, derive, chunk, written)
    owners = work.people()
    touched, before = work.orders()
    owners |= before
    if touched:
        refresh_orders(scope, touched)
        retell_dependents(scope, touched & work.changed_orders)
        owners |= owners_of(scope, touched)
    work.timeline()
    if owners:
        refresh_customers(scope, owners)


@dataclass
class _Work:
    """One chunk being written."""

    scope: TenantScope
    derive: Deriver
    chunk: Chunk
    written: Written
    changed_orders: set[UUID] = field(default_factory=lambda: set[UUID]())

    def people(self) -> set[UUID]:
        """Customers with their companies and consent; returns whose orders may have changed."""
        customers = self._of("customer", Customer)
        derive = self.derive
        people = write_customers(
            self.scope, customers, derive.stamp, derive.stores, derive.not_keys
        )
        self._note("customer", people.upserted, list(people.customer_of_raw.items()))
        self._follow_store_order()
        # Also of whom a CRM has nothing new to hear: a verified address lets an opt-in count.
        refresh_consent(self.scope, people.touched | self._spoke())
        return people.upserted.new | people.regrouped

    def _follow_store_order(self) -> None:
        """Whose word counts first is looked at each time, or now and then (`lately`)."""
        derive, asked = self.derive, (self.scope.tenant, "stores", *self.derive.stores)
        if derive.lately is not None and derive.lately.knows(*asked):
            return
        reordered = follow_store_order(self.scope, derive.stores, derive.stamp)
        self.written.changed["customer"] += len(reordered)
        if derive.lately is not None:
            derive.lately.note(*asked)

    def _spoke(self) -> set[UUID]:
        """The customers of whom a new word about consent was written."""
        consents = self._of("consent", Consent)
        spoke = write_consents(self.scope, consents, self.derive.stamp)
        self.written.changed["consent"] += len(spoke)
        if not spoke:
            return set()
        raw_id = max(one.raw_id for one in consents)
        named = name_customers(self.scope, [(key, raw_id) for key in spoke], self.derive.stamp)
        return set(named.values())

    def orders(self) -> tuple[set[UUID], set[UUID]]:
        """Products, orders, refunds, parcels; returns the orders they touch, and the customers
        whose orders they were before."""
        self._write("product", Product, write_products)
        ids = [self._id("order", one.item.source_id) for one in self.chunk.accepted["order"]]
        before = owners_of(self.scope, ids) if ids else set[UUID]()
        self.changed_orders = self._write("order", Order, write_orders)
        self._write("refund", Refund, write_refunds)
        self._write("shipment", Shipment, write_shipments)
        dependents = (*self._of("refund", Refund), *self._of("shipment", Shipment))
        named = {one.item.order_source_id for one in dependents} - {None}
        return self.changed_orders | {self._id("order", str(one)) for one in named}, before

    def timeline(self) -> None:
        """Carts and activities."""
        self._write("cart", Cart, write_carts)
        self._write("activity", Activity, write_activities)

    def _write(
        self,
        entity: str,
        model: type[T],
        writer: Callable[[TenantScope, Sequence[Sourced[T]], Stamp], Upserted],
    ) -> set[UUID]:
        """Write a batch of one entity; returns the ids whose content changed."""
        said = self._of(entity, model)
        if not said:
            return set()
        batch = _newest_of_each(said)
        upserted = writer(self.scope, batch, self.derive.stamp)
        ids = [(one.raw_id, self._id(entity, one.item.source_id)) for one in batch]
        self._note(entity, upserted, ids)
        overtaken = {one.raw_id for one in said} - {one.raw_id for one in batch}
        for raw_id in overtaken:
            self.chunk.outcomes.setdefault(raw_id, "older")
        return upserted.changed

    def _note(self, entity: str, upserted: Upserted, ids: Sequence[tuple[int, UUID]]) -> None:
        """Count, and remember what became of the raw records. A milestone says nothing of its
        own: the record is its order's."""
        self.written.changed[entity] += len(upserted.changed)
        self.written.unchanged[entity] += len(ids) - len(upserted.changed)
        if entity == "activity":
            return
        for raw_id, identifier in ids:
            outcome = _outcome(upserted, identifier)
            before = self.chunk.outcomes.get(raw_id)
            if outcome is not None and _WEIGHT[outcome] > _WEIGHT.get(before or "", -1):
                self.chunk.outcomes[raw_id] = outcome

    def _of(self, entity: str, model: type[T]) -> list[Sourced[T]]:
        return cast(list[Sourced[T]], self.chunk.accepted[entity])

    def _id(self, entity: str, source_id: str) -> UUID:
        return object_id(self.scope, entity, self.derive.connection.connection_id, source_id)


def _newest_of_each(batch: Sequence[Sourced[T]]) -> list[Sourced[T]]:
    """One of each object, the newest: a payload may list a refund twice, and two records may
    name one object; a statement can write a row only once."""
    newest: dict[str, Sourced[T]] = {}
    for one in sorted(batch, key=lambda one: (one.item.source_time, one.observation, one.raw_id)):
        newest[one.item.source_id] = one
    return [newest[one] for one in dict.fromkeys(one.item.source_id for one in batch)]


def _outcome(upserted: Upserted, identifier: UUID) -> str | None:
    if identifier in upserted.changed:
        return "applied"
    if identifier in upserted.same:
        return "same"
    return "older" if identifier in upserted.older else None
