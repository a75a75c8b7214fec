"""What a store said and what we made of it are one thing: every penny, line, name and person."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Iterator
from typing import TypeVar

import pytest

from crm_integration.canonical.carts import Cart
from crm_integration.canonical.consents import Channel, Consent
from crm_integration.canonical.customers import Customer
from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import Order
from crm_integration.canonical.products import Product
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.shipments import Shipment
from crm_integration.sandbox.shop_edits import email_of
from crm_integration.sandbox.shop_rendering import billing_of
from crm_integration.sandbox.shop_state import OrderRecord, ShopState
from crm_integration_tests.conformance.books import NOON, furnish, mug, order
from crm_integration_tests.conformance.conftest import Furnished
from crm_integration_tests.conformance.street import EmulatedStore
from crm_integration_tests.conformance.truth import number
from crm_integration_tests.served import Street

Found = TypeVar("Found", bound=StoreObject)


def everything(furnished: Furnished) -> Iterator[StoreObject]:
    """What the whole furnished shop stands for."""
    manifest = furnished.store.connector.manifest
    for object_type in manifest.object_types:
        parent = manifest.parents.get(object_type)
        parents = furnished.listed(parent).newest if parent else {}
        for item in furnished.listed(object_type).newest.values():
            yield from furnished.store.canonical(item, parents)


@pytest.fixture
def made(furnished: Furnished, _made: dict[str, list[StoreObject]]) -> list[StoreObject]:
    """Made once for each platform."""
    if furnished.store.platform not in _made:
        _made[furnished.store.platform] = list(everything(furnished))
    return _made[furnished.store.platform]


@pytest.fixture(scope="session")
def _made() -> dict[str, list[StoreObject]]:
    return {}


def of(model: type[Found], made: list[StoreObject]) -> list[Found]:
    return [one for one in made if isinstance(one, model)]


def sales(state: ShopState) -> dict[int, OrderRecord]:
    """Orders that are sales: no credit note's carrier, no adjustment."""
    return {key: one for key, one in state.orders.items() if one.readable}


def test_every_sale_has_its_money_to_the_penny(
    furnished: Furnished, made: list[StoreObject]
) -> None:
    """Pounds, yen without decimals and dinars with three: floats lose some of them."""
    money = {number(one.source_id): (one.currency, one.total_minor) for one in of(Order, made)}
    expected = {
        key: (one.currency, one.total_minor) for key, one in sales(furnished.store.state).items()
    }
    assert {key: money.get(key) for key in expected} == expected
    assert len(of(Order, made)) == len(money), "an order was yielded twice"


def test_every_line_is_there_in_its_place(furnished: Furnished, made: list[StoreObject]) -> None:
    """Ten lines and fifteen hundred: APIs give the first so many and a cursor for the rest."""
    orders = {number(one.source_id): one for one in of(Order, made)}
    for key, record in sales(furnished.store.state).items():
        told = [
            (line.position, line.sku, line.quantity, line.total_minor) for line in orders[key].lines
        ]
        assert told == [
            (n, line.stock_code, line.quantity, line.amount_minor)
            for n, line in enumerate(record.lines)
        ], f"order {key}"


def test_a_credit_without_an_order_is_no_sale(
    furnished: Furnished, made: list[StoreObject]
) -> None:
    """The import wrote tagged orders that only carry a refund: counted as sales they would
    double the turnover that was given back."""
    carriers = {key for key, one in furnished.store.state.orders.items() if one.meta}
    assert carriers
    assert not carriers & {number(one.source_id) for one in of(Order, made)}


def test_every_refund_has_its_amount_and_its_order(
    furnished: Furnished, made: list[StoreObject]
) -> None:
    state = furnished.store.state
    told = {
        number(one.source_id): (
            one.currency,
            one.amount_minor,
            None if one.order_source_id is None else number(one.order_source_id),
        )
        for one in of(Refund, made)
    }
    expected = {
        one.id: (
            state.orders[one.order_id].currency,
            one.amount_minor,
            None if state.orders[one.order_id].meta else one.order_id,
        )
        for one in state.refunds.values()
    }
    assert expected
    assert told == expected
    assert len(of(Refund, made)) == len(told), "a refund was yielded twice"


def test_a_refunded_order_says_so(furnished: Furnished, made: list[StoreObject]) -> None:
    state = furnished.store.state
    states = {number(one.source_id): one.financial_state for one in of(Order, made)}
    for key, record in sales(state).items():
        if 0 < record.refunded_minor < record.total_minor:
            assert states[key] == "partially_refunded", key
        elif 0 < record.total_minor <= record.refunded_minor:
            assert states[key] == "refunded", key
        else:
            assert states[key] == "paid", key


