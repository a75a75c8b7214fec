"""The methods' work: from the typed parameters of a call to its result.

Prevents a method that forgets the envelope's rules: counts, lists, cursors and chosen fields are
put together in one place.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from crm_integration.sandbox.api2cart import (
    account,
    carts,
    catalogue,
    order_lists,
    people,
    shipments,
    webhooks,
)
from crm_integration.sandbox.api2cart.envelope import (
    NOT_FOUND,
    REQUIRED,
    Failure,
    Outcome,
    Stretch,
)
from crm_integration.sandbox.api2cart.orders import order_entity
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.api2cart.selection import Entity, Selection
from crm_integration.sandbox.api2cart.view import View
from crm_integration.sandbox.api2cart.webhooks import FailedDeliveries
from crm_integration.sandbox.shop_state import OrderRecord

T = TypeVar("T")
_UPWARDS = order_lists.DIRECTIONS


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one method; `calls` is how many this store has had."""

    view: View
    given: Given
    selection: Selection
    failed: FailedDeliveries
    calls: int


def _page(call: Call, found: list[T]) -> tuple[list[T], Stretch]:
    start, end = call.given.start, call.given.start + call.given.count
    return found[start:end], Stretch(start, call.given.count, end < len(found))


def _listed(
    call: Call, entity: Entity[T], page: tuple[list[T], Stretch], name: str, counted: str = ""
) -> Outcome:
    """A list's result; its count is that of the rows given, as recorded, not of all there are."""
    rows, stretch = page
    shown = call.selection.rows(entity, rows, "result", name)
    result = {counted: len(rows), name: shown} if counted else {name: shown}
    return Outcome(call.selection.cut(result), stretch)


def _descending(given: Given) -> bool:
    return given.one_of("sort_direction", _UPWARDS, "asc") == "desc"


def _order_list(call: Call) -> Outcome:
    page = order_lists.order_page(call.view, call.given)
    return _listed(call, order_entity(call.view), page, "order", "orders_count")


def _order_info(call: Call) -> Outcome:
    order = _named_order(call.view, call.given)
    return Outcome(call.selection.one(order_entity(call.view), order))


def _named_order(view: View, given: Given) -> OrderRecord:
    """By `id` (the internal one) or `order_id` (the number)."""
    key, number = given.text("id"), given.text("order_id")
    if key is None and number is None:
        raise Failure(REQUIRED, "Parameter 'order_id' or 'id' is required.")
    if key is not None:
        order = view.shop.orders.get(int(key)) if key.isascii() and key.isdigit() else None
    else:
        order = view.numbers.find(number or "")
    if order is None:
        raise Failure(NOT_FOUND, f"Order with id {key or number} not found")
    return order


def _customer_list(call: Call) -> Outcome:
    sort = call.given.one_of("sort_by", people.SORTS, "created_time")
    found = people.people(call.view, call.given)
    page = _page(call, people.ordered(found, sort, descending=_descending(call.given)))
    return _listed(call, people.customer_entity(call.view), page, "customer", "customers_count")


def _customer_info(call: Call) -> Outcome:
    wanted = call.given.text("id") or ""
    account_ = call.view.shop.customers.get(int(wanted)) if wanted.isdecimal() else None
    if account_ is None:
        raise Failure(NOT_FOUND, f"Customer with id {wanted} not found")
    person = people.Person(account_.id, account_.created, account_.modified, account=account_)
    return Outcome(call.selection.one(people.customer_entity(call.view), person))


def _product_list(call: Call) -> Outcome:
    sort = call.given.one_of("sort_by", catalogue.SORTS, "id")
    found = catalogue.products(call.view, call.given)
    page = _page(call, catalogue.ordered(found, sort, descending=_descending(call.given)))
    return _listed(call, catalogue.product_entity(call.view), page, "product", "products_count")


def _product_info(call: Call) -> Outcome:
    wanted = call.given.text("id") or ""
    product = call.view.shop.products.get(int(wanted)) if wanted.isdecimal() else None
    if product is None:
        raise Failure(NOT_FOUND, f"Product with id {wanted} not found")
    return Outcome(call.selection.one(catalogue.product_entity(call.view), product))


def _abandoned(call: Call) -> Outcome:
    page = _page(call, carts.open_carts(call.view, call.given))
    return _listed(call, carts.cart_entity(call.view), page, "order")


def _shipment_list(call: Call) -> Outcome:
    order = shipments.order_of(call.view, call.given)
    page = _page(call, shipments.parcels(order, call.given))
    entity = shipments.shipment_entity(call.view, order)
    return _listed(call, entity, page, "shipment", "shipment_count")


def _shipment_info(call: Call) -> Outcome:
    order = shipments.order_of(call.view, call.given)
    held = shipments.parcel(order, call.given)
    return Outcome(call.selection.one(shipments.shipment_entity(call.view, order), held))


def _webhook_list(call: Call) -> Outcome:
    page = _page(call, webhooks.registered(call.view, call.given))
    return _listed(call, webhooks.webhook_entity(), page, "webhook")


def _cut(work: Callable[[Call], dict[str, Any]]) -> Callable[[Call], Outcome]:
    return lambda call: Outcome(call.selection.cut(work(call)))


HANDLERS: Mapping[str, Callable[[Call], Outcome]] = {
    "cart.info": lambda call: Outcome(
        call.selection.one(account.cart_entity(call.view), call.view)
    ),
    "account.cart.list": _cut(lambda call: account.carts(call.view, call.given, call.calls)),
    "account.failed_webhooks": _cut(
        lambda call: account.failed_webhooks(call.view, call.given, call.failed)
    ),
    "customer.list": _customer_list,
    "customer.info": _customer_info,
    "customer.count": _cut(
        lambda call: {"customers_count": len(people.people(call.view, call.given))}
    ),
    "product.list": _product_list,
    "product.info": _product_info,
    "product.count": _cut(
        lambda call: {"products_count": len(catalogue.products(call.view, call.given))}
    ),
    "order.list": _order_list,
    "order.info": _order_info,
    "order.count": _cut(
        lambda call: {"orders_count": order_lists.count_orders(call.view, call.given)}
    ),
    "order.abandoned.list": _abandoned,
    "order.shipment.list": _shipment_list,
    "order.shipment.info": _shipment_info,
    "order.status.list": _cut(lambda call: account.statuses()),
    "order.financial_status.list": _cut(lambda call: account.financial_statuses()),
    "webhook.create": _cut(lambda call: webhooks.create(call.view, call.given)),
    "webhook.list": _webhook_list,
    "webhook.update": _cut(lambda call: webhooks.update(call.view, call.given)),
    "webhook.events": _cut(lambda call: webhooks.events()),
    "webhook.delete": _cut(lambda call: webhooks.delete(call.view, call.given)),
    "webhook.count": _cut(
        lambda call: {"webhook_count": len(webhooks.registered(call.view, call.given))}
    ),
}
