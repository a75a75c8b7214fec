"""The list of canonical entities: names, models and what a mapping may read of each.

Prevents a new entity from being known to one room and forgotten by another.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm_integration.canonical.customers import CUSTOMER_SCHEMA, Customer, CustomerView
from crm_integration.canonical.model import CanonicalModel, StoreObject
from crm_integration.canonical.orders import ORDER_SCHEMA, Order, OrderView
from crm_integration.canonical.products import PRODUCT_SCHEMA, Product, ProductView
from crm_integration.canonical.refunds import REFUND_SCHEMA, Refund, RefundView


@dataclass(frozen=True)
class Entity:
    """One entity: `name` in the singular, as raw records, rules and mappings call it."""

    name: str
    table: str
    model: type[StoreObject]
    view: type[CanonicalModel]
    schema_version: int


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity("customer", "customers", Customer, CustomerView, CUSTOMER_SCHEMA),
        Entity("product", "products", Product, ProductView, PRODUCT_SCHEMA),
        Entity("order", "orders", Order, OrderView, ORDER_SCHEMA),
        Entity("refund", "refunds", Refund, RefundView, REFUND_SCHEMA),
    )
}
"""In the order in which they are written: nothing depends on something further down."""
