"""What can happen in a shop, kind by kind, with how often it does.

Prevents an event of architecture §9 from being left out of the certificate: every kind is a row of
HAPPENINGS, and the report counts how often each one came.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.shop_state import CustomerRecord, OrderRecord
from crm_integration_tests.certificate.merchant import Merchant, Told

_GONE = ("cancelled", "failed", "refunded", "trash")


def _account(one: Merchant) -> CustomerRecord | None:
    """Somebody's account, recent ones more often."""
    if not one.accounts:
        return None
    keys = list(one.accounts.values())
    return one.shop.customers[keys[-1 - int(one.rng.random() ** 2 * len(keys))]]


def _order(one: Merchant, *states: str) -> OrderRecord | None:
    """An order in one of these states, recent ones more often; never one that carries a credit."""
    found = [o for o in one.shop.orders.values() if o.status in states and not o.meta]
    return found[-1 - int(one.rng.random() ** 2 * len(found))] if found else None


def _edited(one: Merchant, order: OrderRecord | None, event: str, **body: object) -> list[Told]:
    if order is None:
        return []
    shop_edits.edit_order(one.shop, order, body)
    return [Told("order", order.id, event)]


def registered(one: Merchant) -> list[Told]:
    who = one.stranger()
    return [] if who is None else [Told("customer", one.register(who).id, "create")]


def guest_registers(one: Merchant) -> list[Told]:
    """Somebody known as a guest makes an account."""
    guests = [number for number in one.met if number not in one.accounts]
    if not guests:
        return []
    made = one.register(one.someone(one.rng.choice(guests)))
    return [Told("customer", made.id, "create")]


def account_changed(one: Merchant) -> list[Told]:
    """A new phone, street or second name."""
    account = _account(one)
    if account is None:
        return []
    billing = dict(account.fields["billing"])
    what = one.rng.choice(("phone", "street", "name"))
    body: dict[str, object] = {}
    if what == "phone":
        billing["phone"] = f"020 7946 {one.rng.randrange(10_000):04d}"
    elif what == "street":
        billing["address_1"] = f"{one.rng.randrange(1, 300)}  Zeldhurst {one.name.title()} Close "
    else:
        body["last_name"] = (
            f"{account.fields['last_name'].split('-')[0]}-{one.rng.choice('ABCDEF')}"
        )
    shop_edits.edit_customer(one.shop, account, {**body, "billing": billing})
    return [Told("customer", account.id, "update")]


def opted(one: Merchant) -> list[Told]:
    """Newsletter in or out: the other one than before."""
    account = _account(one)
    if account is None or one.platform == "woocommerce":
        return []
    out = account.consent is not None and account.consent.state == "subscribed"
    one.consent(account, "unsubscribed" if out else "subscribed")
    return [Told("customer", account.id, "consent")]


def guest_ordered(one: Merchant) -> list[Told]:
    who = one.stranger()
    if who is None:
        return []
    return [Told("order", one.order(who, set_paid=one.rng.random() < 0.6).id, "create")]


def ordered(one: Merchant) -> list[Told]:
    """Somebody who is known orders, with a word to the shop now and then."""
    if not one.met:
        return []
    who = one.someone(one.rng.choice(one.met))
    note = {"customer_note": f"Please ring twice {one.rng.randrange(99)}"}
    made = one.order(
        who, set_paid=one.rng.random() < 0.6, **(note if one.rng.random() < 0.2 else {})
    )
    return [Told("order", made.id, "create")]


def order_changed(one: Merchant) -> list[Told]:
    """Another quantity of the first line."""
    order = _order(one, "pending")
    if order is None or not order.lines:
        return []
    first = {"id": order.id_of_line(0), "quantity": one.rng.randint(1, 9),
             "total": f"{one.rng.randint(100, 9_999) / 100:.2f}"}  # fmt: skip
    return _edited(one, order, "update", line_items=[first])


def paid(one: Merchant) -> list[Told]:
    return _edited(one, _order(one, "pending"), "paid", status="processing")


def cancelled(one: Merchant) -> list[Told]:
    return _edited(one, _order(one, "pending"), "cancelled", status="cancelled")


