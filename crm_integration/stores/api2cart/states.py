"""What carts call the states of an order, in our words.

Prevents an unknown word from stopping an order or from being guessed: it is kept as it came, and
flagged.
"""

from __future__ import annotations

from collections.abc import Mapping

from crm_integration.canonical.orders import FinancialState, FulfilmentState
from crm_integration.stores._contract import JsonObject, StoreContext
from crm_integration.stores._php import section
from crm_integration.stores.api2cart.fields import Fields

STATUS_UNKNOWN = "status_unknown"
_F, _D = FinancialState, FulfilmentState
_MONEY: Mapping[str, FinancialState] = {
    "pending": _F.pending, "pending_payment": _F.pending, "unpaid": _F.pending,
    "not_paid": _F.pending, "awaiting_payment": _F.pending, "authorized": _F.pending,
    "partially_paid": _F.pending, "partially_authorized": _F.pending,
    "paid": _F.paid, "captured": _F.paid, "payment_accepted": _F.paid,
    "partially_refunded": _F.partially_refunded, "refunded": _F.refunded,
    "voided": _F.cancelled, "cancelled": _F.cancelled, "canceled": _F.cancelled,
    "failed": _F.failed, "declined": _F.failed, "payment_failed": _F.failed,
    "expired": _F.failed,
}  # fmt: skip
"""Financial statuses of the carts."""
_ORDER: Mapping[str, FinancialState] = {
    "new": _F.pending, "on_hold": _F.pending, "holded": _F.pending, "open": _F.pending,
    "checkout_draft": _F.pending, "payment_review": _F.pending, "incomplete": _F.pending,
    "awaiting_shipment": _F.paid, "awaiting_fulfillment": _F.paid, "processing": _F.paid,
    "partially_shipped": _F.paid, "shipped": _F.paid, "delivered": _F.paid,
    "complete": _F.paid, "completed": _F.paid, "closed": _F.paid, "unshipped": _F.paid,
    "trash": _F.cancelled, "chargeback": _F.refunded,
}  # fmt: skip
"""Order statuses that tell of money where a cart has no financial status of its own."""
_GIVEN_BACK = (_F.refunded, _F.partially_refunded)
_ENDED = (_F.cancelled, _F.failed)
_GOODS: Mapping[str, FulfilmentState] = {
    "not_shipped": _D.unfulfilled, "unshipped": _D.unfulfilled, "unfulfilled": _D.unfulfilled,
    "partial": _D.partial, "partially_shipped": _D.partial, "partially_fulfilled": _D.partial,
    "shipped": _D.fulfilled, "fulfilled": _D.fulfilled, "delivered": _D.fulfilled,
    "shipped_and_not_delivered": _D.fulfilled, "complete": _D.fulfilled,
    "completed": _D.fulfilled,
}  # fmt: skip


def store_status(payload: JsonObject, fields: Fields) -> str:
    """The order's status as people read it there."""
    status = section(payload, "status")
    return fields.text(status, "name", "status.") or fields.text(status, "id", "status.")


def financial_state(payload: JsonObject, fields: Fields) -> FinancialState:
    """By the financial status where the cart has one, else by the order's; unknown: pending.

    An order that its store calls cancelled or failed is that, unless its money went back.
    """
    money = _MONEY.get(_word(_named(payload, "financial_status", fields)))
    found = (_ORDER.get(word) or _MONEY.get(word) for word in _statuses(payload, fields))
    order = next((state for state in found if state is not None), None)
    if money is not None and (money in _GIVEN_BACK or order not in _ENDED):
        return money
    if order is not None:
        return order
    fields.flag(STATUS_UNKNOWN)
    return FinancialState.pending


def fulfilment_state(payload: JsonObject, fields: Fields) -> FulfilmentState:
    """By the fulfilment status where the cart has one, else by the order's; else unfulfilled."""
    goods = _named(payload, "fulfillment_status", fields)
    if goods:
        known = _GOODS.get(_word(goods))
        if known is None:
            fields.flag(STATUS_UNKNOWN)
        return known or FulfilmentState.unfulfilled
    found = (_GOODS.get(status) for status in _statuses(payload, fields))
    return next((state for state in found if state is not None), FulfilmentState.unfulfilled)


def nothing_sent(payload: JsonObject) -> bool:
    """True only where the cart itself says that no parcel of the order has left."""
    said = _named(payload, "fulfillment_status", Fields(StoreContext("")))
    return _GOODS.get(_word(said)) is FulfilmentState.unfulfilled


def _statuses(payload: JsonObject, fields: Fields) -> list[str]:
    status = section(payload, "status")
    return [_word(fields.text(status, name, "status.")) for name in ("id", "name")]


def _named(payload: JsonObject, name: str, fields: Fields) -> str:
    """A status that carts put beside the order's, below it, or among the platform's fields; as a
    word or as `{id, name}`."""
    status = section(payload, "status")
    for holder in (
        payload,
        section(payload, "additional_fields"),
        status,
        section(status, "additional_fields", "status."),
    ):
        value = holder.get(name)
        if isinstance(value, dict):
            said = section(holder, name)
            found = fields.text(said, "name", f"{name}.") or fields.text(said, "id", f"{name}.")
        else:
            found = fields.text(holder, name)
        if found:
            return found
    return ""


def _word(text: str) -> str:
    return "_".join(text.casefold().replace("-", " ").replace("_", " ").split())
