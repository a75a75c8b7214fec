"""Carts as Shopify shows them: checkouts that were left, and those that came back as an order.

Prevents the failure where a cart of nobody is reported: a checkout is listed once an e-mail or an
account is known. Whoever only typed an e-mail is a customer without an account (state DISABLED)
that the list of customers does not hold.
"""

from __future__ import annotations

from dataclasses import dataclass

from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.shop_state import CartRecord, ShopState
from crm_integration.sandbox.shopify.listing import Few
from crm_integration.sandbox.shopify.people import (
    INVENTED_KEY,
    INVENTED_VALUE,
    Address,
    Person,
    cart_address,
    person_of_cart,
)
from crm_integration.sandbox.shopify.products import product_of, variant_of
from crm_integration.sandbox.shopify.types import FieldTable, asked, connection, plain
from crm_integration.sandbox.shopify.values import gid, moment, moment_or_none, money, unit_money

_BAG = "MoneyBag!"
_LINES_A_CART = 10_000


@dataclass(frozen=True, slots=True)
class CheckoutView:
    """A cart of somebody known."""

    record: CartRecord
    person: Person
    address: Address | None

    def lines(self) -> list[CheckoutLineView]:
        return [
            CheckoutLineView(self.record.id * _LINES_A_CART + n + 1, self, line)
            for n, line in enumerate(self.record.lines)
        ]


@dataclass(frozen=True, slots=True)
class CheckoutLineView:
    """A line of a cart."""

    id: int
    checkout: CheckoutView
    line: Line

    @property
    def currency(self) -> str:
        return self.checkout.record.currency


def checkout_view(shop: ShopState, key: int) -> CheckoutView | None:
    """None for a cart that is gone, or of which nobody is known."""
    held = shop.carts.get(key)
    person = None if held is None else person_of_cart(shop, held)
    if held is None or person is None:
        return None
    return CheckoutView(held, person, cart_address(shop, held))


CHECKOUT_TABLES: dict[str, FieldTable] = {
    "AbandonedCheckout": {
        "id": plain("ID!", lambda one: gid("AbandonedCheckout", one.record.id)),
        "name": plain("String!", lambda one: f"#{one.record.id}"),
        "note": plain("String!", lambda _: ""),
        "abandonedCheckoutUrl": asked("URL!", lambda one, call: (
            f"{call.shop.settings.public_url}/checkouts/ac/{one.record.id}/recover")),
        "createdAt": plain("DateTime!", lambda one: moment(one.record.created)),
        "updatedAt": plain("DateTime!", lambda one: moment(one.record.modified)),
        "completedAt": plain("DateTime", lambda one: moment_or_none(one.record.completed)),
        "customer": plain("Customer", lambda one: one.person, scope="read_customers"),
        "customAttributes": plain("[Attribute!]!", lambda one: (
            [(INVENTED_KEY, INVENTED_VALUE)] if one.person.invented else [])),
        "billingAddress": plain("MailingAddress", lambda one: one.address),
        "shippingAddress": plain("MailingAddress", lambda one: one.address),
        "discountCodes": plain("[String!]!", lambda _: []),
        "taxesIncluded": plain("Boolean!", lambda _: True),
        "lineItems": connection("AbandonedCheckoutLineItemConnection!", lambda one, _: Few(
            one.lines(), lambda line: line.id)),
        "subtotalPriceSet": plain(_BAG, lambda one: money(
            one.record.total_minor, one.record.currency)),
        "totalLineItemsPriceSet": plain(_BAG, lambda one: money(
            one.record.total_minor, one.record.currency)),
        "totalPriceSet": plain(_BAG, lambda one: money(
            one.record.total_minor, one.record.currency)),
        "totalDiscountSet": plain(_BAG, lambda one: money(0, one.record.currency)),
        "totalTaxSet": plain("MoneyBag", lambda one: money(0, one.record.currency)),
    },
    "AbandonedCheckoutLineItem": {
        "id": plain("ID!", lambda one: gid("AbandonedCheckoutLineItem", one.id)),
        "title": plain("String", lambda one: one.line.description or one.line.stock_code),
        "sku": plain("String", lambda one: one.line.stock_code or None),
        "quantity": plain("Int!", lambda one: one.line.quantity),
        "variantTitle": plain("String", lambda _: None),
        "originalUnitPriceSet": plain(_BAG, lambda one: unit_money(
            one.line.unit_price, one.currency)),
        "discountedUnitPriceSet": plain(_BAG, lambda one: unit_money(
            one.line.unit_price, one.currency)),
        "originalTotalPriceSet": plain(_BAG, lambda one: money(
            one.line.amount_minor, one.currency)),
        "discountedTotalPriceSet": plain(_BAG, lambda one: money(
            one.line.amount_minor, one.currency)),
        "product": asked("Product", lambda one, call: product_of(
            call.shop, one.line.stock_code), scope="read_products"),
        "variant": asked("ProductVariant", lambda one, call: variant_of(
            call.shop, one.line.stock_code), scope="read_products"),
    },
}  # fmt: skip
