"""What a node means in our model, and what it is refused for."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest

from crm_integration.canonical.consents import ConsentState, OptInLevel
from crm_integration.canonical.customers import CustomerKind
from crm_integration.canonical.orders import FinancialState, FulfilmentState
from crm_integration.canonical.shipments import ShipmentState
from crm_integration.stores._contract import StoreContext, Unreadable
from crm_integration_tests.stores.shopify.answers import (
    canonical,
    line,
    money,
    order,
    parcel,
    refund,
)

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def customer(**changes: Any) -> dict[str, Any]:
    return {
        "id": "gid://shopify/Customer/5",
        "createdAt": "2026-01-01T00:00:00Z",
        "updatedAt": "2026-03-01T12:00:00Z",
        "firstName": "Ada",
        "lastName": "Example",
        "verifiedEmail": True,
        "defaultEmailAddress": None,
        "defaultPhoneNumber": None,
        "defaultAddress": None,
        **changes,
    }


def email(state: str, level: str | None = "SINGLE_OPT_IN") -> dict[str, Any]:
    return {
        "emailAddress": "Ada@example.com",
        "marketingState": state,
        "marketingOptInLevel": level,
        "marketingUpdatedAt": "2026-02-01T00:00:00Z",
    }


def test_an_order_keeps_its_numbers_in_minor_units_and_its_name_without_the_hash() -> None:
    """`#1001` in one system and `1001` in the other never found each other."""
    (found,) = canonical("order", order(1001))
    assert (found.source_id, found.number, found.currency) == ("1001", "1001", "GBP")
    assert (found.total_minor, found.tax_minor) == (1240, 240)
    assert (found.customer_kind, found.customer_source_id) == ("registered", "5")
    assert (found.placed_at, found.source_time) == (NOON, NOON)
    assert found.lines[0].unit_price == Decimal("5.00")
    assert (found.lines[0].product_source_id, found.lines[0].variant_source_id) == ("7", "71")


@pytest.mark.parametrize(("included", "charged"), [(False, 700), (True, 580)])
def test_a_line_is_what_was_charged_without_tax_after_all_discounts(
    included: bool, charged: int
) -> None:
    """`discountedTotalSet` leaves a discount on the whole order out and holds included tax."""
    row = line(
        1,
        discountAllocations=[{"allocatedAmountSet": money(part)} for part in ("2.00", "1.00")],
        taxLines=[{"priceSet": money("1.20")}],
    )
    (found,) = canonical("order", order(1, row, taxesIncluded=included))
    assert (found.lines[0].total_minor, found.lines[0].tax_minor) == (charged, 120)


def test_a_line_stays_charged_when_it_was_sent_back() -> None:
    """Shopify's `current` amounts fall to 0 with a refund, and the sale would vanish with them."""
    row = line(1, quantity=2, currentQuantity=0)
    (found, back) = canonical("order", order(1, row, refunds=[refund(9, "12.40")]))
    assert found.lines[0].total_minor == 1000
    assert (back.amount_minor, back.order_source_id, back.number) == (1240, "1", "9")


@pytest.mark.parametrize(("currency", "minor"), [("JPY", 1240), ("KWD", 1240000), ("GBP", 124000)])
def test_yen_have_no_decimals_and_dinars_three(currency: str, minor: int) -> None:
    """A price of 1,240 yen became 124,000."""
    rows = [line(1, originalTotalSet=money("0"))]
    found = canonical(
        "order", order(1, *rows, currencyCode=currency, totalPriceSet=money("1240.0"))
    )[0]
    assert found.total_minor == minor


@pytest.mark.parametrize("amount", [12.4, "twelve", None, "NaN", "1e400"])
def test_money_that_is_no_decimal_text_is_refused(amount: Any) -> None:
    """A JSON float has been rounded by somebody already."""
    bag = {"shopMoney": {"amount": amount}}
    with pytest.raises(Unreadable) as caught:
        canonical("order", order(1, totalPriceSet=bag))
    assert caught.value.reason == "not_money"
    assert caught.value.field == "totalPriceSet.shopMoney.amount"


@pytest.mark.parametrize(
    ("financial", "cancelled", "expected"),
    [
        ("AUTHORIZED", None, FinancialState.pending),
        ("PARTIALLY_PAID", None, FinancialState.pending),
        ("VOIDED", None, FinancialState.cancelled),
        ("EXPIRED", None, FinancialState.failed),
        ("PAID", "2026-03-02T00:00:00Z", FinancialState.cancelled),
        ("REFUNDED", "2026-03-02T00:00:00Z", FinancialState.refunded),
    ],
)
def test_money_and_cancelling_are_told_apart(
    financial: str, cancelled: str | None, expected: FinancialState
) -> None:
    """A cancelled order whose money went back is refunded: that is where the money is."""
    found = canonical("order", order(1, displayFinancialStatus=financial, cancelledAt=cancelled))[0]
    assert found.financial_state is expected
    assert (found.cancelled_at is not None) == (cancelled is not None)


