"""Invented store objects, sound ones and at least one that breaks each rule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import FinancialState, FulfilmentState, Order, OrderLine
from crm_integration.canonical.products import Product, Variant
from crm_integration.canonical.refunds import Refund

OPTIONS = {"order.number.pattern": "[0-9]+", "order.lines.required": True}
WHEN = datetime(2011, 3, 1, 9, 30, tzinfo=UTC)
NUL = "a\0b"
_EARLY = datetime(1970, 1, 1, tzinfo=UTC)
_LATE = datetime(2100, 1, 1, tzinfo=UTC)


def line(position: int = 0, **changes: Any) -> OrderLine:
    given: dict[str, Any] = {
        "position": position,
        "sku": "85123A",
        "title": "A lantern",
        "quantity": 2,
        "unit_price": Decimal("1.25"),
        "total_minor": 250,
    }
    return OrderLine.model_construct(**OrderLine(**given).model_copy(update=changes).__dict__)


def _changed(sound: StoreObject, changes: dict[str, Any]) -> Any:
    # model_copy does not validate: a rule must hold on its own, whatever the model refuses.
    return sound.model_copy(update=changes)


def order(**changes: Any) -> Order:
    sound = Order(
        source_id="1",
        source_time=WHEN,
        number="536365",
        customer_kind="guest",
        customer_source_id="1",
        placed_at=WHEN,
        currency="GBP",
        total_minor=500,
        financial_state=FinancialState.paid,
        fulfilment_state=FulfilmentState.fulfilled,
        lines=(line(0), line(1)),
    )
    return _changed(sound, changes)


def customer(**changes: Any) -> Customer:
    sound = Customer(
        source_id="7", source_time=WHEN, kind=CustomerKind.registered, email="ana@example.com"
    )
    return _changed(sound, changes)


def product(**changes: Any) -> Product:
    sound = Product(
        source_id="9", source_time=WHEN, title="A lantern", currency="GBP", price_minor=125
    )
    return _changed(sound, changes)


def refund(**changes: Any) -> Refund:
    sound = Refund(
        source_id="5",
        source_time=WHEN,
        number="C536379",
        order_source_id="1",
        refunded_at=WHEN,
        currency="GBP",
        amount_minor=100,
    )
    return _changed(sound, changes)


_EVERYWHERE: dict[str, list[dict[str, Any]]] = {
    "source_id": [{"source_id": ""}, {"source_id": " \t"}],
    "source_time": [{"source_time": _EARLY}, {"source_time": _LATE}],
    "storable": [{"source_id": NUL}],
}
BREAKS: dict[str, list[dict[str, Any]]] = {
    f"{entity}.{what}": changes
    for entity in ("customer", "product", "order", "refund")
    for what, changes in _EVERYWHERE.items()
} | {
    "order.number": [{"number": n} for n in ("A563185", "", "536365 ", "5363\n65", "536365\n")],
    "order.lines": [{"lines": (), "total_minor": 0}],
    "order.currency": [{"currency": "ZZZ"}, {"currency": "QQQ"}],
    "order.total": [{"total_minor": -1}],
    "order.placed_at": [{"placed_at": _EARLY}],
    "order.placed_before_change": [{"placed_at": WHEN + timedelta(days=1, seconds=1)}],
    "order.total_adds_up": [{"total_minor": 503}, {"total_minor": 497}, {"tax_minor": 3}],
    "order_line.quantity": [{"quantity": 0}, {"quantity": -12}],
    "order_line.unit_price": [{"unit_price": Decimal("-0.001")}],
    "order_line.total": [{"total_minor": -1}],
    "order_line.storable": [{"sku": NUL}, {"title": NUL}, {"product_source_id": NUL}],
    "customer.email": [
        {"email": text}
        for text in ("", "ana", "ana@", "@example.com", "ana@example", "a b@example.com")
        + ("ana@example.com\n", "ana@@example.com", "ana@example..com", "x" * 250 + "@a.bc", NUL)
    ],
    "product.title": [{"title": ""}, {"title": "\u00a0 "}],
    "product.currency": [{"currency": "ZZZ"}],
    "product.price": [{"price_minor": -1}],
    "product.storable": [
        {"title": NUL},
        {"variants": (Variant(source_id="1", title=NUL),)},
        {"variants": (Variant(source_id="1", options=(("Size", NUL),)),)},
    ],
    "refund.currency": [{"currency": "ZZZ"}],
    "refund.amount": [{"amount_minor": 0}, {"amount_minor": -100}],
    "refund.storable": [{"order_source_id": NUL}],
}
"""Rule -> changes to a sound object (or line), each of which breaks it."""

STILL_SOUND: dict[str, list[dict[str, Any]]] = {
    "order": [
        {"total_minor": 502},
        {"total_minor": 498},
        {"placed_at": WHEN + timedelta(days=1)},
        {"currency": "JPY"},
        {"tax_minor": 20, "shipping_minor": 30, "total_minor": 550},
    ],
    "order_line": [{"unit_price": Decimal(0), "total_minor": 0}, {"quantity": 1}],
    "customer": [
        {"email": None},
        {"email": "Jane.Doe+x@sub.example.co.uk"},
        {"email": "ü@exämple.de"},
    ],
    "product": [{"price_minor": None}, {"price_minor": 0}],
    "refund": [{"order_source_id": None}, {"amount_minor": 1}],
}
"""Entity -> changes that break nothing, each at the edge of a rule."""

MAKE = {"order": order, "customer": customer, "product": product, "refund": refund}
