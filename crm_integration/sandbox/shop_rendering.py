"""WooCommerce's JSON for what a shop holds, field for field as recorded from version 11.0.1.

Prevents the failure where a connector is built on tidy JSON: money is strings but a line's price
a number, refunds are negative in the order and positive in the refund, dates carry no zone.
"""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from crm_integration.sandbox.countries import country_code
from crm_integration.sandbox.identities import billing_email, invented
from crm_integration.sandbox.invoices import Line, exponent_of
from crm_integration.sandbox.shop_state import (
    CustomerRecord,
    Json,
    OrderRecord,
    ProductRecord,
    RefundRecord,
    ShopState,
)

_SYMBOLS = {"GBP": "£", "EUR": "€", "USD": "$", "JPY": "¥"}
_ORDER_VERBS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
#: Said on every order and account, so that nobody takes an invented person for a real one.
INVENTED = {"id": 1, "key": "_invented_identity", "value": "yes"}
_IMAGE = {"id": "", "src": ""}
_NO_ITEMS: list[Any] = []
_NO_OTHER_LINES: Json = dict.fromkeys(
    ("tax_lines", "shipping_lines", "fee_lines", "coupon_lines"), _NO_ITEMS
)
_NO_EXTRA_MONEY: Json = dict.fromkeys(
    ("discount_total", "discount_tax", "shipping_total", "shipping_tax", "cart_tax", "total_tax"),
    "0.00",
)
_UNPAID = {"pending", "on-hold", "failed"}


def money(minor: int, currency: str) -> str:
    """Minor units as WooCommerce writes them: a string with at least two decimals."""
    exponent = exponent_of(currency)
    whole, part = divmod(abs(minor), 10**exponent)
    sign = "-" if minor < 0 else ""
    return f"{sign}{whole}.{str(part).zfill(exponent) if exponent else '00'}"