def test_unknown_states_are_kept_and_flagged() -> None:
    """A new enum value of the next version must not stop a shop's orders."""
    odd = {"displayFinancialStatus": "ON_THE_MOON", "displayFulfillmentStatus": "IN_ORBIT"}
    paid = [{"kind": "SALE", "status": "SUCCESS", "processedAt": "2026-03-01T13:00:00Z"}]
    (found,) = canonical("order", order(1, **odd, transactions=paid))
    assert found.flags == ("fulfilment_unknown", "status_unknown")
    assert found.store_status == "ON_THE_MOON/IN_ORBIT"
    assert found.financial_state is FinancialState.paid
    assert found.fulfilment_state is FulfilmentState.unfulfilled


def test_paid_is_when_the_first_money_was_taken() -> None:
    """An authorization takes none, and a failed sale neither."""
    rows = [("AUTHORIZATION", "SUCCESS", 1), ("SALE", "FAILURE", 2), ("CAPTURE", "SUCCESS", 4),
            ("CAPTURE", "SUCCESS", 3)]  # fmt: skip
    given = [
        {"kind": kind, "status": status, "processedAt": f"2026-03-0{day}T00:00:00Z"}
        for kind, status, day in rows
    ]
    (found,) = canonical("order", order(1, transactions=given))
    assert found.paid_at == datetime(2026, 3, 3, tzinfo=UTC)


def test_a_guest_without_an_email_is_a_customer_all_the_same() -> None:
    """Orders from the point of sale have neither e-mail nor address."""
    person, found = canonical("order", order(8, customer=None, email=None))
    assert (person.kind, person.source_id, person.email) == (CustomerKind.guest, "8", None)
    assert (found.customer_kind, found.customer_source_id) == ("guest", "8")


def test_a_guest_is_known_by_the_billing_address() -> None:
    """The order's own e-mail, the address' name, and a phone from where there is one."""
    billing = {"firstName": "Bo", "lastName": "Guest", "countryCodeV2": "IE", "zip": "D01",
               "provinceCode": None, "province": "Dublin", "phone": "+35311"}  # fmt: skip
    person = canonical("order", order(8, customer=None, billingAddress=billing))[0]
    assert (person.first_name, person.phone, person.email) == ("Bo", "+35311", "buyer@example.com")
    assert (person.addresses[0].country, person.addresses[0].region) == ("IE", "Dublin")


def test_an_order_tagged_as_a_credit_is_refunds_without_an_order() -> None:
    """Credit notes imported as orders were counted as sales and as refunds."""
    payload = order(1, tags=["b2b", "credit"], refunds=[refund(9, "7.00")])
    context = StoreContext("GBP", {"credit_without_order_tag": "credit"})
    (found,) = canonical("order", payload, context)
    assert (found.order_source_id, found.number, found.amount_minor) == (None, "1", 700)
    assert (found.customer_kind, found.customer_source_id) == ("registered", "5")
    assert [type(one).__name__ for one in canonical("order", payload)] == ["Order", "Refund"]


def test_a_refund_of_nothing_is_kept_and_flagged_and_a_pending_one_has_a_time() -> None:
    """Restocking alone makes a refund of 0.00; `createdAt` is null while one is pending."""
    rows = [refund(1, "0.00"), refund(2, "1.00", createdAt=None)]
    found = canonical("order", order(1, refunds=rows))[1:]
    assert found[0].flags == ("refund_not_positive",)
    assert found[1].refunded_at == datetime(2026, 3, 3, 12, tzinfo=UTC)


def test_a_parcel_that_holds_everything_needs_no_lines_of_its_own() -> None:
    """Bulk files cannot hold a parcel's lines: as many items as ordered means all of them."""
    payload = order(1, line(1, quantity=2), line(2, quantity=3), fulfillments=[parcel(3, 5)])
    found = canonical("order", payload)[1]
    assert [(row.sku, row.line_source_id, row.quantity) for row in found.lines] == [
        ("SKU-1", "1", 2),
        ("SKU-2", "2", 3),
    ]
    assert (found.state, found.carrier, found.tracking_number) == ("shipped", "Royal Mail", "AB1")
    assert found.number == "1-F3"


@pytest.mark.parametrize(
    ("status", "shown", "delivered", "state", "left"),
    [
        ("SUCCESS", "LABEL_PRINTED", None, ShipmentState.pending, False),
        ("SUCCESS", "IN_TRANSIT", None, ShipmentState.shipped, True),
        ("SUCCESS", "FULFILLED", "2026-03-04T00:00:00Z", ShipmentState.delivered, True),
        ("SUCCESS", "NOT_DELIVERED", None, ShipmentState.failed, True),
        ("CANCELLED", "IN_TRANSIT", None, ShipmentState.cancelled, False),
        ("SUCCESS", "BEAMED", None, ShipmentState.shipped, True),
        ("BEAMED", None, None, ShipmentState.pending, False),
    ],
)
def test_a_parcels_state_is_what_is_displayed_unless_it_failed(
    status: str, shown: str | None, delivered: str | None, state: ShipmentState, left: bool
) -> None:
    """A printed label is no parcel on its way."""
    row = parcel(3, 2, status=status, displayStatus=shown, deliveredAt=delivered)
    found = canonical("order", order(1, fulfillments=[row]))[1]
    assert (found.state, found.shipped_at is not None) == (state, left)
    assert ("shipment_status_unknown" in found.flags) == ("BEAMED" in (status, shown))