def completed(one: Merchant) -> list[Told]:
    order = _order(one, "processing")
    if order is None or order.refunds or order.shipments:
        return []
    return _edited(one, order, "update", status="completed")


def refunded(one: Merchant, share: float) -> list[Told]:
    order = _order(one, "processing")
    left = 0 if order is None else order.total_minor - order.refunded_minor
    amount = max(1, int(left * share))
    if order is None or left < 2:
        return []
    back = shop_edits.create_refund(
        one.shop, order, {"amount": f"{amount / 100:.2f}", "reason": "not as described"}
    )
    return [Told("refund", back.id, "create"), Told("order", order.id, "update")]


def refunded_in_part(one: Merchant) -> list[Told]:
    return refunded(one, 0.3)


def refunded_whole(one: Merchant) -> list[Told]:
    return refunded(one, 1.0)


def credited(one: Merchant) -> list[Told]:
    """A refund without an order."""
    if not one.met:
        return []
    made, back = one.credit(one.someone(one.rng.choice(one.met)))
    return [Told("order", made.id, "create"), Told("refund", back, "create")]


def sent(one: Merchant) -> list[Told]:
    order = _order(one, "processing")
    if one.platform == "woocommerce" or order is None or order.shipments or order.refunds:
        return []
    parcel = one.ship(order, whole=one.rng.random() < 0.6)
    return [Told("shipment", parcel.id, "create")]


def delivered(one: Merchant) -> list[Told]:
    found = [p for p in one.shop.shipments.values() if p.state == "shipped"]
    if not found:
        return []
    parcel = one.rng.choice(found)
    parcel.state, parcel.modified = "delivered", one.shop.now()
    parcel.delivered = one.shop.now()
    return [Told("shipment", parcel.id, "update")]


def cart_opened(one: Merchant) -> list[Told]:
    """By somebody with an account; now and then by a stranger who types an e-mail."""
    if one.platform == "woocommerce" or not one.met:
        return []
    known = list(one.accounts)
    number = one.rng.choice(known) if known and one.rng.random() < 0.7 else one.rng.randrange(10**6)
    who = one.someone(number) if number in one.accounts else one.someone(900 + number % 99)
    return [Told("cart", one.cart(who).id, "create")]


def cart_touched(one: Merchant) -> list[Told]:
    left = [c for c in one.shop.carts.values() if c.completed is None]
    if not left:
        return []
    cart = one.rng.choice(left)
    line = cart.lines[0]._replace(quantity=cart.lines[0].quantity + 1)
    cart.lines, cart.modified = (line, *cart.lines[1:]), one.shop.now()
    return [Told("cart", cart.id, "update")]


def cart_bought(one: Merchant) -> list[Told]:
    """A cart of an account becomes an order."""
    left = [c for c in one.shop.carts.values() if c.completed is None and c.customer_id]
    owners = {account: number for number, account in one.accounts.items()}
    if not left:
        return []
    cart = one.rng.choice(left)
    made = one.order(one.someone(owners[cart.customer_id]), set_paid=True)
    cart.completed, cart.order_id, cart.modified = one.shop.now(), made.id, one.shop.now()
    return [Told("order", made.id, "create"), Told("cart", cart.id, "update")]


def product_changed(one: Merchant) -> list[Told]:
    if not one.shop.products:
        return []
    product = one.shop.products[one.rng.choice(list(one.shop.products))]
    product.price_minor, product.modified = one.rng.randint(100, 9_999), one.shop.now()
    return [Told("product", product.id, "update")]


@dataclass(frozen=True)
class Happening:
    """A kind of event: how often it comes, and what it does."""

    name: str
    weight: int
    happen: Callable[[Merchant], list[Told]]


HAPPENINGS = tuple(
    Happening(happen.__name__, weight, happen)
    for happen, weight in (
        (registered, 14), (guest_registers, 4), (account_changed, 10), (opted, 8),
        (guest_ordered, 12), (ordered, 16), (order_changed, 6), (paid, 8), (cancelled, 4),
        (completed, 5), (refunded_in_part, 5), (refunded_whole, 3), (credited, 2), (sent, 7),
        (delivered, 4), (cart_opened, 6), (cart_touched, 3), (cart_bought, 3), (product_changed, 3),
    )
)  # fmt: skip