@lru_cache(maxsize=200_000)
def local_time(epoch: int, offset_minutes: int) -> str:
    """A date without a zone, as the API writes both its local and its _gmt fields."""
    return datetime.fromtimestamp(epoch + offset_minutes * 60, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _dates(shop: ShopState, names: dict[str, int | None]) -> Json:
    """Each date twice: in shop time and, with `_gmt`, in UTC."""
    dates: Json = {}
    for name, epoch in names.items():
        dates[name] = None if epoch is None else local_time(epoch, shop.settings.utc_offset_minutes)
        dates[f"{name}_gmt"] = None if epoch is None else local_time(epoch, 0)
    return dates


def _links(shop: ShopState, path: str, collection: str, verbs: list[str]) -> Json:
    base = f"{shop.settings.public_url}/wp-json/wc/v3"
    return {
        "self": [{"href": f"{base}/{path}", "targetHints": {"allow": verbs}}],
        "collection": [{"href": f"{base}/{collection}"}],
    }


def _address(shop: ShopState, person: str, country: str) -> Json:
    who = invented(shop.settings.seed, person)
    return {
        "first_name": who.first_name,
        "last_name": who.last_name,
        "company": "",
        "address_1": who.street,
        "address_2": "",
        "city": who.city,
        "state": "",
        "postcode": who.postcode,
        "country": country_code(country),
    }


_EMPTY_ADDRESS: Json = dict.fromkeys(
    ("first_name", "last_name", "company", "address_1", "address_2", "city", "state", "postcode",
     "country"), "",
)  # fmt: skip


def billing_of(shop: ShopState, order: OrderRecord) -> Json:
    """The billing address; its e-mail equals the account's up to letter case."""
    if order.billing is not None:
        return {**_EMPTY_ADDRESS, "email": "", "phone": "", **order.billing}
    address = _address(shop, order.person, order.country)
    address["email"] = billing_email(shop.settings.seed, order.person)
    address["phone"] = invented(shop.settings.seed, order.person).phone
    return address


def _line(shop: ShopState, line: Line, key: int, currency: str) -> Json:
    total = money(line.amount_minor, currency)
    return {
        "id": key,
        "name": line.description or line.stock_code,
        "product_id": shop.product_ids.get(line.stock_code, 0),
        "variation_id": 0,
        "quantity": line.quantity,
        "tax_class": "",
        "subtotal": total,
        "subtotal_tax": "0.00",
        "total": total,
        "total_tax": "0.00",
        "taxes": _NO_ITEMS,
        "meta_data": _NO_ITEMS,
        "sku": line.stock_code,
        "global_unique_id": "",
        "price": line.unit_price,
        "image": _IMAGE,
        "parent_name": None,
    }


def order_json(shop: ShopState, order: OrderRecord) -> Json:
    """One order, as GET orders/ID answers."""
    billing = billing_of(shop, order)
    return {
        **_order_head(shop, order),
        "billing": billing,
        "shipping": {name: billing[name] for name in _EMPTY_ADDRESS} | {"phone": ""},
        **_order_payment(shop, order),
        "meta_data": [INVENTED, *_meta(order.meta)],
        "line_items": [
            _line(shop, line, order.id_of_line(position), order.currency)
            for position, line in enumerate(order.lines)
        ],
        **_NO_OTHER_LINES,
        "refunds": [_refund_in_order(refund, order.currency) for refund in order.refunds],
        **_order_tail(shop, order),
    }


def _order_head(shop: ShopState, order: OrderRecord) -> Json:
    return {
        "id": order.id,
        "parent_id": 0,
        "status": order.status,
        "currency": order.currency,
        "version": "11.0.1",
        "prices_include_tax": False,
        **_dates(shop, {"date_created": order.created, "date_modified": order.modified}),
        **_NO_EXTRA_MONEY,
        "total": money(order.total_minor, order.currency),
        "customer_id": order.customer_id,
        "order_key": _order_key(shop, order),
    }


def _order_payment(shop: ShopState, order: OrderRecord) -> Json:
    paid = None if order.status in _UNPAID else order.created
    done = paid if order.status in {"completed", "refunded"} else None
    return {
        "payment_method": "bacs",
        "payment_method_title": "Bank",
        "transaction_id": "",
        "customer_ip_address": "",
        "customer_user_agent": "",
        "created_via": order.created_via,
        "customer_note": order.customer_note,
        **_dates(shop, {"date_completed": done, "date_paid": paid}),
        "cart_hash": "",
        "number": order.number,
    }


def _order_tail(shop: ShopState, order: OrderRecord) -> Json:
    home = shop.settings.public_url
    links = _links(shop, f"orders/{order.id}", "orders", _ORDER_VERBS)
    if order.customer_id:
        links["customer"] = [{"href": f"{home}/wp-json/wc/v3/customers/{order.customer_id}"}]
    pay = f"{home}/checkout/order-pay/{order.id}/?pay_for_order=true"
    return {
        "payment_url": f"{pay}&key={_order_key(shop, order)}",
        "is_editable": order.status in {"pending", "on-hold"},
        "needs_payment": order.status == "pending",
        "needs_processing": True,
        "currency_symbol": _SYMBOLS.get(order.currency, order.currency),
        "_links": links,
    }


def _order_key(shop: ShopState, order: OrderRecord) -> str:
    drawn = hashlib.sha256(f"{shop.settings.name}:{order.id}".encode()).hexdigest()
    return f"wc_order_{drawn[:13]}"


def _refund_in_order(refund: RefundRecord, currency: str) -> Json:
    """Negative here, positive as `amount` of the refund itself."""
    total = money(-refund.amount_minor, currency)
    return {"id": refund.id, "reason": refund.reason, "total": total}


def _meta(pairs: tuple[tuple[str, Any], ...]) -> list[Json]:
    return [{"id": 2 + n, "key": key, "value": value} for n, (key, value) in enumerate(pairs)]


def refund_json(shop: ShopState, refund: RefundRecord, *, listed_alone: bool = False) -> Json:
    """One refund; `GET refunds` (listed_alone) adds the order's id as `parent_id`."""
    order = shop.orders[refund.order_id]
    full = order.refunded_minor >= order.total_minor
    path = f"orders/{order.id}/refunds"
    links = _links(shop, f"{path}/{refund.id}", path, ["GET", "DELETE"])
    links["up"] = [{"href": f"{shop.settings.public_url}/wp-json/wc/v3/orders/{order.id}"}]
    answer: Json = {
        "id": refund.id,
        **({"parent_id": order.id} if listed_alone else {}),
        **_dates(shop, {"date_created": refund.at}),
        "amount": money(refund.amount_minor, order.currency),
        "reason": refund.reason,
        "refunded_by": 1,
        "refunded_payment": False,
        "meta_data": [{"id": 1, "key": "_refund_type", "value": "full" if full else "partial"}],
        "line_items": [
            _line(shop, line, refund.id * 10_000 + position + 1, order.currency)
            for position, line in enumerate(refund.lines)
        ],
        "shipping_lines": [],
        "tax_lines": [],
        "fee_lines": [],
        "_links": links,
    }
    return answer


def customer_json(shop: ShopState, customer: CustomerRecord) -> Json:
    """One account. Its dates move with its own edits, never with its orders."""
    who = invented(shop.settings.seed, customer.person) if customer.person else None
    address = _address(shop, customer.person, customer.country) if who else dict(_EMPTY_ADDRESS)
    email = str(customer.fields.get("email", who.email if who else ""))
    billing = {**address, "email": email, "phone": who.phone if who else ""}
    digest = hashlib.sha256(email.lower().encode()).hexdigest()
    answer: Json = {
        "id": customer.id,
        **_dates(shop, {"date_created": customer.created, "date_modified": customer.modified}),
        "email": email,
        "first_name": who.first_name if who else "",
        "last_name": who.last_name if who else "",
        "role": "customer",
        "username": f"invented-{customer.id}",
        "billing": billing,
        "shipping": {**address, "phone": ""},
        "is_paying_customer": True,
        "avatar_url": f"https://secure.gravatar.com/avatar/{digest}?s=96&d=mm&r=g",
        "meta_data": [INVENTED],
        "_links": _links(shop, f"customers/{customer.id}", "customers", _ORDER_VERBS),
    }
    for name, value in customer.fields.items():
        merged = name in {"billing", "shipping"}
        answer[name] = {**answer[name], **value} if merged else value
    return answer


def product_json(shop: ShopState, product: ProductRecord) -> Json:
    """One simple product; WooCommerce's many unused fields are left at what it writes for them."""
    price = money(product.price_minor, shop.settings.currency)
    slug = product.sku.lower().replace(" ", "-")
    return {
        "id": product.id,
        "name": product.name or product.sku,
        "slug": slug,
        "permalink": f"{shop.settings.public_url}/product/{slug}/",
        **_dates(shop, {"date_created": product.created, "date_modified": product.modified}),
        "type": "simple",
        "status": "publish",
        "featured": False,
        "catalog_visibility": "visible",
        "description": "",
        "short_description": "",
        "sku": product.sku,
        "price": price,
        "regular_price": price,
        "sale_price": "",
        "on_sale": False,
        "purchasable": True,
        "total_sales": 0,
        "virtual": False,
        "downloadable": False,
        "tax_status": "taxable",
        "tax_class": "",
        "manage_stock": False,
        "stock_quantity": None,
        "weight": "",
        "parent_id": 0,
        "categories": [{"id": 15, "name": "Uncategorized", "slug": "uncategorized"}],
        "tags": [],
        "images": [],
        "attributes": [],
        "variations": [],
        "meta_data": [],
        "stock_status": "instock",
        "_links": _links(shop, f"products/{product.id}", "products", _ORDER_VERBS),
    }
