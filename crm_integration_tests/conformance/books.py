"""The shops of the suite: one furnished with everything, and crowds of a single type.

Prevents a suite that is green because its shop is tidy: the furnished one has guests without an
e-mail, credits without an order, yen and dinars, 1,500 lines, every script and parcels in all
states.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from importlib import import_module
from importlib.util import find_spec

from crm_integration.sandbox.generator import generated_table
from crm_integration.sandbox.invoices import Line, read_invoices
from crm_integration.sandbox.order_book import fill
from crm_integration.sandbox.shop_state import (
    CartRecord,
    ConsentRecord,
    CustomerRecord,
    OrderRecord,
    ProductRecord,
    RefundRecord,
    ShipmentRecord,
    ShopState,
)
from crm_integration_tests.conformance.street import EmulatedStore

NOON = int(datetime(2026, 10, 20, 12, tzinfo=UTC).timestamp())
LATER = int(datetime(2026, 11, 20, 12, tzinfo=UTC).timestamp())
"""The shops' clock: after all that a book holds."""
PARTS = frozenset({"refund", "shipment"})
"""Object types that some APIs give order by order."""
NAMES = (
    "Zoë Ångström-O’Neill", "山田 太郎", "Łukasz Żółć", "محمد بن عبد الله", "👩‍👩‍👧 Family",
    "Robert'); DROP TABLE orders;--", "Ñandú <b>&amp;</b>", "İstanbul ﬁne", "Z͑ͫ̓a̴l̷g̶o̵",
)  # fmt: skip
_CURRENCIES = ("GBP", "JPY", "KWD")


def furnish(store: EmulatedStore, invoices: int = 90, days: int = 5) -> None:
    """A generated order book, what it does not tell, and the hard cases."""
    store.now = LATER
    fill(store.state, read_invoices(generated_table(11, invoices=invoices, days=days)))
    if find_spec("crm_integration.sandbox.side_records") is not None:
        import_module("crm_integration.sandbox.side_records").enrich(store.state)
    _odd_orders(store.state)
    _consents(store.state)
    _parcels(store.state)
    _carts(store.state)
    store.state.reindex()


def order(state: ShopState, key: int, at: int, **changes: object) -> OrderRecord:
    """A guest's order of one mug, entered in the lists."""
    values: dict[str, object] = {
        "id": key, "number": str(key), "status": "processing", "currency": state.settings.currency,
        "created": at, "modified": at, "customer_id": 0, "person": f"guest:{key}",
        "country": "United Kingdom", "lines": (mug(250),), "total_minor": 250,
    }  # fmt: skip
    made = OrderRecord(**{**values, **changes})  # type: ignore[arg-type]
    for line in made.lines:
        state.product_of(line.stock_code, line.description, abs(line.amount_minor), at)
    return state.insert_order(made)


def mug(amount: int, code: str = "MUG", title: str = "Mug", quantity: int = 1) -> Line:
    return Line(code, title, quantity, amount / 100 / quantity, amount)


def account(state: ShopState, key: int, at: int) -> CustomerRecord:
    made = CustomerRecord(key, f"customer:{key}", "EIRE", at, at)
    state.customers[key] = made
    return made


def cart(state: ShopState, key: int, at: int, **changes: object) -> CartRecord:
    values: dict[str, object] = {
        "id": key, "customer_id": 0, "person": f"customer:{key}", "country": "United Kingdom",
        "currency": state.settings.currency, "created": at, "modified": at,
        "lines": (mug(250),), "total_minor": 250,
    }  # fmt: skip
    made = CartRecord(**{**values, **changes})  # type: ignore[arg-type]
    state.product_of("MUG", "Mug", 250, at)
    state.carts[key] = made
    return made


def parcel(state: ShopState, key: int, of: OrderRecord, at: int, state_name: str) -> None:
    shipped = ShipmentRecord(
        key, of.id, at, at, state_name, "Royal Mail", f"ZZ{key}GB",
        tuple((n, line.quantity) for n, line in enumerate(of.lines)),
        delivered=at if state_name == "delivered" else None,
    )  # fmt: skip
    state.add_shipment(of, shipped)


