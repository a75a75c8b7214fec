"""The lists of the API: what they hold, how they are sorted, what they can be searched by.

Prevents the failure of a list that lags: each is made from the shop's records when it is asked
for, and only what a query's bounds leave is walked through.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from crm_integration.sandbox.shop_state import OrderRecord, ShopState
from crm_integration.sandbox.shopify.call import Call
from crm_integration.sandbox.shopify.checkouts import checkout_view
from crm_integration.sandbox.shopify.listing import Sorted
from crm_integration.sandbox.shopify.orders import (
    OrderView,
    financial_status,
    fulfillment_status,
    updated_at,
)
from crm_integration.sandbox.shopify.people import person_of_account
from crm_integration.sandbox.shopify.products import VariantView, product_view, variant_view
from crm_integration.sandbox.shopify.search import Search, Searchable, read_search

Pairs = list[tuple[int, int]]
_LOWEST, _HIGHEST = -(2**62), 2**62
SORT_KEYS: Mapping[str, frozenset[str]] = {
    "OrderSortKeys": frozenset({"CREATED_AT", "ID", "PROCESSED_AT", "UPDATED_AT"}),
    "CustomerSortKeys": frozenset({"CREATED_AT", "ID", "UPDATED_AT"}),
    "ProductSortKeys": frozenset({"CREATED_AT", "ID", "PUBLISHED_AT", "UPDATED_AT"}),
    "ProductVariantSortKeys": frozenset({"ID", "POSITION"}),
    "AbandonedCheckoutSortKeys": frozenset({"CHECKOUT_ID", "CREATED_AT", "ID"}),
}
#: Which search field bounds which sort.
_BOUND_OF = {
    "CREATED_AT": "created_at",
    "PROCESSED_AT": "processed_at",
    "UPDATED_AT": "updated_at",
    "PUBLISHED_AT": "published_at",
    "ID": "id",
    "CHECKOUT_ID": "id",
    "POSITION": "id",
}


def _status(order: OrderView) -> list[str]:
    if order.record.status == "cancelled":
        return ["cancelled", "not_closed"]
    return ["closed"] if order.closed else ["open", "not_closed"]


_ORDER_SEARCH: Mapping[str, Searchable] = {
    "id": Searchable("id", lambda order: order.record.id),
    "created_at": Searchable("time", lambda order: order.record.created),
    "processed_at": Searchable("time", lambda order: order.record.created),
    "updated_at": Searchable("time", lambda order: order.updated),
    "customer_id": Searchable("id", lambda order: order.record.customer_id),
    "name": Searchable("text", lambda order: [order.name, order.record.number]),
    "email": Searchable("text", lambda order: order.address.text("email")),
    "tag": Searchable("text", lambda order: order.tags()),
    "status": Searchable("text", _status),
    "financial_status": Searchable("text", financial_status),
    "fulfillment_status": Searchable("text", fulfillment_status),
    "sku": Searchable("text", lambda order: [line.stock_code for line in order.record.lines]),
}
_CUSTOMER_SEARCH: Mapping[str, Searchable] = {
    "id": Searchable("id", lambda person: person.id),
    "customer_date": Searchable("time", lambda person: person.created),
    # Shopify's documentation: "matching a whole day".
    "updated_at": Searchable("day", lambda person: person.modified),
    "email": Searchable("text", lambda person: person.email),
    "phone": Searchable("text", lambda person: person.phone),
    "first_name": Searchable("text", lambda person: person.first_name),
    "last_name": Searchable("text", lambda person: person.last_name),
}
_PRODUCT_SEARCH: Mapping[str, Searchable] = {
    "id": Searchable("id", lambda one: one.record.id),
    "created_at": Searchable("time", lambda one: one.record.created),
    "published_at": Searchable("time", lambda one: one.record.created),
    "updated_at": Searchable("time", lambda one: one.record.modified),
    "title": Searchable("text", lambda one: one.title),
    "status": Searchable("text", lambda _: "active"),
    "sku": Searchable("text", lambda one: one.record.sku),
}
_VARIANT_SEARCH: Mapping[str, Searchable] = {
    "id": Searchable("id", lambda one: one.id),
    "product_id": Searchable("id", lambda one: one.product.record.id),
    "sku": Searchable("text", lambda one: one.product.record.sku),
    "updated_at": Searchable("time", lambda one: one.product.record.modified),
}
_CHECKOUT_SEARCH: Mapping[str, Searchable] = {
    "id": Searchable("id", lambda one: one.record.id),
    "created_at": Searchable("time", lambda one: one.record.created),
    "updated_at": Searchable("time", lambda one: one.record.modified),
    "status": Searchable("text", lambda one: "closed" if one.record.completed else "open"),
    "recovery_state": Searchable("text", lambda one: (
        "recovered" if one.record.completed else "not_recovered")),
}  # fmt: skip


def _searched(call: Call, fields: Mapping[str, Searchable]) -> Search:
    """The call's query; what could not be searched by is told beside the data."""
    text = call.args.get("query")
    search = read_search(text, fields, call.shop.settings.utc_offset_minutes)
    if search.warnings:
        told = {"path": list(call.path), "query": text, "warnings": search.warnings}
        if told not in call.operation.warnings:
            call.operation.warnings.append(told)
    return search


