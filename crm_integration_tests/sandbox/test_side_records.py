"""What is drawn on top of an order book: shares, times, and that no total of the book moves."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import pytest

from crm_integration.sandbox.generator import generated_table
from crm_integration.sandbox.invoices import Invoice, read_invoices
from crm_integration.sandbox.order_book import fill
from crm_integration.sandbox.shop_state import ShopState
from crm_integration.sandbox.side_records import enrich
from crm_integration_tests.sandbox.clients import shop_settings

_DAY = 86_400


@pytest.fixture(scope="module")
def invoices() -> list[Invoice]:
    """About 2,000 invoices over 60 days."""
    return read_invoices(generated_table(5, invoices=2_000, days=60))


def _filled(invoices: list[Invoice], **settings: int) -> ShopState:
    shop = ShopState(shop_settings(**settings))
    fill(shop, invoices)
    return shop


def test_no_money_and_no_date_of_an_order_moves(invoices: list[Invoice]) -> None:
    """The book's totals are what the demo is checked against; a parcel must not shift them."""
    shop, plain = _filled(invoices), _filled(invoices)
    counts = enrich(shop)
    assert counts.shipments > 100
    for key, order in shop.orders.items():
        assert replace(order, shipments=[]) == plain.orders[key]
    assert shop.by_modified.pairs == plain.by_modified.pairs


def test_every_account_said_something_and_most_said_yes(invoices: list[Invoice]) -> None:
    """Shares as drawn; whoever left says when, whoever was never asked has no time."""
    shop = _filled(invoices)
    assert enrich(shop).consents == len(shop.customers)
    said = [one.consent for one in shop.customers.values() if one.consent]
    shares = Counter((one.state, one.level) for one in said)
    assert shares["subscribed", "single"] == pytest.approx(0.55 * len(said), abs=0.12 * len(said))
    assert {state for state, _ in shares} == {
        "subscribed", "unsubscribed", "pending", "never_asked",
    }  # fmt: skip
    assert all((one.at is None) == (one.state == "never_asked") for one in said)


def test_one_order_in_eight_has_a_parcel_with_all_its_lines(invoices: list[Invoice]) -> None:
    """Shipped a day later; half delivered two days after that."""
    shop = _filled(invoices)
    enrich(shop)
    readable = [o for o in shop.orders.values() if o.readable and o.status == "completed"]
    assert len(shop.shipments) == pytest.approx(len(readable) / 8, rel=0.2)
    delivered = [one for one in shop.shipments.values() if one.delivered]
    assert len(delivered) == pytest.approx(len(shop.shipments) / 2, rel=0.3)
    for parcel in shop.shipments.values():
        order = shop.orders[parcel.order_id]
        assert parcel.created == order.created + _DAY
        assert [quantity for _, quantity in parcel.lines] == [
            line.quantity for line in order.lines if line.accepted
        ]


def test_carts_are_left_standing_before_the_first_or_after_the_last_order(
    invoices: list[Invoice],
) -> None:
    """A cart with a purchase right after it would be no abandoned cart."""
    shop = _filled(invoices)
    enrich(shop)
    newest = max(order.created for order in shop.orders.values())
    standing = [
        cart for cart in shop.carts.values() if not cart.order_id and cart.modified < newest - _DAY
    ]
    assert len(standing) >= 3
    for cart in standing:
        times = [o.created for o in shop.orders.values() if o.person == cart.person and o.readable]
        assert cart.created < min(times) or cart.created > max(times)
        assert cart.total_minor == sum(line.amount_minor for line in cart.lines)
    done = [cart for cart in shop.carts.values() if cart.order_id]
    assert done
    assert all(shop.orders[cart.order_id or 0].created == cart.completed for cart in done)


def test_no_time_is_later_than_the_newest_order(invoices: list[Invoice]) -> None:
    """A parcel from the future would be flagged, and so hide what should be flagged."""
    shop = _filled(invoices)
    enrich(shop)
    newest = max(order.created for order in shop.orders.values())
    times = [parcel.modified for parcel in shop.shipments.values()]
    times += [cart.modified for cart in shop.carts.values()]
    times += [one.consent.at or 0 for one in shop.customers.values() if one.consent]
    assert max(times) <= newest


def test_the_same_shop_draws_the_same_and_another_seed_another(invoices: list[Invoice]) -> None:
    """A demo that differs at every start cannot be compared with the one before."""
    one, again, other = _filled(invoices), _filled(invoices), _filled(invoices, seed=8)
    for shop in (one, again, other):
        enrich(shop)
    assert (one.shipments, one.carts) == (again.shipments, again.carts)
    assert one.customers == again.customers
    assert one.shipments.keys() != other.shipments.keys()


def test_a_second_load_adds_only_for_what_is_new(invoices: list[Invoice]) -> None:
    """Two files come one after the other; nothing of the first is drawn again or changed."""
    half = len(invoices) // 2
    shop = _filled(invoices[:half])
    enrich(shop)
    before = (dict(shop.shipments), dict(shop.carts), {
        key: one.consent for key, one in shop.customers.items()
    })  # fmt: skip
    assert enrich(shop) == type(enrich(shop))()
    fill(shop, invoices[half:])
    assert enrich(shop).shipments > 0
    assert before[0].items() <= shop.shipments.items()
    assert before[1].items() <= shop.carts.items()
    assert all(shop.customers[key].consent == said for key, said in before[2].items())


def test_only_the_named_orders_are_looked_at(invoices: list[Invoice]) -> None:
    """A small load into a big shop must not walk through everybody."""
    shop = _filled(invoices)
    some = sorted(shop.orders)[:200]
    enrich(shop, some)
    assert shop.shipments
    assert {parcel.order_id for parcel in shop.shipments.values()} <= set(some)
    accounts = {shop.orders[key].customer_id for key in some} - {0}
    assert {key for key, one in shop.customers.items() if one.consent} == accounts
