"""The list of canonical entities: names, models and what a mapping may read of each.

Prevents a new entity from being known to one room and forgotten by another.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm_integration.canonical.activities import ACTIVITY_SCHEMA, Activity, ActivityView
from crm_integration.canonical.carts import CART_SCHEMA, Cart, CartView
from crm_integration.canonical.companies import COMPANY_SCHEMA, Company, CompanyView
from crm_integration.canonical.consents import CONSENT_SCHEMA, Consent
from crm_integration.canonical.customers import CUSTOMER_SCHEMA, Customer, CustomerView
from crm_integration.canonical.model import CanonicalModel, StoreObject
from crm_integration.canonical.orders import ORDER_SCHEMA, Order, OrderView
from crm_integration.canonical.products import PRODUCT_SCHEMA, Product, ProductView
from crm_integration.canonical.refunds import REFUND_SCHEMA, Refund, RefundView
from crm_integration.canonical.shipments import SHIPMENT_SCHEMA, Shipment


@dataclass(frozen=True)
class Entity:
    """One entity: `name` in the singular, as raw records, rules and mappings call it.

    `view` is None for what no mapping reads by itself: consent shows on the customer, a parcel
    on its order. `derived_from` names the entities that also yield rows of this one.
    """

    name: str
    plural: str
    table: str
    model: type[StoreObject]
    view: type[CanonicalModel] | None
    schema_version: int
    derived_from: tuple[str, ...] = ()


ENTITIES: dict[str, Entity] = {
    entity.name: entity
    for entity in (
        Entity("company", "companies", "companies", Company, CompanyView, COMPANY_SCHEMA,
               ("customer",)),
        Entity("customer", "customers", "customers", Customer, CustomerView, CUSTOMER_SCHEMA),
        Entity("consent", "consents", "consent_events", Consent, None, CONSENT_SCHEMA),
        Entity("product", "products", "products", Product, ProductView, PRODUCT_SCHEMA),
        Entity("order", "orders", "orders", Order, OrderView, ORDER_SCHEMA),
        Entity("refund", "refunds", "refunds", Refund, RefundView, REFUND_SCHEMA),
        Entity("shipment", "shipments", "shipments", Shipment, None, SHIPMENT_SCHEMA),
        Entity("cart", "carts", "carts", Cart, CartView, CART_SCHEMA),
        Entity("activity", "activities", "activities", Activity, ActivityView, ACTIVITY_SCHEMA,
               ("order", "shipment")),
    )
}  # fmt: skip
"""In the order in which they are written: nothing depends on something further down."""
