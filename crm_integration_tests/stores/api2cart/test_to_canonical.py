"""Carts' payloads become canonical objects, or are refused with their place."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from crm_integration.canonical.carts import Cart
from crm_integration.canonical.consents import Consent, ConsentState, OptInLevel
from crm_integration.canonical.customers import Customer, CustomerKind
from crm_integration.canonical.orders import FinancialState, FulfilmentState, Order
from crm_integration.canonical.products import Product
from crm_integration.canonical.refunds import Refund
from crm_integration.canonical.shipments import Shipment, ShipmentState
from crm_integration.stores._contract import StoreContext, Unreadable
from crm_integration.stores.api2cart.to_canonical import to_canonical
from crm_integration_tests.stores.api2cart.carts import FIRST, Json, at, customer, order

CONTEXT = StoreContext("GBP", {"credit_without_order_tag": "credit-note"})
REFUND = {"id": "5", "total": 2.5, "modified_time": at(60), "comment": "broken"}
GUEST = {"id": "", "email": "gus@example.com", "first_name": "Gus", "last_name": None}


def made(payload: Json, kind: str = "order", context: StoreContext = CONTEXT) -> list[Any]:
    return list(to_canonical(kind, payload, None, context))


def one(payload: Json) -> Order:
    (found,) = (item for item in made(payload) if isinstance(item, Order))
    return found


def test_an_order_keeps_its_internal_id_and_shows_its_number() -> None:
    found = one(order(1, 90))
    assert (found.source_id, found.number) == ("1", "R-1")
    assert (found.customer_kind, found.customer_source_id) == ("registered", "7")
    assert (found.placed_at, found.source_time.second) == (FIRST, 30)
    assert (found.total_minor, found.tax_minor, found.currency) == (1250, 200, "EUR")
    (line,) = found.lines
    assert (line.sku, line.quantity, line.total_minor) == ("MUG", 2, 1250)
    assert found.flags == ()


@pytest.mark.parametrize(
    ("currency", "total", "minor"),
    [("EUR", 0.1 + 0.2, 30), ("EUR", 17.995, 1800), ("EUR", 1.005, 101), ("JPY", 1500.0, 1500),
     ("KWD", 1.005, 1005), ("EUR", "12.50", 1250), ("EUR", 1e3, 100_000), ("EUR", 8.2, 820)],
)  # fmt: skip
def test_floats_become_the_minor_units_they_show(currency: str, total: Any, minor: int) -> None:
    """1.005 as a float is 1.00499…: read by its shortest form it is 1.01 in cents."""
    block = {"total": total, "total_tax": None, "shipping_ex_tax": 0, "total_discount": 0}
    found = one(order(1, total=block, currency={"iso3": currency}))
    assert found.total_minor == minor


@pytest.mark.parametrize("total", ["soon", True, [], float("nan"), 1e300])
def test_what_is_no_money_is_refused(total: Any) -> None:
    with pytest.raises(Unreadable, match="not_money at total.total"):
        made(order(1, total={"total": total}))


def test_either_block_of_totals_will_do_but_not_none() -> None:
    """Recorded answers have `totals: null` on one platform, older ones only `totals`."""
    totals = {"total": 9.5, "tax": 1.5, "shipping": 2, "discount": 0.5}
    found = one(order(1, total=None, totals=totals))
    assert (found.total_minor, found.tax_minor, found.shipping_minor) == (950, 150, 200)
    assert found.discount_minor == 50
    with pytest.raises(Unreadable, match="no_total"):
        made(order(1, total=None, totals=None))


def test_an_orders_currency_is_never_guessed() -> None:
    for currency in (None, {}, {"iso3": "XXY"}):
        with pytest.raises(Unreadable, match="unknown_currency"):
            made(order(1, currency=currency))


@pytest.mark.parametrize("nobody", ["", "0", 0, None])
def test_a_guest_is_named_by_the_order(nobody: Any) -> None:
    payload = order(1, customer={**GUEST, "id": nobody}, billing_address={
        "type": "billing", "first_name": "G", "last_name": "Guest", "city": "Cork",
        "country": {"code2": "IE", "code3": "IRL", "name": "Ireland"}, "state": None,
    })  # fmt: skip
    guest, found = made(payload)
    assert isinstance(guest, Customer)
    assert (guest.kind, guest.source_id, guest.email) == ("guest", "1", "gus@example.com")
    assert (guest.first_name, guest.last_name) == ("Gus", "Guest")
    assert [address.country for address in guest.addresses] == ["IE"]
    assert (found.customer_kind, found.customer_source_id) == ("guest", "1")


def test_refunds_lie_inside_their_order() -> None:
    found, refund = made(order(1, refunds=[REFUND]))
    assert isinstance(refund, Refund)
    assert (refund.source_id, refund.order_source_id, refund.number) == ("1/5", "1", "5")
    assert (refund.amount_minor, refund.currency, refund.reason) == (250, "EUR", "broken")
    assert refund.refunded_at.minute == 1
    assert found.financial_state is FinancialState.partially_refunded


def test_refunds_that_are_only_summed_up_are_not_lost() -> None:
    info = {"total_refunded": 12.5, "time": at(30), "comment": None}
    status = {"id": "x", "name": "Completed", "refund_info": info}
    _, refund = made(order(1, status=status))
    assert (refund.source_id, refund.amount_minor) == ("1/sum", 1250)


def test_a_refund_without_a_time_has_its_orders_and_says_so() -> None:
    _, refund = made(order(1, 120, refunds=[{**REFUND, "modified_time": None, "total": 0}]))
    assert refund.refunded_at.minute == 2
    assert refund.flags == ("refund_not_positive", "time_of_order")


@pytest.mark.parametrize("tags", ["credit-note", "vip, credit-note", ["credit-note"]])
@pytest.mark.parametrize("holder", ["additional_fields", "custom_fields"])
def test_a_tagged_order_is_a_refund_without_an_order(holder: str, tags: Any) -> None:
    marked: Json = {holder: {"tags": tags}}
    payload = {**order(1, refunds=[REFUND], customer=GUEST), **marked}
    guest, refund = made(payload)
    assert isinstance(guest, Customer)
    assert (refund.order_source_id, refund.number) == (None, "R-1")
    assert (refund.customer_kind, refund.customer_source_id) == ("guest", "1")


def test_a_shopper_cannot_write_an_order_away() -> None:
    """The comment is typed at the checkout; were it the mark, anybody could hide a sale."""
    found = one(order(1, comment="credit-note"))
    assert found.note == "credit-note"
    plain = made(order(1, additional_fields={"tags": "credit-note"}), context=StoreContext("GBP"))
    assert [type(item) for item in plain] == [Order]


@pytest.mark.parametrize(
    ("status", "money", "goods", "expected"),
    [
        ("Processing", "paid", "not_shipped", ("paid", "unfulfilled")),
        ("Completed", None, None, ("paid", "fulfilled")),
        ("Pending payment", {"id": 1, "name": "Not paid"}, None, ("pending", "unfulfilled")),
        ("Cancelled", "paid", "not_shipped", ("cancelled", "unfulfilled")),
        ("Canceled", "refunded", None, ("refunded", "unfulfilled")),
        ("Failed", "pending", None, ("failed", "unfulfilled")),
        ("Shipped", None, "partially_shipped", ("paid", "partial")),
        ("Open", "paid", "delivered", ("paid", "fulfilled")),
        ("on-hold", "", "", ("pending", "unfulfilled")),
    ],
)
def test_states_are_read_from_wherever_a_cart_has_them(
    status: str, money: Any, goods: Any, expected: tuple[str, str]
) -> None:
    fields = {"financial_status": money, "fulfillment_status": goods}
    found = one(order(1, status={"id": "", "name": status}, additional_fields=fields))
    assert (found.financial_state, found.fulfilment_state) == expected
    assert found.store_status == status
    assert (found.cancelled_at is not None) is (expected[0] == "cancelled")


def test_an_unknown_state_is_kept_and_flagged() -> None:
    found = one(order(1, status={"id": "77", "name": "Bei der Post"}, additional_fields=[]))
    assert (found.store_status, found.flags) == ("Bei der Post", ("status_unknown",))
    assert found.financial_state is FinancialState.pending
    assert found.fulfilment_state is FulfilmentState.unfulfilled


def test_a_zoneless_date_is_flagged_unless_the_zone_is_known() -> None:
    payload = order(1, create_at=at(0, "Y-m-d H:i:s"))
    assert one(payload).flags == ("zone_assumed",)
    known = StoreContext("GBP", {"timezone": "America/New_York"})
    (found,) = made(payload, context=known)
    assert (found.placed_at.hour, found.flags) == (17, ())


def test_an_unknown_date_format_is_refused_never_guessed() -> None:
    with pytest.raises(Unreadable) as error:
        made(order(1, modified_at={"value": "1/2/26", "format": "B"}))
    assert error.value.field == "modified_at.format"


def test_lines_without_a_sum_are_priced_by_quantity_less_discount() -> None:
    row = {"price": 2.995, "quantity": "3.0000", "discount_amount": 0.5, "name": "Tea"}
    (line,) = one(order(1, order_products=[row])).lines
    assert (line.quantity, line.total_minor, str(line.unit_price)) == (3, 849, "2.995")
    with pytest.raises(Unreadable, match="fractional"):
        made(order(1, order_products=[{**row, "quantity": 1.5}]))


def said(**changes: Any) -> list[Consent]:
    found = made(customer(1, **changes), "customer")
    return [item for item in found if isinstance(item, Consent)]


def test_a_newsletter_box_is_a_weak_yes_and_no_opt_out() -> None:
    """Ticked by default in many themes; unticked, nobody was asked."""
    (ticked,) = said(news_letter_subscription=True)
    assert (ticked.state, ticked.level) == (ConsentState.subscribed, OptInLevel.unknown)
    assert (ticked.explicit, ticked.consented_at) == (False, None)
    assert ticked.source_id == "registered/1/email"
    (unticked,) = said(news_letter_subscription=False)
    assert unticked.state is ConsentState.never_asked
    assert said(news_letter_subscription=None) == []


def test_a_consent_entry_outweighs_the_box() -> None:
    entry = {"type": "email", "status": "unsubscribed", "opt_in_level": "confirmed_opt_in",
             "source": "account", "modified_time": "2026-03-01T09:00:00+0000"}  # fmt: skip
    (found,) = said(news_letter_subscription=True, consents=[entry])
    assert (found.state, found.level) == (ConsentState.unsubscribed, OptInLevel.confirmed)
    assert found.explicit
    assert found.consented_at == datetime(2026, 3, 1, 9, tzinfo=UTC)
    assert found.basis == "account"


def test_an_expired_consent_was_withdrawn_and_one_to_come_was_not() -> None:
    gave = {"type": "sms", "source": "checkout", "given_at": at(-60)}
    (given,) = said(consents=[gave])
    assert (given.channel, given.state, given.consented_at) == (
        "sms", ConsentState.subscribed, FIRST.replace(hour=11, minute=59),
    )  # fmt: skip
    (ended,) = said(consents=[{**gave, "expired_at": at(-30)}])
    assert ended.state is ConsentState.unsubscribed
    (still,) = said(consents=[{**gave, "expired_at": at(99_999)}])
    assert still.state is ConsentState.subscribed
    (unclear,) = said(consents=[{"type": "email", "status": "perhaps"}])
    assert (unclear.state, unclear.flags) == (ConsentState.never_asked, ("consent_unknown",))


def test_a_listed_guest_with_an_id_is_a_guest_and_no_orders_guest() -> None:
    """Ids of guests are order ids: customer 1 must not become the guest of order 1."""
    (found,) = made(customer(1, is_guest=True), "customer")
    assert (found.kind, found.source_id) == (CustomerKind.guest, "customer/1")
    assert found.registered_at is None


def test_an_account_takes_its_default_addresses() -> None:
    book = [
        {"type": "billing", "city": "Old", "default": False},
        {"type": "shipping", "city": "Kyiv", "country": {"name": "Ukraine"}},
        {"type": "billing", "city": "New", "default": True, "phone_mobile": 123,
         "state": {"code": "", "name": "Kent"}},
    ]  # fmt: skip
    (found,) = made(customer(1, address_book=book), "customer")
    assert [(a.kind, a.city, a.region) for a in found.addresses] == [
        ("billing", "New", "Kent"), ("shipping", "Kyiv", ""),
    ]  # fmt: skip
    assert (found.phone, found.registered_at) == ("123", FIRST)


def cart(**changes: Any) -> Json:
    return {
        "id": "4", "created_at": at(0), "modified_at": at(60), "currency": {"iso3": "EUR"},
        "customer": GUEST, "totals": {"total": 5.5}, "basket_url": "https://a.example/c/4",
        "order_products": [{"model": "MUG", "name": "Mug", "quantity": 1, "price": 5.5}],
        **changes,
    }  # fmt: skip


def test_a_cart_with_only_an_email_has_a_lead() -> None:
    lead, found = made(cart(), "cart")
    assert (lead.kind, lead.source_id) == (CustomerKind.lead, "cart/4")
    assert isinstance(found, Cart)
    assert (found.customer_kind, found.customer_source_id) == ("lead", "cart/4")
    assert found.abandoned_at == found.changed_at
    assert (found.total_minor, found.recovery_url) == (550, "https://a.example/c/4")


def test_a_cart_of_an_account_or_of_nobody_has_no_lead() -> None:
    (mine,) = made(cart(customer={"id": "7", "email": "ada@example.com"}), "cart")
    assert (mine.customer_kind, mine.customer_source_id) == ("registered", "7")
    (nobodys,) = made(cart(customer={"id": "", "email": ""}, currency=None), "cart")
    assert (nobodys.customer_kind, nobodys.currency) == (None, "GBP")


def parcel(**changes: Any) -> Shipment:
    payload: Json = {"id": "9", "order_id": "R-1", "tracking_numbers": [], "items": []}
    payload |= changes
    (found,) = to_canonical("shipment", payload, order(1, 30), CONTEXT)
    assert isinstance(found, Shipment)
    return found


def test_a_parcel_belongs_to_its_orders_internal_id() -> None:
    found = parcel(
        is_shipped=True, created_at=at(60), modified_time=at(120),
        tracking_numbers=[{"carrier_id": "ups", "tracking_number": "Z1"}],
        items=[{"model": "MUG", "order_product_id": "31", "quantity": 2.0}],
    )  # fmt: skip
    assert (found.source_id, found.order_source_id) == ("1/9", "1")
    assert (found.state, found.carrier, found.tracking_number) == ("shipped", "ups", "Z1")
    assert found.shipped_at is not None
    assert found.shipped_at.minute == 1
    assert found.lines[0].quantity == 2


def test_a_label_alone_has_not_left() -> None:
    found = parcel(is_shipped=False, created_at=at(60))
    assert (found.state, found.shipped_at) == (ShipmentState.pending, None)


def test_a_delivered_parcel_says_when() -> None:
    found = parcel(is_shipped=True, created_at=at(60), delivered_at=at(600))
    assert found.state is ShipmentState.delivered
    assert found.delivered_at is not None
    assert found.delivered_at.minute == 10


def test_a_parcel_without_times_has_its_orders() -> None:
    """Recorded answers of one platform state none."""
    found = parcel()
    assert (found.source_time.second, found.flags) == (30, ("time_of_order",))
    with pytest.raises(Unreadable, match="no_parent"):
        list(to_canonical("shipment", {"id": "9"}, None, CONTEXT))


def test_a_product_is_priced_in_the_stores_currency() -> None:
    payload = {"id": 3, "name": "Mug", "price": 6.25, "u_model": "MUG", "avail_view": False,
               "create_at": at(0), "modified_at": None}  # fmt: skip
    (found,) = made(payload, "product")
    assert isinstance(found, Product)
    assert (found.source_id, found.sku, found.price_minor) == ("3", "MUG", 625)
    assert (found.status, found.currency) == ("draft", "GBP")
    (unpriced,) = made({**payload, "price": None}, "product")
    assert unpriced.price_minor is None