@pytest.mark.parametrize("when", ["2026-03-01T12:00:00", "yesterday", 1772366400, "", True])
def test_a_time_without_a_zone_is_refused_and_never_guessed(when: Any) -> None:
    """A naive time read as UTC moved a night's orders to another day."""
    with pytest.raises(Unreadable) as caught:
        canonical("order", order(1, updatedAt=when))
    assert (caught.value.reason, caught.value.field) == ("bad_time", "updatedAt")


def test_times_of_other_zones_become_utc() -> None:
    """The REST bodies of old carry the shop's offset."""
    (found,) = canonical("order", order(1, updatedAt="2026-03-01T07:00:00-05:00"))
    assert found.source_time == NOON


@pytest.mark.parametrize(
    ("stated", "state", "explicit", "flags"),
    [
        ("SUBSCRIBED", ConsentState.subscribed, True, ()),
        ("UNSUBSCRIBED", ConsentState.unsubscribed, True, ()),
        ("PENDING", ConsentState.pending, False, ()),
        ("NOT_SUBSCRIBED", ConsentState.never_asked, False, ()),
        ("INVALID", ConsentState.never_asked, False, ("consent_invalid",)),
        ("REDACTED", ConsentState.unsubscribed, True, ("consent_redacted",)),
        ("MAYBE", ConsentState.never_asked, False, ("consent_unknown",)),
    ],
)
def test_only_a_clear_yes_is_a_subscription(
    stated: str, state: ConsentState, explicit: bool, flags: tuple[str, ...]
) -> None:
    """An unknown state that was read as a yes is a fine."""
    found = canonical("customer", customer(defaultEmailAddress=email(stated)))[1]
    assert (found.state, found.explicit, found.flags) == (state, explicit, flags)
    assert found.source_id == "registered/5/email"
    told = state is not ConsentState.never_asked
    assert found.consented_at == (datetime(2026, 2, 1, tzinfo=UTC) if told else None)


def test_an_opt_in_of_unknown_level_is_not_explicit() -> None:
    """A list that somebody imported says SUBSCRIBED, too."""
    found = canonical("customer", customer(defaultEmailAddress=email("SUBSCRIBED", "UNKNOWN")))[1]
    assert (found.level, found.explicit) == (OptInLevel.unknown, False)


def test_consent_by_phone_is_a_word_of_its_own() -> None:
    """Mail and SMS are two consents with two times."""
    consent = {"state": "SUBSCRIBED", "optInLevel": "CONFIRMED_OPT_IN",
               "updatedAt": "2026-02-02T00:00:00Z", "collectedFrom": "SHOPIFY"}  # fmt: skip
    phone = {"phoneNumber": "+44123", "smsMarketingConsent": consent}
    person, by_mail, by_phone = canonical(
        "customer",
        customer(defaultEmailAddress=email("UNSUBSCRIBED"), defaultPhoneNumber=phone),
    )
    assert (person.email, person.email_verified, person.phone) == (
        "Ada@example.com",
        True,
        "+44123",
    )
    assert (by_mail.state, by_phone.state) == (ConsentState.unsubscribed, ConsentState.subscribed)
    assert (by_phone.level, by_phone.basis) == (OptInLevel.confirmed, "shopify")


def test_a_customer_without_email_and_phone_says_nothing_about_consent() -> None:
    """Nobody can be written to, and `verified` means nothing of an e-mail that is not there."""
    (person,) = canonical("customer", customer())
    assert (person.email, person.email_verified, person.kind) == (None, None, "registered")


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"id": "1001"}, "no_id", "id"),
        ({"currencyCode": "QQQ"}, "unknown_currency", "currencyCode"),
        ({"refunds": {}}, "wrong_type", "refunds"),
        ({"tags": "credit"}, "wrong_type", "tags"),
        ({"lineItems": {"nodes": [line(1, quantity=1.5)]}}, "not_a_number",
         "lineItems.nodes[0].quantity"),
        ({"lineItems": {"nodes": [line(1, quantity=10**12)]}}, "out_of_range",
         "lineItems.nodes[0].quantity"),
    ],
)  # fmt: skip
def test_what_cannot_be_understood_is_refused_with_its_place(
    changes: dict[str, Any], reason: str, field: str
) -> None:
    """The reason is a code and the field a path; no value of the payload is told."""
    context = StoreContext("GBP", {"credit_without_order_tag": "credit"})
    with pytest.raises(Unreadable) as caught:
        canonical("order", order(1, **changes), context)
    assert (caught.value.reason, caught.value.field) == (reason, field)


def test_texts_that_no_database_takes_are_repaired_and_marked() -> None:
    """One NUL in a note stopped a whole batch."""
    (found,) = canonical("order", order(1, note="a\0b\ud83d"))
    assert (found.note, found.flags) == ("ab\ufffd", ("text_repaired",))