def test_a_guest_is_a_customer_with_the_orders_id(
    furnished: Furnished, made: list[StoreObject]
) -> None:
    """Lists of customers know no guests; whoever drops them loses every tenth buyer."""
    state = furnished.store.state
    guests = {number(one.source_id): one for one in of(Customer, made) if one.kind == "guest"}
    buyers = {number(o.source_id): o for o in of(Order, made) if o.customer_kind == "guest"}
    expected = {key for key, one in state.orders.items() if not (one.customer_id or one.meta)}
    assert expected
    assert buyers.keys() == expected
    assert guests.keys() >= expected
    for key in expected:
        assert buyers[key].customer_source_id == guests[key].source_id == buyers[key].source_id
        email = str(billing_of(state, state.orders[key])["email"])
        assert (guests[key].email or "").lower() == email.lower()
        assert (buyers[key].email or "").lower() == email.lower()


def test_an_accounts_id_is_one_in_orders_and_accounts(
    furnished: Furnished, made: list[StoreObject]
) -> None:
    """`7` here and `gid://…/7` there would be two people."""
    state = furnished.store.state
    accounts = {one.source_id: one for one in of(Customer, made) if one.kind == "registered"}
    assert {number(key) for key in accounts} == state.customers.keys()
    for one in of(Order, made):
        buyer = state.orders[number(one.source_id)].customer_id
        if buyer:
            assert one.customer_kind == "registered"
            assert number(one.customer_source_id) == buyer
            assert one.customer_source_id in accounts
    for one in accounts.values():
        email = email_of(state, state.customers[number(one.source_id)])
        assert (one.email or "").lower() == email.lower()


def test_names_in_every_script_arrive_as_they_were_typed(
    furnished: Furnished, made: list[StoreObject]
) -> None:
    state = furnished.store.state
    guests = {number(one.source_id): one for one in of(Customer, made) if one.kind == "guest"}
    orders = {number(one.source_id): one for one in of(Order, made)}
    named = [key for key, one in state.orders.items() if one.billing and one.customer_note]
    assert len(named) > 5
    for key in named:
        typed = state.orders[key].customer_note
        assert (guests[key].first_name, guests[key].last_name) == (typed, typed)
        assert orders[key].lines[0].title == typed
        assert orders[key].note == typed


def test_products_carry_their_code_and_price(furnished: Furnished, made: list[StoreObject]) -> None:
    told = {number(one.source_id): one for one in of(Product, made)}
    for key, record in furnished.store.state.products.items():
        codes = {told[key].sku, *(variant.sku for variant in told[key].variants)}
        prices = {told[key].price_minor, *(one.price_minor for one in told[key].variants)}
        assert record.sku in codes
        assert record.price_minor in prices
        assert told[key].currency == furnished.store.currency


def test_parcels_are_the_shops(furnished: Furnished, made: list[StoreObject]) -> None:
    """A store that tells of no parcels yields none; one that does tells of all that left."""
    state, told = furnished.store.state, {number(x.source_id): x for x in of(Shipment, made)}
    if not _yields(furnished, "shipment"):
        assert told == {}
        return
    left = {k: one for k, one in state.shipments.items() if one.state in ("shipped", "delivered")}
    assert left.keys() <= told.keys() <= state.shipments.keys()
    for key, parcel in told.items():
        record = state.shipments[key]
        assert number(parcel.order_source_id) == record.order_id
        assert parcel.tracking_number == record.tracking_number
        assert parcel.carrier == record.carrier
        assert sum(line.quantity for line in parcel.lines) == sum(q for _, q in record.lines)
    for key, record in left.items():
        assert told[key].state == record.state
        assert told[key].shipped_at is not None
        assert (told[key].delivered_at is not None) == (record.delivered is not None)


def test_carts_are_the_shops(furnished: Furnished, made: list[StoreObject]) -> None:
    state, told = furnished.store.state, {number(one.source_id): one for one in of(Cart, made)}
    if not _yields(furnished, "cart"):
        assert told == {}
        return
    waiting = {key for key, one in state.carts.items() if one.completed is None}
    assert waiting <= told.keys() <= state.carts.keys()
    for key, one in told.items():
        record = state.carts[key]
        assert (one.currency, one.total_minor) == (record.currency, record.total_minor)
        assert int(one.changed_at.timestamp()) == record.modified
        assert [line.quantity for line in one.lines] == [line.quantity for line in record.lines]
        assert (one.completed_at is not None) == (record.completed is not None)
        if record.customer_id and one.customer_kind == "registered":
            assert number(str(one.customer_source_id)) == record.customer_id
        else:
            assert one.customer_kind == "lead"
            assert one.customer_source_id == f"cart/{one.source_id}"


