"""Invented store objects, sound ones and at least one that breaks each rule."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

from crm_integration.canonical.activities import Activity, ActivityKind
from crm_integration.canonical.carts import Cart, CartLine
from crm_integration.canonical.companies import Company
from crm_integration.canonical.consents import Channel, Consent, ConsentState
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import FinancialState, FulfilmentState, Order, OrderLine
from crm_integration.canonical.products import Product, Variant
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.shipments import Shipment, ShipmentState

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


def company(**changes: Any) -> Company:
    sound = Company(source_id="millersons/gb", source_time=WHEN, name="Miller & Sons Ltd")
    return _changed(sound, changes)


def consent(**changes: Any) -> Consent:
    sound = Consent(
        source_id="registered/7/email",
        source_time=WHEN,
        customer_kind="registered",
        customer_source_id="7",
        channel=Channel.email,
        state=ConsentState.subscribed,
        consented_at=WHEN,
    )
    return _changed(sound, changes)


def shipment(**changes: Any) -> Shipment:
    sound = Shipment(
        source_id="s1",
        source_time=WHEN,
        order_source_id="1",
        state=ShipmentState.delivered,
        shipped_at=WHEN,
        delivered_at=WHEN + timedelta(days=2),
    )
    return _changed(sound, changes)


def cart_line(position: int = 0, **changes: Any) -> CartLine:
    sound = CartLine(position=position, sku="85123A", quantity=2, unit_price=Decimal("1.25"))
    return sound.model_copy(update=changes)


def cart(**changes: Any) -> Cart:
    sound = Cart(
        source_id="c1",
        source_time=WHEN,
        started_at=WHEN,
        changed_at=WHEN,
        currency="GBP",
        total_minor=500,
        lines=(cart_line(0), cart_line(1)),
    )
    return _changed(sound, changes)


def activity(**changes: Any) -> Activity:
    sound = Activity(
        source_id="order/1/paid",
        source_time=WHEN,
        kind=ActivityKind.order_paid,
        occurred_at=WHEN,
        order_source_id="1",
        currency="GBP",
        amount_minor=500,
    )
    return _changed(sound, changes)


_EVERYWHERE: dict[str, list[dict[str, Any]]] = {
    "source_id": [{"source_id": ""}, {"source_id": " \t"}],
    "source_time": [{"source_time": _EARLY}, {"source_time": _LATE}],
    "storable": [{"source_id": NUL}],
}
BREAKS: dict[str, list[dict[str, Any]]] = {
    f"{entity}.{what}": changes for entity in ENTITIES for what, changes in _EVERYWHERE.items()
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
    "refund.refunded_at": [{"refunded_at": _EARLY}, {"refunded_at": _LATE}],
    "order.placed_at_before_paid_at": [{"paid_at": WHEN - timedelta(days=1, seconds=1)}],
    "order.placed_at_before_cancelled_at": [{"cancelled_at": WHEN - timedelta(days=2)}],
    "order.financial_state": [{"financial_state": "on_hold"}, {"financial_state": ""}],
    "order.fulfilment_state": [{"fulfilment_state": "lost"}],
    "customer.kind": [{"kind": "robot"}],
    "product.status": [{"status": "trash"}],
    "company.name": [{"name": ""}, {"name": " "}],
    "company.storable": [{"name": NUL}, {"city": NUL}],
    "consent.storable": [{"basis": NUL}, {"customer_source_id": NUL}],
    "consent.customer_named": [{"customer_source_id": ""}],
    "consent.channel": [{"channel": "fax"}],
    "consent.state": [{"state": "maybe"}],
    "consent.level": [{"level": "triple"}],
    "consent.consented_at": [{"consented_at": _EARLY}, {"consented_at": _LATE}],
    "consent.consented_at_before_source_time": [
        {"consented_at": WHEN + timedelta(days=1, seconds=1)}
    ],
    "shipment.storable": [{"tracking_number": NUL}, {"carrier": NUL}],
    "shipment.order_named": [{"order_source_id": ""}, {"order_source_id": " "}],
    "shipment.state": [{"state": "in_transit"}],
    "shipment.shipped_at": [{"shipped_at": _EARLY}],
    "shipment.delivered_at": [{"delivered_at": _LATE}],
    "shipment.shipped_at_before_delivered_at": [
        {"delivered_at": WHEN - timedelta(days=1, seconds=1)}
    ],
    "cart.storable": [{"recovery_url": NUL}],
    "cart.currency": [{"currency": "ZZZ"}],
    "cart.total": [{"total_minor": -1}],
    "cart.started_at": [{"started_at": _EARLY}],
    "cart.changed_at": [{"changed_at": _LATE}],
    "cart.started_at_before_changed_at": [{"changed_at": WHEN - timedelta(days=2)}],
    "cart.started_at_before_abandoned_at": [{"abandoned_at": WHEN - timedelta(days=2)}],
    "cart.started_at_before_completed_at": [{"completed_at": WHEN - timedelta(days=2)}],
    "cart.total_adds_up": [{"total_minor": 503}, {"total_minor": 497}],
    "cart_line.quantity": [{"quantity": 0}, {"quantity": -1}],
    "cart_line.unit_price": [{"unit_price": Decimal("-0.01")}],
    "cart_line.storable": [{"sku": NUL}, {"title": NUL}],
    "activity.storable": [{"subject": NUL}, {"body": NUL}],
    "activity.kind": [{"kind": "phoned"}],
    "activity.occurred_at": [{"occurred_at": _EARLY}],
    "activity.currency": [{"currency": "ZZZ"}],
    "activity.amount": [{"amount_minor": -1}],
    "activity.about": [{"order_source_id": None}, {"order_source_id": " "}],
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
    "company": [{"city": "", "country": None}, {"country": "GB"}],
    "consent": [
        {"consented_at": None},
        {"consented_at": WHEN + timedelta(days=1)},
        {"state": "unsubscribed", "channel": "sms"},
    ],
    "shipment": [
        {"shipped_at": None, "delivered_at": None, "state": ShipmentState.pending},
        {"delivered_at": WHEN - timedelta(days=1)},
        {"shipped_at": None},
    ],
    "cart": [
        {"lines": (), "total_minor": 0},
        {"lines": (cart_line(0, unit_price=None),), "total_minor": 9},
        {"total_minor": 502},
        {"order_source_id": "1", "completed_at": WHEN - timedelta(days=1)},
        {"currency": "JPY", "total_minor": 5},
    ],
    "cart_line": [{"unit_price": None}, {"unit_price": Decimal(0)}, {"quantity": 1}],
    "activity": [
        {"currency": None, "amount_minor": None},
        {"order_source_id": None, "customer_source_id": "7"},
        {"amount_minor": 0},
    ],
}
"""Entity -> changes that break nothing, each at the edge of a rule."""

MAKE: dict[str, Callable[..., StoreObject]] = {
    "company": company,
    "customer": customer,
    "consent": consent,
    "product": product,
    "order": order,
    "refund": refund,
    "shipment": shipment,
    "cart": cart,
    "activity": activity,
}