def _tested(view: Callable[[int], Any], search: Search) -> Callable[[int], Any]:
    test = search.test
    if test is None:
        return view

    def load(key: int) -> Any:
        held = view(key)
        return held if held is not None and test(held) else None

    return load


def orders_listing(call: Call, only: Iterable[OrderRecord] | None = None) -> Sorted:
    """Orders by the call's arguments; `only` is one customer's."""
    shop, search = call.shop, _searched(call, _ORDER_SEARCH)
    sort = call.args.get("sortKey") or ("PROCESSED_AT" if only is None else "ID")
    low, high = search.bounds.get(_BOUND_OF[sort], (_LOWEST, _HIGHEST))
    if only is not None:
        pairs = sorted((_order_value(order, sort), order.id) for order in only)
    elif sort == "UPDATED_AT":
        pairs = _by_update(shop, low, high)
    else:
        index = shop.by_id if sort == "ID" else shop.by_created
        pairs = _between(index.pairs, low, high)

    def view(key: int) -> OrderView | None:
        held = shop.orders.get(key)
        return OrderView(shop, held) if held and call.operation.may_see(held) else None

    return Sorted(pairs, _tested(view, search), bool(call.args.get("reverse")))


def _order_value(order: OrderRecord, sort: str) -> int:
    if sort == "ID":
        return order.id
    return updated_at(order) if sort == "UPDATED_AT" else order.created


def _by_update(shop: ShopState, low: int, high: int) -> Pairs:
    """Orders by their own date, or by a parcel's where that is later."""
    moved: dict[int, int] = {}
    for parcel in list(shop.shipments.values()):
        order = shop.orders.get(parcel.order_id)
        if order is not None and order.status != "trash" and parcel.modified > order.modified:
            moved[order.id] = updated_at(order)
    pairs = _between(shop.by_modified.pairs, low, high)
    if not moved:
        return pairs
    kept = [pair for pair in pairs if pair[1] not in moved]
    kept += [(at, key) for key, at in moved.items() if low <= at <= high]
    kept.sort()
    return kept


def _between(pairs: Pairs, low: int, high: int) -> Pairs:
    """A copy, so that an edit of the index in the meantime cannot shift it."""
    return pairs[bisect_left(pairs, (low, _LOWEST)) : bisect_right(pairs, (high, _HIGHEST))]


def _listed(
    call: Call,
    held: Mapping[int, Any],
    fields: Mapping[str, Searchable],
    view: Callable[[int], Any],
    default: str = "ID",
) -> Sorted:
    search = _searched(call, fields)
    sort = call.args.get("sortKey") or default
    low, high = search.bounds.get(_BOUND_OF[sort], (_LOWEST, _HIGHEST))
    records = list(held.items())
    if sort in {"CREATED_AT", "PUBLISHED_AT"}:
        pairs = sorted((one.created, key) for key, one in records)
    elif sort == "UPDATED_AT":
        pairs = sorted((one.modified, key) for key, one in records)
    else:
        pairs = sorted((key, key) for key, _ in records)
    return Sorted(_between(pairs, low, high), _tested(view, search), bool(call.args.get("reverse")))


def customers_listing(call: Call) -> Sorted:
    """Accounts; a guest is none."""

    def view(key: int) -> Any:
        held = call.shop.customers.get(key)
        return None if held is None else person_of_account(call.shop, held)

    return _listed(call, call.shop.customers, _CUSTOMER_SEARCH, view)


def products_listing(call: Call) -> Sorted:
    return _listed(call, call.shop.products, _PRODUCT_SEARCH,
                   lambda key: product_view(call.shop, key))  # fmt: skip


def variants_listing(call: Call) -> Sorted:
    held = {VariantView(one).id: one.record for key in list(call.shop.products)
            if (one := product_view(call.shop, key))}  # fmt: skip
    return _listed(call, held, _VARIANT_SEARCH, lambda key: variant_view(call.shop, key))


def checkouts_listing(call: Call) -> Sorted:
    return _listed(call, call.shop.carts, _CHECKOUT_SEARCH,
                   lambda key: checkout_view(call.shop, key))  # fmt: skip
