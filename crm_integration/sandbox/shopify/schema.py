"""The roots of the API, and all tables in one.

Prevents the failure of a type nobody can reach: whatever is served hangs below a root here, and
the tests walk from here through every field there is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from crm_integration.sandbox.shop_state import OrderRecord
from crm_integration.sandbox.shopify.bulk import BulkRun
from crm_integration.sandbox.shopify.bulk_fields import (
    BULK_MUTATIONS,
    BULK_QUERIES,
    BULK_TABLES,
    RUN_QUERY_ARGS,
    BulkStarter,
    find_run,
)
from crm_integration.sandbox.shopify.call import Call
from crm_integration.sandbox.shopify.checkouts import CHECKOUT_TABLES, CheckoutView, checkout_view
from crm_integration.sandbox.shopify.customer_fields import CUSTOMER_TABLES
from crm_integration.sandbox.shopify.execute import named_by
from crm_integration.sandbox.shopify.listing import Sorted
from crm_integration.sandbox.shopify.lists import (
    SORT_KEYS,
    checkouts_listing,
    customers_listing,
    orders_listing,
    products_listing,
    variants_listing,
)
from crm_integration.sandbox.shopify.order_fields import ORDER_TABLES
from crm_integration.sandbox.shopify.orders import (
    LineView,
    OrderView,
    ParcelView,
    RefundView,
    parcels_of,
    refunds_of,
)
from crm_integration.sandbox.shopify.people import (
    GUEST_IDS,
    Person,
    person_of_account,
    person_of_cart,
)
from crm_integration.sandbox.shopify.plan import Tables
from crm_integration.sandbox.shopify.products import (
    PRODUCT_TABLES,
    ProductView,
    VariantView,
    product_view,
    variant_view,
)
from crm_integration.sandbox.shopify.shop_fields import SHOP_TABLES, the_shop
from crm_integration.sandbox.shopify.subscriptions import (
    SUBSCRIPTION_MUTATIONS,
    SUBSCRIPTION_QUERIES,
    SUBSCRIPTION_TABLES,
    TOPICS,
)
from crm_integration.sandbox.shopify.types import (
    Field,
    FieldTable,
    asked,
    connection,
    with_connections,
)
from crm_integration.sandbox.shopify.values import gid_parts

#: Versions that are answered; an older one is answered by the oldest of these.
VERSIONS = ("2025-10", "2026-01", "2026-04", "2026-07", "2026-10")
_LINES_AN_ORDER = 10_000


def _order(call: Call, key: int) -> OrderView | None:
    held: OrderRecord | None = call.shop.orders.get(key)
    return OrderView(call.shop, held) if held and call.operation.may_see(held) else None


def _customer(call: Call, key: int) -> Person | None:
    held = call.shop.customers.get(key)
    if held is not None:
        return person_of_account(call.shop, held)
    cart = call.shop.carts.get(key - GUEST_IDS)
    return None if cart is None or cart.customer_id else person_of_cart(call.shop, cart)


def _refund(call: Call, key: int) -> RefundView | None:
    held = call.shop.refunds.get(key)
    order = None if held is None else _order(call, held.order_id)
    found = refunds_of(order) if order else []
    return next((one for one in found if one.record.id == key), None)


def _parcel(call: Call, key: int) -> ParcelView | None:
    held = call.shop.shipments.get(key)
    order = None if held is None else _order(call, held.order_id)
    found = parcels_of(order) if order else []
    return next((one for one in found if one.record.id == key), None)


def _line(call: Call, key: int) -> LineView | None:
    order = _order(call, key // _LINES_AN_ORDER)
    return next((one for one in order.lines() if one.id == key), None) if order else None


#: Kind -> how one is found by its number, and the scope it needs.
_FINDERS: Mapping[str, tuple[Callable[[Call, int], Any], str]] = {
    "Order": (_order, "read_orders"),
    "LineItem": (_line, "read_orders"),
    "Refund": (_refund, "read_orders"),
    "Fulfillment": (_parcel, "read_orders"),
    "AbandonedCheckout": (lambda call, key: checkout_view(call.shop, key), "read_orders"),
    "Customer": (_customer, "read_customers"),
    "Product": (lambda call, key: product_view(call.shop, key), "read_products"),
    "ProductVariant": (lambda call, key: variant_view(call.shop, key), "read_products"),
}
_NODE_CLASSES: Mapping[type, str] = {
    OrderView: "Order",
    LineView: "LineItem",
    RefundView: "Refund",
    ParcelView: "Fulfillment",
    CheckoutView: "AbandonedCheckout",
    Person: "Customer",
    ProductView: "Product",
    VariantView: "ProductVariant",
    BulkRun: "BulkOperation",
}
NAMED = named_by(_NODE_CLASSES)


def find_node(call: Call, text: str) -> Any:
    """Any object by its global id; None for what is gone, unknown, or not to be seen."""
    parts = gid_parts(text)
    if parts is None:
        return None
    if parts[0] == "BulkOperation":
        return find_run(call, text)
    find, scope = _FINDERS.get(parts[0], (None, ""))
    return find(call, parts[1]) if find and scope in call.operation.scopes else None


def _one(kind: str) -> Field:
    find, scope = _FINDERS[kind]

    def read(_: Any, call: Call) -> Any:
        parts = gid_parts(str(call.args["id"]))
        return find(call, parts[1]) if parts and parts[0] == kind else None

    return asked(kind, read, {"id": "ID!"}, scope=scope)


def _many(
    kind: str, listing: Callable[[Call], Sorted], scope: str, sort: str, **more: str
) -> Field:
    args = {"query": "String", "sortKey": sort, **more}
    return connection(f"{kind}Connection!", lambda _, call: listing(call), args, scope=scope)


def _count(listing: Callable[[Call], Sorted], scope: str, **more: str) -> Field:
    """A count, exact below its limit (10,000 unless told; null is no limit)."""

    def read(_: Any, call: Call) -> tuple[int, str]:
        limit = call.args.get("limit", 10_000)
        found = listing(call).count(None if limit is None else limit + 1)
        if limit is not None and found > limit:
            return limit, "AT_LEAST"
        return found, "EXACT"

    return asked("Count", read, {"query": "String", "limit": "Int", **more}, scope=scope)


_QUERIES: FieldTable = {
    "shop": asked("Shop!", the_shop),
    "node": asked("Node", lambda _, call: find_node(call, str(call.args["id"])), {"id": "ID!"}),
    "nodes": asked("[Node]!", lambda _, call: [find_node(call, str(one))
                                               for one in call.args["ids"]], {"ids": "[ID!]!"}),
    "order": _one("Order"),
    "refund": _one("Refund"),
    "fulfillment": _one("Fulfillment"),
    "customer": _one("Customer"),
    "product": _one("Product"),
    "productVariant": _one("ProductVariant"),
    "orders": _many("Order", orders_listing, "read_orders", "OrderSortKeys", savedSearchId="ID"),
    "customers": _many("Customer", customers_listing, "read_customers", "CustomerSortKeys"),
    "products": _many("Product", products_listing, "read_products", "ProductSortKeys",
                      savedSearchId="ID"),
    "productVariants": _many("ProductVariant", variants_listing, "read_products",
                             "ProductVariantSortKeys", savedSearchId="ID"),
    "abandonedCheckouts": _many("AbandonedCheckout", checkouts_listing, "read_orders",
                                "AbandonedCheckoutSortKeys", savedSearchId="ID"),
    "ordersCount": _count(orders_listing, "read_orders", savedSearchId="ID"),
    "customersCount": _count(customers_listing, "read_customers"),
    "productsCount": _count(products_listing, "read_products", savedSearchId="ID"),
    "productVariantsCount": _count(variants_listing, "read_products"),
    "abandonedCheckoutsCount": _count(checkouts_listing, "read_orders", savedSearchId="ID"),
    "currentAppInstallation": asked("AppInstallation!", the_shop),
    "publicApiVersions": asked("[ApiVersion!]!", lambda _, call: list(VERSIONS)),
    **BULK_QUERIES,
    **SUBSCRIPTION_QUERIES,
}  # fmt: skip

_ENUMS: Mapping[str, frozenset[str]] = {
    **SORT_KEYS,
    "BulkOperationType": frozenset({"QUERY", "MUTATION"}),
    "BulkOperationsSortKeys": frozenset({"CREATED_AT"}),
    "WebhookSubscriptionSortKeys": frozenset({"CREATED_AT", "ID"}),
    "WebhookSubscriptionTopic": TOPICS,
}


def all_tables() -> Tables:
    """Every type that is served; bulk queries are planned by the same tables."""
    mutations: dict[str, Field] = {**BULK_MUTATIONS, **SUBSCRIPTION_MUTATIONS}
    types = with_connections({
        "QueryRoot": _QUERIES,
        "Mutation": mutations,
        **SHOP_TABLES,
        **ORDER_TABLES,
        **CUSTOMER_TABLES,
        **PRODUCT_TABLES,
        **CHECKOUT_TABLES,
        **BULK_TABLES,
        **SUBSCRIPTION_TABLES,
    })  # fmt: skip
    tables = Tables(types, _ENUMS, {"Node": tuple(_NODE_CLASSES.values())})
    starter = BulkStarter(tables, NAMED)
    mutations["bulkOperationRunQuery"] = asked(
        "BulkOperationRunQueryPayload", starter.start, RUN_QUERY_ARGS
    )
    return tables
