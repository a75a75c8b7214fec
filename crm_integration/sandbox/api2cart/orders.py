"""One order as order.list and order.info show it.

Prevents tidy test data: unreadable invoices keep their negative quantities, a credit note without
an order says so in a tag, refunds sit inside the order without a date of their own creation, and
parcels are not there at all.
"""

from __future__ import annotations

from crm_integration.sandbox.api2cart.addresses import address
from crm_integration.sandbox.api2cart.selection import Entity
from crm_integration.sandbox.api2cart.view import INVENTED, View, amount
from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.order_book import CREDIT_TAG
from crm_integration.sandbox.shop_rendering import billing_of
from crm_integration.sandbox.shop_state import Json, OrderRecord, RefundRecord

STATUSES = {
    "pending": "Pending payment", "processing": "Processing", "on-hold": "On hold",
    "completed": "Completed", "cancelled": "Cancelled", "refunded": "Refunded", "failed": "Failed",
}  # fmt: skip
FINANCIAL_STATUSES = ("pending", "paid", "partially_refunded", "refunded", "voided")
_UNPAID = {"pending", "on-hold", "failed"}
_ALIASES = {
    "items": ("order_products",),
    "address": ("shipping_address", "billing_address"),
    "totals": ("totals",),
}
_METHOD: Json = {"name": "Standard"}
_NO_TAX_SPLIT: Json = dict.fromkeys(("subtotal_tax", "wrapping_tax", "shipping_tax"), 0)


def financial_status(order: OrderRecord) -> str:
    """What the money says: one of FINANCIAL_STATUSES."""
    if order.status == "refunded":
        return "refunded"
    if order.status == "cancelled":
        return "voided"
    if order.refunds:
        return "partially_refunded"
    return "pending" if order.status in _UNPAID else "paid"


def fulfillment_status(order: OrderRecord) -> str:
    """not_shipped, partially_shipped, shipped or delivered, by the quantities in its parcels."""
    sent = [one for one in order.shipments if one.state in {"shipped", "delivered"}]
    if not sent:
        return "not_shipped"
    pieces = sum(quantity for one in sent for _, quantity in one.lines)
    if pieces < sum(line.quantity for line in order.lines):
        return "partially_shipped"
    return "delivered" if all(one.state == "delivered" for one in sent) else "shipped"


def order_entity(view: View) -> Entity[OrderRecord]:
    """The fields of the description's Order, in its recorded order."""
    return Entity(
        {
            "id": lambda one: str(one.id),
            "order_id": lambda one: one.number,
            "basket_id": lambda one: None,
            "channel_id": lambda one: None,
            "customer": lambda one: _customer(view, one),
            "create_at": lambda one: view.time(one.created),
            "currency": lambda one: view.currency(one.currency),
            "shipping_address": lambda one: _address(view, one, "shipping"),
            "billing_address": lambda one: _address(view, one, "billing"),
            "payment_method": lambda one: {"name": "Bank"},
            "shipping_method": lambda one: _METHOD,
            "shipping_methods": lambda one: [_METHOD],
            "status": lambda one: _status(view, one),
            "totals": _totals,
            "total": _total,
            "discounts": lambda one: [],
            "order_products": lambda one: _products(view, one),
            "bundles": lambda one: [],
            "modified_at": lambda one: view.time(one.modified),
            "finished_time": lambda one: view.time(_finished(one)),
            "comment": _comment,
            "store_id": lambda one: "1",
            "warehouses_ids": lambda one: [],
            "refunds": lambda one: [_refund(view, one, refund) for refund in one.refunds],
            "gift_message": lambda one: None,
            "order_details_url": lambda one: None,
            "additional_fields": _additional_fields,
            "custom_fields": _custom_fields,
        },
        _ALIASES,
    )


def _customer(view: View, order: OrderRecord) -> Json:
    """The account's id, or '' for a guest; the e-mail is the one typed at checkout."""
    billing = billing_of(view.shop, order)
    return {
        "id": str(order.customer_id) if order.customer_id else "",
        "email": billing["email"],
        "first_name": billing["first_name"],
        "last_name": billing["last_name"],
        "phone": billing["phone"],
    }


def _address(view: View, order: OrderRecord, kind: str) -> Json:
    return address(billing_of(view.shop, order), kind, f"{order.id}-{kind}", order.country)


