"""Shopify's legacy REST shapes: plain ids, strings for money, the shop's own offset in dates.

Prevents the failure of taking REST for GraphQL in other letters: a refunded line's subtotal is a
number there while every other amount is a string, and tags are one text with commas.
"""

from __future__ import annotations

from typing import Any

from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.shopify.customer_fields import consent_level, consent_state
from crm_integration.sandbox.shopify.orders import (
    LineView,
    OrderView,
    ParcelView,
    RefundView,
    financial_status,
    fulfillment_status,
    parcels_of,
    refunds_of,
)
from crm_integration.sandbox.shopify.people import (
    INVENTED_KEY,
    INVENTED_VALUE,
    Address,
    Person,
    person_of_account,
)
from crm_integration.sandbox.shopify.products import (
    ProductView,
    VariantView,
    product_of,
    variant_of,
)
from crm_integration.sandbox.shopify.shop_fields import shop_domain, shop_id, zone_name
from crm_integration.sandbox.shopify.values import fixed, gid, rest_time, unit_money

Json = dict[str, Any]


class RestShapes:
    """Renders one shop's records for REST."""

    def __init__(self, shop: ShopState) -> None:
        self._shop, self._offset = shop, shop.settings.utc_offset_minutes

    def _at(self, epoch: int | None) -> str | None:
        return None if epoch is None else rest_time(epoch, self._offset)

    def shop(self) -> Json:
        settings = self._shop.settings
        return {
            "id": shop_id(self._shop),
            "name": settings.name,
            "email": "owner@example.com",
            "domain": settings.public_url.partition("//")[2],
            "myshopify_domain": shop_domain(self._shop),
            "currency": settings.currency,
            "iana_timezone": zone_name(self._shop),
            "money_format": "{{amount}}",
            "plan_name": "enterprise",
            "plan_display_name": "Shopify Plus",
            "taxes_included": True,
            "setup_required": False,
        }

    def order(self, order: OrderView) -> Json:
        record, address = order.record, self._address(order.address)
        closed = order.closed
        person = self._shop.customers.get(record.customer_id)
        return {
            "id": record.id,
            "admin_graphql_api_id": gid("Order", record.id),
            "name": order.name,
            "number": order.number,
            "order_number": order.number,
            "email": order.address.text("email") or "",
            "contact_email": order.address.text("email"),
            "phone": None,
            "created_at": self._at(record.created),
            "processed_at": self._at(record.created),
            "updated_at": self._at(order.updated),
            "closed_at": self._at(record.created) if closed else None,
            "cancelled_at": self._at(record.modified) if record.status == "cancelled" else None,
            "cancel_reason": "other" if record.status == "cancelled" else None,
            "confirmed": True,
            "test": False,
            "note": record.customer_note or None,
            "note_attributes": [{"name": k, "value": v} for k, v in order.attributes()],
            "tags": ", ".join(order.tags()),
            "source_name": {"checkout": "web", "import": "import"}.get(record.created_via, "api"),
            "financial_status": financial_status(order).lower(),
            "fulfillment_status": self._fulfillment(order),
            **self._totals(order),
            "billing_address": address,
            "shipping_address": address,
            "customer": None if person is None else self.customer(
                person_of_account(self._shop, person)),
            "line_items": [self._line(line) for line in order.lines()],
            "fulfillments": [self._parcel(parcel) for parcel in parcels_of(order)],
            "refunds": [self.refund(refund) for refund in refunds_of(order)],
            "discount_codes": [],
            "tax_lines": [],
            "shipping_lines": [],
        }  # fmt: skip

    def _fulfillment(self, order: OrderView) -> str | None:
        return {"FULFILLED": "fulfilled", "PARTIALLY_FULFILLED": "partial"}.get(
            fulfillment_status(order)
        )

    def _totals(self, order: OrderView) -> Json:
        record, currency = order.record, order.record.currency
        made: Json = {"currency": currency, "presentment_currency": currency}
        left = record.total_minor - record.refunded_minor
        outstanding = 0 if order.paid else record.total_minor
        for name, minor in (
            ("total_price", record.total_minor),
            ("subtotal_price", record.total_minor),
            ("total_line_items_price", record.total_minor),
            ("current_total_price", left),
            ("current_subtotal_price", left),
            ("total_tax", 0),
            ("total_discounts", 0),
            ("total_outstanding", outstanding),
        ):
            made[name] = fixed(minor, currency)
            if name != "total_outstanding":
                made[f"{name}_set"] = _bag(fixed(minor, currency), currency)
        return {**made, "taxes_included": True}

    def _line(self, line: LineView) -> Json:
        held, currency = line.line, line.order.record.currency
        product = product_of(self._shop, held.stock_code)
        variant = variant_of(self._shop, held.stock_code)
        price = unit_money(held.unit_price, currency).amount
        price = price if len(price.partition(".")[2]) > 1 else f"{price}0"
        return {
            "id": line.id,
            "admin_graphql_api_id": gid("LineItem", line.id),
            "title": line.title,
            "name": line.title,
            "sku": held.stock_code,
            "quantity": held.quantity,
            "current_quantity": line.current_quantity,
            "fulfillable_quantity": 0,
            "product_id": product.record.id if product else None,
            "variant_id": variant.id if variant else None,
            "product_exists": product is not None,
            "price": price,
            "price_set": _bag(price, currency),
            "total_discount": fixed(0, currency),
            "requires_shipping": True,
            "taxable": True,
            "gift_card": False,
            "properties": [],
            "tax_lines": [],
            "discount_allocations": [],
        }

    def _parcel(self, parcel: ParcelView) -> Json:
        record = parcel.record
        numbers = [record.tracking_number] if record.tracking_number else []
        return {
            "id": record.id,
            "admin_graphql_api_id": gid("Fulfillment", record.id),
            "order_id": record.order_id,
            "name": f"{parcel.order.name}.{parcel.number}",
            "status": {"cancelled": "cancelled", "pending": "open"}.get(record.state, "success"),
            "shipment_status": "delivered" if record.state == "delivered" else None,
            "created_at": self._at(record.created),
            "updated_at": self._at(record.modified),
            "tracking_company": record.carrier or None,
            "tracking_number": record.tracking_number or None,
            "tracking_numbers": numbers,
            "line_items": [
                {**self._line(one.line), "quantity": one.quantity} for one in parcel.lines()
            ],
        }

    def refund(self, refund: RefundView) -> Json:
        record, currency = refund.record, refund.order.record.currency
        return {
            "id": record.id,
            "admin_graphql_api_id": gid("Refund", record.id),
            "order_id": record.order_id,
            "created_at": self._at(record.at),
            "processed_at": self._at(record.at),
            "note": record.reason or None,
            "restock": False,
            "refund_line_items": [
                {
                    "id": one.id,
                    "line_item_id": one.line.id,
                    "quantity": one.quantity,
                    "restock_type": "no_restock",
                    "subtotal": float(fixed(one.amount_minor, currency)),
                    "subtotal_set": _bag(fixed(one.amount_minor, currency), currency),
                    "total_tax": 0.0,
                    "line_item": self._line(one.line),
                }
                for one in refund.lines()
            ],
            "order_adjustments": [
                {
                    "id": one.id,
                    "order_id": record.order_id,
                    "refund_id": record.id,
                    "kind": "refund_discrepancy",
                    "reason": "Refund discrepancy",
                    "amount": fixed(one.amount_minor, currency),
                    "tax_amount": fixed(0, currency),
                }
                for one in refund.adjustments()
            ],
            "transactions": [
                {
                    "id": 2 * record.id + 1,
                    "order_id": record.order_id,
                    "kind": "refund",
                    "status": "success",
                    "gateway": "manual",
                    "amount": fixed(record.amount_minor, currency),
                    "currency": currency,
                    "created_at": self._at(record.at),
                }
            ],
        }

    def customer(self, person: Person) -> Json:
        address = None if person.address is None else {
            **self._address(person.address), "id": person.address.id,
            "customer_id": person.id, "default": True,
        }  # fmt: skip
        level = consent_level(person)
        return {
            "id": person.id,
            "admin_graphql_api_id": gid("Customer", person.id),
            "email": person.email,
            "first_name": person.first_name,
            "last_name": person.last_name,
            "phone": person.phone,
            "created_at": self._at(person.created),
            "updated_at": self._at(person.modified),
            "state": "enabled",
            "verified_email": True,
            "note": None,
            "tags": f"{INVENTED_KEY}: {INVENTED_VALUE}" if person.invented else "",
            "currency": self._shop.settings.currency,
            "tax_exempt": False,
            "addresses": [address] if address else [],
            "default_address": address,
            "email_marketing_consent": {
                "state": consent_state(person).lower(),
                "opt_in_level": level.lower() if level else None,
                "consent_updated_at": self._at(person.consent.at) if person.consent else None,
            },
            "sms_marketing_consent": None,
        }

    def _address(self, address: Address) -> Json:
        return {
            "first_name": address.text("first_name"),
            "last_name": address.text("last_name"),
            "name": address.name or "",
            "company": address.text("company"),
            "address1": address.text("address_1"),
            "address2": address.text("address_2"),
            "city": address.text("city"),
            "province": address.text("state"),
            "zip": address.text("postcode"),
            "country": address.country,
            "country_code": address.code,
            "phone": address.text("phone"),
        }

    def product(self, product: ProductView) -> Json:
        record, variant = product.record, VariantView(product)
        dates = {"created_at": self._at(record.created), "updated_at": self._at(record.modified)}
        return {
            "id": record.id,
            "admin_graphql_api_id": gid("Product", record.id),
            "title": product.title,
            "body_html": "",
            "vendor": self._shop.settings.name,
            "product_type": "",
            "handle": product.handle,
            "status": "active",
            "tags": "",
            **dates,
            "published_at": dates["created_at"],
            "variants": [{
                "id": variant.id,
                "product_id": record.id,
                "title": "Default Title",
                "sku": record.sku,
                "price": fixed(record.price_minor, product.currency),
                "position": 1,
                **dates,
            }],
            "images": [],
            "options": [],
        }  # fmt: skip


def _bag(amount: str, currency: str) -> Json:
    held = {"amount": amount, "currency_code": currency}
    return {"shop_money": held, "presentment_money": dict(held)}
