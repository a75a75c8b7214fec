"""The GraphQL fields of orders, their lines, refunds, parcels and payments.

Prevents the failure of a field that means something else here than in Shopify: totals are before
returns, `current…` ones after them, and what a shop of this kind never has is null or zero.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from crm_integration.sandbox.shopify.call import Call
from crm_integration.sandbox.shopify.listing import Few
from crm_integration.sandbox.shopify.orders import (
    LineView,
    OrderView,
    RefundView,
    financial_status,
    fulfillment_status,
    parcels_of,
    payment_of,
    payments_of,
    refunds_of,
)
from crm_integration.sandbox.shopify.people import person_of_account
from crm_integration.sandbox.shopify.products import product_of, variant_of
from crm_integration.sandbox.shopify.types import Field, FieldTable, asked, connection, plain
from crm_integration.sandbox.shopify.values import Money, gid, moment, money, unit_money

_BAG = "MoneyBag!"


def _total(read: Callable[[OrderView], int], kind: str = _BAG) -> Field:
    """A sum of an order, in its currency."""
    return plain(kind, lambda order: money(read(order), order.record.currency))


def _line_total(read: Callable[[LineView], int]) -> Field:
    return plain(_BAG, lambda line: money(read(line), line.order.record.currency))


_ZERO = _total(lambda _: 0)
_ZERO_OR_NULL = _total(lambda _: 0, "MoneyBag")


def _customer(order: OrderView, call: Call) -> Any:
    """None for a guest, and for an account that was deleted."""
    held = call.shop.customers.get(order.record.customer_id)
    return None if held is None else person_of_account(call.shop, held)


def _first(things: list[Any], call: Call) -> list[Any]:
    return things[: call.args.get("first")]


ORDER: FieldTable = {
    "id": plain("ID!", lambda order: gid("Order", order.record.id)),
    "legacyResourceId": plain("UnsignedInt64!", lambda order: str(order.record.id)),
    "name": plain("String!", lambda order: order.name),
    "number": plain("Int!", lambda order: order.number),
    "confirmationNumber": plain("String", lambda _: None),
    "poNumber": plain("String", lambda _: None),
    "createdAt": plain("DateTime!", lambda order: moment(order.record.created)),
    "processedAt": plain("DateTime!", lambda order: moment(order.record.created)),
    "updatedAt": plain("DateTime!", lambda order: moment(order.updated)),
    "cancelledAt": plain("DateTime", lambda order: moment(order.record.modified)
                         if order.record.status == "cancelled" else None),
    "cancelReason": plain("OrderCancelReason", lambda order: "OTHER"
                          if order.record.status == "cancelled" else None),
    "closed": plain("Boolean!", lambda order: order.closed),
    "closedAt": plain("DateTime", lambda order: moment(order.record.created)
                      if order.closed else None),
    "confirmed": plain("Boolean!", lambda _: True),
    "test": plain("Boolean!", lambda _: False),
    "edited": plain("Boolean!", lambda order: order.record.line_ids is not None),
    "fullyPaid": plain("Boolean!", lambda order: order.paid),
    "unpaid": plain("Boolean!", lambda order: not order.paid),
    "requiresShipping": plain("Boolean!", lambda _: True),
    "taxesIncluded": plain("Boolean!", lambda _: True),
    "taxExempt": plain("Boolean!", lambda _: False),
    "displayFinancialStatus": plain("OrderDisplayFinancialStatus", financial_status),
    "displayFulfillmentStatus": plain("OrderDisplayFulfillmentStatus!", fulfillment_status),
    "returnStatus": plain("OrderReturnStatus!", lambda _: "NO_RETURN"),
    "email": plain("String", lambda order: order.address.text("email")),
    "phone": plain("String", lambda _: None),
    "customerAcceptsMarketing": plain("Boolean!", lambda _: False),
    "customerLocale": plain("String", lambda _: None),
    "note": plain("String", lambda order: order.record.customer_note or None),
    "tags": plain("[String!]!", lambda order: order.tags()),
    "customAttributes": plain("[Attribute!]!", lambda order: order.attributes()),
    "sourceName": plain("String", lambda order: {"checkout": "web", "import": "import"}.get(
        order.record.created_via, "api")),
    "sourceIdentifier": plain("String", lambda _: None),
    "taxLines": plain("[TaxLine!]!", lambda _: []),
    "discountCode": plain("String", lambda _: None),
    "discountCodes": plain("[String!]!", lambda _: []),
    "paymentGatewayNames": plain("[String!]!", lambda order: ["manual"] if order.paid else []),
    "currencyCode": plain("CurrencyCode!", lambda order: order.record.currency),
    "presentmentCurrencyCode": plain("CurrencyCode!", lambda order: order.record.currency),
    "customer": asked("Customer", _customer, scope="read_customers"),
    "billingAddress": plain("MailingAddress", lambda order: order.address),
    "shippingAddress": plain("MailingAddress", lambda order: order.address),
    "billingAddressMatchesShippingAddress": plain("Boolean!", lambda _: True),
    "lineItems": connection("LineItemConnection!", lambda order, _: Few(
        order.lines(), lambda line: line.id)),
    "subtotalLineItemsQuantity": plain("Int!", lambda order: sum(
        line.quantity for line in order.record.lines)),
    "currentSubtotalLineItemsQuantity": plain("Int!", lambda order: sum(
        line.current_quantity for line in order.lines())),
    "refunds": asked("[Refund!]!", lambda order, call: _first(refunds_of(order), call),
                     {"first": "Int"}),
    "fulfillments": asked("[Fulfillment!]!", lambda order, call: _first(parcels_of(order), call),
                          {"first": "Int"}),
    "fulfillmentsCount": plain("Count", lambda order: (len(order.record.shipments), "EXACT")),
    "transactions": asked("[OrderTransaction!]!", lambda order, call: _first(
        payments_of(order), call), {"first": "Int"}),
    "transactionsCount": plain("Count", lambda order: (len(payments_of(order)), "EXACT")),
    "totalPriceSet": _total(lambda order: order.record.total_minor),
    "originalTotalPriceSet": _total(lambda order: order.record.total_minor),
    "currentTotalPriceSet": _total(lambda order: (
        order.record.total_minor - order.record.refunded_minor)),
    "subtotalPriceSet": _total(lambda order: order.record.total_minor, "MoneyBag"),
    "currentSubtotalPriceSet": _total(lambda order: (
        order.record.total_minor - order.record.refunded_minor)),
    "totalRefundedSet": _total(lambda order: order.record.refunded_minor),
    "totalReceivedSet": _total(lambda order: order.received_minor),
    "netPaymentSet": _total(lambda order: order.received_minor - order.record.refunded_minor),
    "totalOutstandingSet": _total(lambda order: (
        0 if order.paid else order.record.total_minor)),
    "totalTaxSet": _ZERO_OR_NULL,
    "totalDiscountsSet": _ZERO_OR_NULL,
    "currentTotalTaxSet": _ZERO,
    "currentTotalDiscountsSet": _ZERO,
    "totalShippingPriceSet": _ZERO,
    "currentShippingPriceSet": _ZERO,
    "totalRefundedShippingSet": _ZERO,
    "totalTipReceivedSet": _ZERO,
    "totalCapturableSet": _ZERO,
    "refundDiscrepancySet": _ZERO,
    "cartDiscountAmountSet": _ZERO_OR_NULL,
}  # fmt: skip

LINE_ITEM: FieldTable = {
    "id": plain("ID!", lambda line: gid("LineItem", line.id)),
    "title": plain("String!", lambda line: line.title),
    "name": plain("String!", lambda line: line.title),
    "sku": plain("String", lambda line: line.line.stock_code or None),
    "variantTitle": plain("String", lambda _: None),
    "vendor": plain("String", lambda _: None),
    "quantity": plain("Int!", lambda line: line.line.quantity),
    "currentQuantity": plain("Int!", lambda line: line.current_quantity),
    "refundableQuantity": plain("Int!", lambda line: max(0, line.current_quantity)),
    "unfulfilledQuantity": plain("Int!", lambda line: (
        0 if fulfillment_status(line.order) == "FULFILLED" else max(0, line.line.quantity))),
    "requiresShipping": plain("Boolean!", lambda _: True),
    "taxable": plain("Boolean!", lambda _: True),
    "isGiftCard": plain("Boolean!", lambda _: False),
    "customAttributes": plain("[Attribute!]!", lambda _: []),
    "originalUnitPriceSet": plain(_BAG, lambda line: unit_money(
        line.line.unit_price, line.order.record.currency)),
    "discountedUnitPriceSet": plain(_BAG, lambda line: unit_money(
        line.line.unit_price, line.order.record.currency)),
    "discountedUnitPriceAfterAllDiscountsSet": plain(_BAG, lambda line: unit_money(
        line.line.unit_price, line.order.record.currency)),
    "originalTotalSet": _line_total(lambda line: line.line.amount_minor),
    "discountedTotalSet": _line_total(lambda line: line.line.amount_minor),
    "totalDiscountSet": _line_total(lambda _: 0),
    "discountAllocations": plain("[DiscountAllocation!]!", lambda _: []),
    "taxLines": asked("[TaxLine!]!", lambda line, call: [], {"first": "Int"}),
    "product": asked("Product", lambda line, call: product_of(call.shop, line.line.stock_code),
                     scope="read_products"),
    "variant": asked("ProductVariant", lambda line, call: variant_of(
        call.shop, line.line.stock_code), scope="read_products"),
}  # fmt: skip


def _refund_total(refund: RefundView) -> Money:
    return money(refund.record.amount_minor, refund.order.record.currency)


REFUND: FieldTable = {
    "id": plain("ID!", lambda refund: gid("Refund", refund.record.id)),
    "legacyResourceId": plain("UnsignedInt64!", lambda refund: str(refund.record.id)),
    "createdAt": plain("DateTime", lambda refund: moment(refund.record.at)),
    "processedAt": plain("DateTime!", lambda refund: moment(refund.record.at)),
    "updatedAt": plain("DateTime!", lambda refund: moment(refund.record.at)),
    "note": plain("String", lambda refund: refund.record.reason or None),
    "order": plain("Order!", lambda refund: refund.order),
    "totalRefundedSet": plain(_BAG, _refund_total),
    "totalRefunded": plain("MoneyV2!", _refund_total),
    "refundLineItems": connection("RefundLineItemConnection!", lambda refund, _: Few(
        refund.lines(), lambda line: line.id)),
    "orderAdjustments": connection("OrderAdjustmentConnection!", lambda refund, _: Few(
        refund.adjustments(), lambda one: one.id)),
    "transactions": connection("OrderTransactionConnection!", lambda refund, _: Few(
        [payment_of(refund)], lambda one: one.id)),
}  # fmt: skip

REFUND_LINE_ITEM: FieldTable = {
    "id": plain("ID", lambda one: gid("RefundLineItem", one.id)),
    "lineItem": plain("LineItem!", lambda one: one.line),
    "quantity": plain("Int!", lambda one: one.quantity),
    "restockType": plain("RefundLineItemRestockType!", lambda _: "NO_RESTOCK"),
    "restocked": plain("Boolean!", lambda _: False),
    "priceSet": plain(_BAG, lambda one: unit_money(one.price, one.line.order.record.currency)),
    "subtotalSet": plain(_BAG, lambda one: money(
        one.amount_minor, one.line.order.record.currency)),
    "totalTaxSet": plain(_BAG, lambda one: money(0, one.line.order.record.currency)),
}  # fmt: skip

ORDER_ADJUSTMENT: FieldTable = {
    "id": plain("ID!", lambda one: gid("OrderAdjustment", one.id)),
    "amountSet": plain(_BAG, lambda one: money(one.amount_minor, one.currency)),
    "taxAmountSet": plain(_BAG, lambda one: money(0, one.currency)),
    "reason": plain("OrderAdjustmentDiscrepancyReason", lambda _: "REFUND_DISCREPANCY"),
}

TRANSACTION: FieldTable = {
    "id": plain("ID!", lambda one: gid("OrderTransaction", one.id)),
    "kind": plain("OrderTransactionKind!", lambda one: one.kind),
    "status": plain("OrderTransactionStatus!", lambda _: "SUCCESS"),
    "createdAt": plain("DateTime!", lambda one: moment(one.at)),
    "processedAt": plain("DateTime", lambda one: moment(one.at)),
    "gateway": plain("String", lambda _: "manual"),
    "formattedGateway": plain("String", lambda _: "Manual"),
    "test": plain("Boolean!", lambda _: False),
    "order": plain("Order", lambda one: one.order),
    "amountSet": plain(_BAG, lambda one: money(one.amount_minor, one.order.record.currency)),
}

_PARCEL_STATES = {
    "pending": ("OPEN", "CONFIRMED"),
    "shipped": ("SUCCESS", "IN_TRANSIT"),
    "delivered": ("SUCCESS", "DELIVERED"),
    "cancelled": ("CANCELLED", "CANCELED"),
}

FULFILLMENT: FieldTable = {
    "id": plain("ID!", lambda one: gid("Fulfillment", one.record.id)),
    "legacyResourceId": plain("UnsignedInt64!", lambda one: str(one.record.id)),
    "name": plain("String!", lambda one: f"{one.order.name}-F{one.number}"),
    "status": plain("FulfillmentStatus!", lambda one: _PARCEL_STATES[one.record.state][0]),
    "displayStatus": plain("FulfillmentDisplayStatus", lambda one: (
        _PARCEL_STATES[one.record.state][1])),
    "createdAt": plain("DateTime!", lambda one: moment(one.record.created)),
    "updatedAt": plain("DateTime!", lambda one: moment(one.record.modified)),
    "inTransitAt": plain("DateTime", lambda one: moment(one.record.created)
                         if one.record.state in {"shipped", "delivered"} else None),
    "deliveredAt": plain("DateTime", lambda one: None if one.record.delivered is None
                         else moment(one.record.delivered)),
    "estimatedDeliveryAt": plain("DateTime", lambda _: None),
    "totalQuantity": plain("Int!", lambda one: sum(count for _, count in one.record.lines)),
    "requiresShipping": plain("Boolean!", lambda _: True),
    "order": plain("Order!", lambda one: one.order),
    "trackingInfo": asked("[FulfillmentTrackingInfo!]!", lambda one, call: _first(
        [one.record] if one.record.tracking_number else [], call), {"first": "Int"}),
    "fulfillmentLineItems": connection("FulfillmentLineItemConnection!", lambda one, _: Few(
        one.lines(), lambda line: line.id)),
}  # fmt: skip

FULFILLMENT_LINE_ITEM: FieldTable = {
    "id": plain("ID!", lambda one: gid("FulfillmentLineItem", one.id)),
    "lineItem": plain("LineItem!", lambda one: one.line),
    "quantity": plain("Int", lambda one: one.quantity),
}

TRACKING: FieldTable = {
    "company": plain("String", lambda one: one.carrier or None),
    "number": plain("String", lambda one: one.tracking_number or None),
    "url": plain("URL", lambda _: None),
}

#: This shop's prices are whole: neither a tax nor a discount is ever listed.
TAX_LINE: FieldTable = {
    "title": plain("String!", lambda one: one.title),
    "rate": plain("Float", lambda one: one.rate),
    "priceSet": plain(_BAG, lambda one: one.price),
}
DISCOUNT_ALLOCATION: FieldTable = {
    "allocatedAmountSet": plain(_BAG, lambda one: one.amount),
}

ORDER_TABLES: dict[str, FieldTable] = {
    "TaxLine": TAX_LINE,
    "DiscountAllocation": DISCOUNT_ALLOCATION,
    "Order": ORDER,
    "LineItem": LINE_ITEM,
    "Refund": REFUND,
    "RefundLineItem": REFUND_LINE_ITEM,
    "OrderAdjustment": ORDER_ADJUSTMENT,
    "OrderTransaction": TRANSACTION,
    "Fulfillment": FULFILLMENT,
    "FulfillmentLineItem": FULFILLMENT_LINE_ITEM,
    "FulfillmentTrackingInfo": TRACKING,
}