def test_consents_are_what_people_said(furnished: Furnished, made: list[StoreObject]) -> None:
    """An opt-out read as `never asked` is a newsletter to somebody who said no."""
    told = {
        number(one.customer_source_id): one
        for one in of(Consent, made)
        if one.channel is Channel.email and one.customer_kind == "registered"
    }
    if not _yields(furnished, "consent"):
        assert told == {}
        return
    for key, account in furnished.store.state.customers.items():
        said = account.consent
        if said is None or said.state == "never_asked":
            assert key not in told or told[key].state == "never_asked"
            continue
        assert told[key].state == said.state
        assert told[key].source_id == f"registered/{told[key].customer_source_id}/email"
        if told[key].consented_at is not None:
            assert int(told[key].consented_at.timestamp()) == said.at


def _yields(furnished: Furnished, entity: str) -> bool:
    manifest = furnished.store.connector.manifest
    return any(entity in manifest.entities_of(one) for one in manifest.object_types)


@pytest.mark.parametrize("currency", ["JPY", "KWD", "USD"])
def test_a_shop_of_any_currency_is_exact(
    store: EmulatedStore, currency: str, platform: str
) -> None:
    """0, 3 and 2 decimals as the shop's own currency; the context names it."""
    shop = EmulatedStore(platform, store.serving, currency=currency, now=NOON + 86_400)
    amounts = (1, 7, 1_999, 123_456_789)
    for key, amount in enumerate(amounts, start=1):
        order(shop.state, key, NOON, lines=(mug(amount),), total_minor=amount)
    found = [
        one for item in shop.listed("order").objects for one in shop.canonical(item)
        if isinstance(one, Order)
    ]  # fmt: skip
    money = {number(one.source_id): (one.currency, one.total_minor) for one in found}
    assert money == {key: (currency, amount) for key, amount in enumerate(amounts, start=1)}


def test_reading_twice_gives_the_same_and_changes_nothing(
    furnished: Furnished, object_type: str
) -> None:
    """Replays compare digests: a clock, a counter or a changed input would re-send everything."""
    store, manifest = furnished.store, furnished.store.connector.manifest
    parent_type = manifest.parents.get(object_type)
    parents = furnished.listed(parent_type).newest if parent_type else {}
    read = store.connector.canonical.to_canonical
    for item in list(furnished.listed(object_type).newest.values())[::7]:
        payload, parent = store.decoded(item), store.parent(item, parents)
        before = copy.deepcopy((payload, parent))
        first = list(read(object_type, payload, parent, store.context))
        assert list(read(object_type, payload, parent, store.context)) == first
        assert (payload, parent) == before


def test_an_object_yields_only_what_the_manifest_names(
    furnished: Furnished, object_type: str
) -> None:
    """The engine plans by `yields`: what it does not expect would be dropped on the floor."""
    names = {entity.model: name for name, entity in ENTITIES.items()}
    manifest = furnished.store.connector.manifest
    parent_type = manifest.parents.get(object_type)
    parents = furnished.listed(parent_type).newest if parent_type else {}
    kinds: Counter[str] = Counter()
    for item in furnished.listed(object_type).newest.values():
        kinds.update(names[type(one)] for one in furnished.store.canonical(item, parents))
    assert kinds.keys() <= set(manifest.entities_of(object_type))
    assert kinds.keys() >= set(manifest.entities_of(object_type)), "promised and never yielded"


def test_every_form_of_a_payload_reaches_the_one_that_is_read(
    furnished: Furnished, object_type: str
) -> None:
    """A read by id and a bulk file have other forms than a page: each must lead to the same."""
    store = furnished.store
    manifest = store.connector.manifest
    parent_type = manifest.parents.get(object_type)
    parents = furnished.listed(parent_type).newest if parent_type else {}
    listed = furnished.listed(object_type).newest
    for item in store.fetched(object_type, list(listed)[::5]):
        assert store.canonical(item, parents) == store.canonical(listed[item.source_id], parents)  # type: ignore[arg-type]


def test_the_furnished_shop_has_what_the_suite_looks_for(platform: str) -> None:
    """A suite over a shop without guests, refunds or odd lines would be green for ever."""
    store = EmulatedStore(platform, Street())
    furnish(store)
    state = store.state
    assert sum(not one.customer_id for one in sales(state).values()) > 10
    assert len(state.refunds) > 3
    assert any(one.meta for one in state.orders.values())
    assert max(len(one.lines) for one in state.orders.values()) == 1_500
    assert {one.state for one in state.shipments.values()} >= {"pending", "shipped", "delivered"}
    assert len(state.carts) >= 3
