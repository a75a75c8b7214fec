"""The refunds inside an order's payload.

Prevents money that went back from vanishing: a cart may list its refunds or only sum them up, and
a credit note without an order comes as an order that is none.
"""

from __future__ import annotations

from typing import Any

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.refunds import Refund
from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._payload import checked, rows
from crm_integration.stores._php import amount, section
from crm_integration.stores.api2cart.fields import Fields, required_id
from crm_integration.stores.api2cart.order_reading import (
    TIME_OF_ORDER,
    customer_identity,
    is_credit,
    order_currency,
    order_id,
    order_number,
)


def refund_objects(payload: JsonObject, context: StoreContext) -> list[StoreObject]:
    """Each refund of the order; where a cart only sums them up (`status.refund_info`), the sum."""
    listed = rows(payload, "refunds")
    if listed:
        return [_refund(payload, row, f"refunds[{n}].", context) for n, row in enumerate(listed)]
    summed = section(section(payload, "status"), "refund_info", "status.")
    if summed.get("total_refunded") in (None, "", 0):
        return []
    row = {
        "id": "sum", "total": summed["total_refunded"], "modified_time": summed.get("time"),
        "comment": summed.get("comment"),
    }  # fmt: skip
    return [_refund(payload, row, "status.refund_info.", context)]


def _refund(payload: JsonObject, row: JsonObject, path: str, context: StoreContext) -> StoreObject:
    """Its id is made of the order's and its own: some carts number refunds within the order."""
    fields = Fields(context)
    currency = order_currency(payload)
    own = required_id(row, "a refund id", path)
    at = fields.date(row, "modified_time", path)
    if at is None:
        fields.flag(TIME_OF_ORDER)
        at = fields.moment(payload, "modified_at", "create_at")
    given_back = amount(row, "total", currency, path)
    if given_back <= 0:
        fields.flag("refund_not_positive")
    values: dict[str, Any] = {
        "source_id": f"{order_id(payload)}/{own}",
        "source_time": at,
        "refunded_at": at,
        "currency": currency,
        "amount_minor": given_back,
        "reason": fields.text(row, "comment", path),
    }
    if is_credit(payload, context):
        kind, customer = customer_identity(payload)
        values |= {"customer_kind": kind, "customer_source_id": customer}
        values["number"] = order_number(payload, fields)
    else:
        values |= {"order_source_id": order_id(payload), "number": own}
    return checked(Refund, {**values, "flags": fields.flags})