def _odd_orders(state: ShopState) -> None:
    for position, currency in enumerate(_CURRENCIES):
        lines = tuple(mug(amount, f"C{amount}") for amount in (1, 12_345, 1_000_001))
        total = sum(line.amount_minor for line in lines)
        order(state, 800_100 + position, NOON + position, currency=currency, lines=lines,
              total_minor=total)  # fmt: skip
    for count in (10, 1_500):
        lines = tuple(mug(n + 1, f"L{n % 40}", f"Line {n}", 1 + n % 3) for n in range(count))
        total = sum(line.amount_minor for line in lines)
        order(state, 801_000 + count, NOON + 60, lines=lines, total_minor=total)
    for position, name in enumerate(NAMES):
        order(state, 802_000 + position, NOON + 120, lines=(mug(199, f"N{position}", name),),
              total_minor=199, customer_note=name, billing={
                  "first_name": name, "last_name": name, "country": "GB", "address_1": name,
                  "city": name, "email": "" if position == 0 else f"n{position}@example.com",
              })  # fmt: skip
    free = order(state, 803_000, NOON + 180, lines=(mug(0, "FREE"),), total_minor=0)
    free.customer_id = next(iter(sorted(state.customers)))


def _consents(state: ShopState) -> None:
    """Each state once more at an account of its own, whatever was drawn for the others."""
    for position, word in enumerate(("subscribed", "unsubscribed", "pending", "never_asked")):
        made = account(state, 95_000 + position, NOON - 86_400)
        at = None if word == "never_asked" else NOON - 3_600
        made.consent = ConsentRecord(word, at, "confirmed" if word == "subscribed" else "single")


def _parcels(state: ShopState) -> None:
    for position, word in enumerate(("pending", "shipped", "delivered", "cancelled")):
        lines = (mug(300, "P1", quantity=2), mug(400, "P2"))
        made = order(state, 804_000 + position, NOON + 200, lines=lines, total_minor=700,
                     customer_id=95_000)  # fmt: skip
        parcel(state, 70_000 + position, made, NOON + 3_600, word)


def _carts(state: ShopState) -> None:
    cart(state, 60_001, NOON, customer_id=95_000, person="customer:95000")
    cart(state, 60_002, NOON + 5, lines=(mug(500, quantity=2), mug(33, "SPOON", "Löffel")),
         total_minor=533)  # fmt: skip
    bought = order(state, 805_000, NOON + 400, customer_id=95_001)
    cart(state, 60_003, NOON + 300, customer_id=95_001, completed=NOON + 400, order_id=bought.id)


def _planted_refund(state: ShopState, key: int, at: int) -> None:
    made = order(state, 2_000_000 + key, at, status="completed", total_minor=250)
    state.add_refund(made, RefundRecord(key, made.id, at, 50, "broken", ()))


def _planted_parcel(state: ShopState, key: int, at: int) -> None:
    parcel(state, key, order(state, 2_000_000 + key, at), at, "shipped")


def _planted_product(state: ShopState, key: int, at: int) -> None:
    state.products[key] = ProductRecord(key, f"SKU-{key}", f"Thing {key}", 100, at, at)
    state.product_ids[f"SKU-{key}"] = key


PLANT: Mapping[str, Callable[[ShopState, int, int], object]] = {
    "order": order,
    "customer": account,
    "product": _planted_product,
    "refund": _planted_refund,
    "shipment": _planted_parcel,
    "cart": cart,
}
"""Object type -> puts one with this id into a shop, last changed at this second."""


def plant(store: EmulatedStore, object_type: str, key: int, at: int) -> None:
    PLANT[object_type](store.state, key, at)


def touch(store: EmulatedStore, object_type: str, key: int) -> None:
    """Somebody edits the object now."""
    state = store.state
    if object_type == "order":
        state.touch(state.orders[key])
    elif object_type == "customer":
        state.customers[key].modified = state.now()
    elif object_type == "product":
        state.products[key].modified = state.now()
    elif object_type == "cart":
        state.carts[key].modified = state.now()
    elif object_type == "shipment":
        state.shipments[key].modified = state.now()
    elif object_type == "refund":  # a refund is never edited; its order is
        state.touch(state.orders[state.refunds[key].order_id])


def remove(store: EmulatedStore, object_type: str, key: int) -> None:
    """Gone for good, with no trace."""
    state = store.state
    if object_type == "order":
        state.delete_order(state.orders[key])
    elif object_type == "refund":
        state.delete_order(state.orders[state.refunds[key].order_id])
    elif object_type == "shipment":
        parcel = state.shipments.pop(key)
        state.orders[parcel.order_id].shipments.remove(parcel)
    elif object_type == "product":
        del state.product_ids[state.products.pop(key).sku]
    else:
        {"customer": state.customers, "cart": state.carts}[object_type].pop(key)