def _status(view: View, order: OrderRecord) -> Json:
    name = STATUSES.get(order.status, order.status.capitalize())
    refunded = _refund_info(view, order) if order.refunds else None
    return {"id": order.status, "name": name, "history": [], "refund_info": refunded}


def _refund_info(view: View, order: OrderRecord) -> Json:
    return {
        "comment": order.refunds[-1].reason,
        "fee": 0,
        "refunded_items": [
            item for refund in order.refunds for item in _refund_items(view, order, refund)
        ],
        "shipping": 0,
        "tax": 0,
        "time": view.time(order.refunds[-1].at),
        "total_refunded": amount(order.refunded_minor, order.currency),
    }


def _refund(view: View, order: OrderRecord, refund: RefundRecord) -> Json:
    """Positive, as money that went back; its only time is `modified_time`."""
    return {
        "id": str(refund.id),
        "shipping": 0,
        "fee": 0,
        "tax": 0,
        "total": amount(refund.amount_minor, order.currency),
        "modified_time": view.time(refund.at),
        "comment": refund.reason,
        "items": _refund_items(view, order, refund),
    }


def _refund_items(view: View, order: OrderRecord, refund: RefundRecord) -> list[Json]:
    """A credit note's lines (negative there), each on the order's first line of that item."""
    lines: dict[str, int] = {}
    for position, line in enumerate(order.lines):
        lines.setdefault(line.stock_code, order.id_of_line(position))
    return [
        {
            "product_id": product_id(view, line),
            "variant_id": None,
            "order_product_id": str(lines.get(line.stock_code, "")),
            "qty": -line.quantity,
            "refund": amount(-line.amount_minor, order.currency),
        }
        for line in refund.lines
    ]


def _totals(order: OrderRecord) -> Json:
    total = amount(order.total_minor, order.currency)
    return {"total": total, "subtotal": total, "shipping": 0, "tax": 0, "discount": 0}


def _total(order: OrderRecord) -> Json:
    total = amount(order.total_minor, order.currency)
    return {
        "subtotal_ex_tax": total,
        "wrapping_ex_tax": 0,
        "shipping_ex_tax": 0,
        "total_discount": 0,
        "total_tax": 0,
        "total": total,
        "total_paid": 0 if order.status in _UNPAID else total,
        "additional_fields": _NO_TAX_SPLIT,
    }


def product_id(view: View, line: Line) -> str:
    """'' where the line is of no product."""
    return str(view.shop.product_ids.get(line.stock_code, ""))


def line_item(view: View, line: Line, key: int, currency: str) -> Json:
    """One line; order.abandoned.list writes it alike."""
    return {
        "product_id": product_id(view, line),
        "order_product_id": str(key),
        "model": line.stock_code,
        "name": line.description or line.stock_code,
        "price": line.unit_price,
        "price_inc_tax": line.unit_price,
        "quantity": line.quantity,
        "discount_amount": 0,
        "total_price": amount(line.amount_minor, currency),
        "tax_percent": 0,
        "tax_value": 0,
        "tax_value_after_discount": 0,
        "options": [],
        "variant_id": None,
        "weight_unit": None,
        "weight": None,
        "barcode": None,
        "parent_order_product_id": None,
    }


def _products(view: View, order: OrderRecord) -> list[Json]:
    return [
        line_item(view, line, order.id_of_line(position), order.currency)
        for position, line in enumerate(order.lines)
    ]


def _finished(order: OrderRecord) -> int | None:
    return order.created if order.status in {"completed", "refunded"} else None


def _comment(order: OrderRecord) -> str:
    """The buyer's note; what the import said on an order that only carries a credit note."""
    return str(dict(order.meta).get(CREDIT_TAG[0], order.customer_note))


def _additional_fields(order: OrderRecord) -> Json:
    """Platform fields; recorded answers have both statuses as plain words."""
    fields: Json = {
        "financial_status": financial_status(order),
        "fulfillment_status": fulfillment_status(order),
    }
    tag = dict(order.meta).get(CREDIT_TAG[0])
    return fields if tag is None else {**fields, "tags": tag}


def _custom_fields(order: OrderRecord) -> Json:
    return {**INVENTED, **{key: value for key, value in order.meta if key != CREDIT_TAG[0]}}
