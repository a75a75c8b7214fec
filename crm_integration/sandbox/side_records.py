"""What an order book does not tell: consent, parcels and carts, drawn for a shop's own people.

Prevents the failure of a path that no demo data ever took: every shop has people who said no to
mail, parcels on the way and carts left standing. Nothing of an order's money or dates is touched,
so that every total of the book stays true.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from crm_integration.sandbox.identities import billing_email, stable_number
from crm_integration.sandbox.invoices import Line
from crm_integration.sandbox.shop_edits import email_of
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    OrderRecord,
    ShipmentRecord,
    ShopState,
)

_HOUR, _DAY = 3_600, 86_400
#: Ids that follow from the order's id and the person's key, beyond what a shop counts up itself.
_SHIPMENT_IDS, _CART_IDS, _CART_SPACE = 3_000_000_000, 5_000_000_000, 1_000_000_000
_ONE_ORDER_IN, _ONE_PERSON_IN = 8, 30
_CARRIERS = ("Royal Mail", "DPD", "Evri", "DHL Express")
#: Percent of accounts below which a draw means this state and level.
_CONSENTS = (
    (55, "subscribed", "single"),
    (65, "subscribed", "confirmed"),
    (75, "unsubscribed", "single"),
    (80, "pending", "single"),
    (100, "never_asked", "unknown"),
)


@dataclass(slots=True)
class SideCounts:
    """What one call added to the shop."""

    consents: int = 0
    shipments: int = 0
    carts: int = 0


@dataclass(slots=True)
class _Buyer:
    """A person with orders; `orders` oldest first, only readable ones."""

    key: str
    customer: CustomerRecord | None
    orders: list[OrderRecord] = field(default_factory=list[OrderRecord])


def enrich(shop: ShopState, orders: Iterable[int] | None = None) -> SideCounts:
    """Give a filled shop its consents, parcels and carts; all of it follows from the shop's seed.

    `orders` narrows it to these order ids and the people behind them (None: the whole shop).
    A second call adds only what is new: a person, an order or a parcel that is held already
    stays as it is. No time is later than the shop's newest order.
    """
    counts = SideCounts()
    newest = max((order.created for order in shop.orders.values()), default=0)
    chosen = shop.orders.keys() if orders is None else set(orders) & shop.orders.keys()
    for key in sorted(chosen):
        counts.shipments += _send(shop, shop.orders[key], newest)
    for customer in _accounts(shop, None if orders is None else chosen):
        counts.consents += _ask(shop, customer, newest)
    for buyer in _buyers(shop, chosen):
        counts.carts += _leave(shop, buyer, newest)
    return counts


def _draw(shop: ShopState, what: str, key: object, size: int) -> int:
    return stable_number(f"{shop.settings.seed}|{what}|{key}", size)


def _accounts(shop: ShopState, chosen: Iterable[int] | None) -> list[CustomerRecord]:
    if chosen is None:
        return list(shop.customers.values())
    keys = {shop.orders[key].customer_id for key in chosen}
    return [shop.customers[key] for key in sorted(keys) if key in shop.customers]


def _ask(shop: ShopState, customer: CustomerRecord, newest: int) -> bool:
    """What the account said: asked when it was made; whoever left did so within 90 days."""
    if customer.consent is not None:
        return False
    percent = _draw(shop, "consent", customer.id, 100)
    state, level = next((state, level) for below, state, level in _CONSENTS if percent < below)
    at: int | None = min(customer.created, newest)
    if state == "unsubscribed":
        later = _DAY + _draw(shop, "left", customer.id, 89 * _DAY)
        at = min(customer.created + later, newest)
    elif state == "never_asked":
        at = None
    customer.consent = ConsentRecord(state, at, level)
    return True


def _send(shop: ShopState, order: OrderRecord, newest: int) -> bool:
    """One parcel with all lines, a day after the order; half arrive two days after that."""
    key, shipped = _SHIPMENT_IDS + order.id, order.created + _DAY
    if order.status != "completed" or not order.readable or shipped > newest:
        return False
    draw = _draw(shop, "parcel", order.id, 2**63)
    if draw % _ONE_ORDER_IN or order.shipments or key in shop.shipments:
        return False
    arrived = shipped + 2 * _DAY
    delivered = arrived if draw // _ONE_ORDER_IN % 2 == 0 and arrived <= newest else None
    parcel = ShipmentRecord(
        id=key,
        order_id=order.id,
        created=shipped,
        modified=delivered or shipped,
        state="delivered" if delivered else "shipped",
        carrier=_CARRIERS[draw // 16 % len(_CARRIERS)],
        tracking_number=f"ZZ{draw % 10**9:09d}GB",
        lines=tuple((n, line.quantity) for n, line in enumerate(order.lines) if line.accepted),
        delivered=delivered,
    )
    shop.add_shipment(order, parcel)
    return True


def _buyers(shop: ShopState, chosen: Iterable[int]) -> list[_Buyer]:
    """The people behind these orders with all their orders; one in thirty has a cart."""
    people = {_person_key(shop.orders[key]) for key in chosen}
    drawn = {key for key in people if _draw(shop, "cart", key, _ONE_PERSON_IN) == 0}
    buyers: dict[str, _Buyer] = {}
    for order in sorted(shop.orders.values(), key=lambda order: (order.created, order.id)):
        key = _person_key(order)
        if key in drawn and order.readable and order.status != "trash":
            customer = shop.customers.get(order.customer_id)
            buyers.setdefault(key, _Buyer(key, customer)).orders.append(order)
    return list(buyers.values())


def _person_key(order: OrderRecord) -> str:
    return f"customer:{order.customer_id}" if order.customer_id else f"guest:{order.number}"


def _leave(shop: ShopState, buyer: _Buyer, newest: int) -> bool:
    """A cart: five in ten left standing, three became an order, two are open right now."""
    key = _CART_IDS + stable_number(buyer.key, _CART_SPACE)
    if key in shop.carts or not _email(shop, buyer):
        return False
    kind = _draw(shop, "cart kind", buyer.key, 10)
    first, last = buyer.orders[0], buyer.orders[-1]
    if kind < 5:
        at, order = _left_at(shop, buyer, newest), None
    elif kind < 8:
        at, order = first.created - _HOUR, first
    else:
        at, order = max(last.created, newest - _draw(shop, "open", buyer.key, 20 * _HOUR)), None
    shop.carts[key] = _cart(shop, buyer, key, at, order)
    return True


def _left_at(shop: ShopState, buyer: _Buyer, newest: int) -> int:
    """More than a day ago: before the first order, or after the last where there is time left."""
    draw = _draw(shop, "left standing", buyer.key, 2**63)
    days = 2 + draw // 2 % 18
    after = buyer.orders[-1].created + days * _DAY
    if draw % 2 and after < newest - _DAY:
        return after
    return min(buyer.orders[0].created, newest) - days * _DAY


def _cart(
    shop: ShopState, buyer: _Buyer, key: int, at: int, order: OrderRecord | None
) -> CartRecord:
    source = order or buyer.orders[0]
    lines = tuple(line for line in source.lines if line.accepted)
    if order is None:
        lines = lines[:3]
    known = buyer.customer is not None and buyer.customer.created <= at
    return CartRecord(
        id=key,
        customer_id=buyer.customer.id if buyer.customer and known else 0,
        person=source.person,
        country=source.country,
        currency=source.currency,
        created=at,
        modified=order.created if order else at,
        lines=lines,
        total_minor=_worth(lines),
        completed=order.created if order else None,
        order_id=order.id if order else None,
    )


def _worth(lines: tuple[Line, ...]) -> int:
    return sum(line.amount_minor for line in lines)


def _email(shop: ShopState, buyer: _Buyer) -> str:
    if buyer.customer is not None:
        return email_of(shop, buyer.customer)
    order = buyer.orders[0]
    if order.billing is not None:
        return str(order.billing.get("email", ""))
    return billing_email(shop.settings.seed, order.person)
