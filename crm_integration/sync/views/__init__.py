"""Canonical rows as the views that mappings read, one set-based query per entity.

Prevents the query per record: a chunk of rows of one entity is read with all it shows at once.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_integration.storage.tables.canonical import customers, orders, products, refunds
from crm_integration.storage.tables.commerce import activities, carts, companies
from crm_integration.sync.views.people import SHOWN, read_companies, read_customers
from crm_integration.sync.views.projectable import Choice, EntityView, Projectable, View
from crm_integration.sync.views.sales import read_orders, read_products, read_refunds
from crm_integration.sync.views.timeline import read_activities, read_carts

__all__ = ["VIEWS", "Choice", "EntityView", "Projectable", "View"]

VIEWS: Mapping[str, EntityView] = {
    "company": EntityView(companies, companies.c.company_id, read_companies),
    "customer": EntityView(customers, customers.c.customer_id, read_customers, SHOWN),
    "product": EntityView(products, products.c.product_id, read_products),
    "order": EntityView(orders, orders.c.order_id, read_orders),
    "refund": EntityView(refunds, refunds.c.refund_id, read_refunds),
    "cart": EntityView(carts, carts.c.cart_id, read_carts),
    "activity": EntityView(activities, activities.c.activity_id, read_activities),
}
