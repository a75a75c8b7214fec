"""Payloads to canonical objects: rules on invented payloads."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from crm_integration.canonical.customers import Customer
from crm_integration.canonical.orders import FinancialState, FulfilmentState, Order
from crm_integration.canonical.products import Product
from crm_integration.canonical.refunds import Refund
from crm_integration.stores._contract import StoreContext, Unreadable
from crm_integration.stores._payload import checked
from crm_integration.stores.woocommerce.to_canonical import to_canonical

CONTEXT = StoreContext("GBP", {"credit_without_order_tag": "credit-without-order"})
TAG = {"key": "crm_integration_tag", "value": "credit-without-order"}


def order(**changes: Any) -> dict[str, Any]:
    return {
        "id": 7, "number": "A-7", "status": "processing", "currency": "GBP", "customer_id": 3,
        "total": "10.00", "date_created_gmt": "2026-03-01T12:00:00",
        "date_modified_gmt": "2026-03-02T12:00:00",
        "billing": {"email": "Ann@Example.com", "country": "EIRE"}, "refunds": [],
        "line_items": [line()], "meta_data": [], **changes,
    }  # fmt: skip


def line(**changes: Any) -> dict[str, Any]:
    return {"product_id": 1, "quantity": 2, "price": 17.995, "total": "35.99", "name": "Mug",
            "sku": "M", **changes}  # fmt: skip


def made(**changes: Any) -> Order:
    found = list(to_canonical("order", order(**changes), None, CONTEXT))
    assert isinstance(found[-1], Order)
    return found[-1]


@pytest.mark.parametrize(
    ("status", "state"),
    [
        ("pending", "pending"), ("on-hold", "pending"), ("checkout-draft", "pending"),
        ("processing", "paid"), ("completed", "paid"), ("refunded", "refunded"),
        ("cancelled", "cancelled"), ("failed", "failed"), ("trash", "cancelled"),
    ],
)  # fmt: skip
def test_each_status_says_where_the_money_is(status: str, state: str) -> None:
    assert made(status=status).financial_state == state


@pytest.mark.parametrize(
    ("refunds", "state"),
    [([], "paid"), (["-4.00"], "partially_refunded"), (["-4.00", "-6.00"], "refunded")],
)
def test_completed_does_not_hide_that_money_went_back(refunds: list[str], state: str) -> None:
    """WooCommerce leaves the status after a partial refund; only the negative sums tell."""
    rows = [{"id": n, "total": total} for n, total in enumerate(refunds)]
    found = made(status="completed", refunds=rows)
    assert found.financial_state == state
    assert found.fulfilment_state is FulfilmentState.fulfilled


def test_a_parcel_sent_in_part_is_not_fulfilled() -> None:
    note = [{"key": "_fulfillment_status", "value": "partially_fulfilled"}]
    assert made(status="completed", meta_data=note).fulfilment_state is FulfilmentState.partial
    assert made().fulfilment_state is FulfilmentState.unfulfilled


def test_a_plugins_own_status_goes_by_what_was_paid() -> None:
    paid = made(status="wc-shipped", date_paid_gmt="2026-03-01T12:00:00")
    assert (paid.financial_state, paid.store_status) == (FinancialState.paid, "shipped")
    assert paid.flags == ("status_unknown",)


def test_trash_is_a_cancelled_order_with_its_time() -> None:
    assert str(made(status="trash").cancelled_at) == "2026-03-02 12:00:00+00:00"


def test_times_without_a_zone_are_utc_and_the_change_is_the_version() -> None:
    found = made()
    assert str(found.source_time) == "2026-03-02 12:00:00+00:00"
    assert str(found.placed_at) == "2026-03-01 12:00:00+00:00"
    assert made(date_modified_gmt=None).source_time == found.placed_at


def test_a_price_below_a_cent_is_read_as_it_is_written() -> None:
    """17.995 as a float is 17.99499…: the price must come out as the shop wrote it."""
    first = made().lines[0]
    assert (first.unit_price, first.total_minor, first.position) == (Decimal("17.995"), 3599, 0)


def test_a_guest_is_a_customer_named_by_the_order_even_without_an_email() -> None:
    payload = order(customer_id=0, billing={"last_name": "Roe", "email": ""})
    guest, bought = to_canonical("order", payload, None, CONTEXT)
    assert isinstance(guest, Customer)
    assert isinstance(bought, Order)
    assert (guest.kind, guest.source_id, guest.email) == ("guest", "7", None)
    assert (bought.customer_kind, bought.customer_source_id, bought.email) == ("guest", "7", None)


def test_the_email_keeps_its_case_and_the_country_becomes_a_code() -> None:
    found = made()
    assert found.email == "Ann@Example.com"
    assert found.billing is not None
    assert found.billing.country == "IE"


def test_an_imported_credit_note_is_never_an_order() -> None:
    """The tag is the tenant's setting; without the setting the same order is a sale."""
    assert list(to_canonical("order", order(meta_data=[TAG]), None, CONTEXT)) == []
    guest = order(meta_data=[TAG], customer_id=0)
    assert [type(x) for x in to_canonical("order", guest, None, CONTEXT)] == [Customer]
    plain = to_canonical("order", order(meta_data=[TAG]), None, StoreContext("GBP"))
    assert [type(x) for x in plain] == [Order]


def refund(parent: dict[str, Any], **changes: Any) -> Refund:
    payload = {"id": 9, "date_created_gmt": "2026-03-03T12:00:00", "amount": "4.00", **changes}
    (found,) = to_canonical("refund", payload, parent, CONTEXT)
    assert isinstance(found, Refund)
    return found


def test_a_refund_takes_currency_and_order_from_its_parent() -> None:
    found = refund(order(currency="JPY"))
    assert (found.order_source_id, found.currency, found.amount_minor) == ("7", "JPY", 4)
    assert (found.customer_source_id, found.flags) == (None, ())


def test_a_refund_of_a_tagged_order_has_no_order_but_a_customer() -> None:
    found = refund(order(meta_data=[TAG]))
    assert (found.order_source_id, found.number) == (None, "A-7")
    assert (found.customer_kind, found.customer_source_id) == ("registered", "3")
    guest = refund(order(meta_data=[TAG], customer_id=0))
    assert (guest.customer_kind, guest.customer_source_id) == ("guest", "7")


@pytest.mark.parametrize("amount", ["0.00", "-5.00"])
def test_a_refund_that_gives_nothing_back_is_kept_and_marked(amount: str) -> None:
    assert refund(order(), amount=amount).flags == ("refund_not_positive",)


def test_a_refund_without_its_order_waits() -> None:
    with pytest.raises(Unreadable) as error:
        list(to_canonical("refund", {"id": 9}, None, CONTEXT))
    assert error.value.reason == "no_parent"


def test_nul_and_lone_surrogates_are_repaired_and_marked() -> None:
    """Postgres takes neither; a joined pair and every other text stay as they are."""
    found = made(
        line_items=[line(name="a\0b\ud800c"), line(name="\ud83d\ude00"), line(name="Größe")]
    )
    assert [one.title for one in found.lines] == ["ab\ufffdc", "\U0001f600", "Größe"]
    assert found.flags == ("text_repaired",)


@pytest.mark.parametrize(
    ("changes", "reason", "field"),
    [
        ({"currency": "XYZ"}, "unknown_currency", "currency"),
        ({"currency": None}, "unknown_currency", "currency"),
        ({"id": "x"}, "no_id", "id"),
        ({"customer_id": None}, "no_customer", "customer_id"),
        ({"date_created_gmt": "soon"}, "no_time", "date_created_gmt"),
        ({"total": "secret-text"}, "not_money", "total"),
        ({"total": "NaN"}, "not_money", "total"),
        ({"total": True}, "not_money", "total"),
        ({"line_items": {"a": 1}}, "wrong_type", "line_items"),
        ({"line_items": [5]}, "wrong_type", "line_items[0]"),
        ({"line_items": [line(), line(quantity=1.5)]}, "fractional", "line_items[1].quantity"),
        ({"line_items": [line(quantity=10**12)]}, "out_of_range", "line_items[0].quantity"),
        ({"line_items": [line(price="1e999")]}, "not_a_number", "line_items[0].price"),
        ({"total": "1e30"}, "not_money", "total"),
        ({"line_items": [line(price="inf")]}, "not_a_number", "line_items[0].price"),
        ({"line_items": [line(name=["x"])]}, "wrong_type", "line_items[0].name"),
        ({"billing": "secret-text"}, "wrong_type", "billing"),
        ({"refunds": [{"total": ["x"]}]}, "not_money", "refunds[0].total"),
    ],
)
def test_what_cannot_be_understood_names_the_place_and_no_value(
    changes: dict[str, Any], reason: str, field: str
) -> None:
    with pytest.raises(Unreadable) as error:
        list(to_canonical("order", order(**changes), None, CONTEXT))
    assert (error.value.reason, error.value.field) == (reason, field)
    assert "secret-text" not in str(error.value)


def test_what_only_the_model_refuses_names_the_field_and_no_value() -> None:
    """The model is the last gate; its own message would carry the value."""
    with pytest.raises(Unreadable) as error:
        checked(Product, {"source_id": "1", "source_time": "secret-text"})
    assert (error.value.reason, error.value.field) == ("invalid", "source_time")
    assert error.value.__cause__ is None
    assert "secret-text" not in str(error.value)


@pytest.mark.parametrize("text", ["0000-00-00T00:00:00", "0001-01-01T00:00:00+14:00", 5])
def test_a_date_that_is_none_is_not_taken_for_one(text: Any) -> None:
    """Old databases hold zero dates; the creation date then tells the version."""
    assert made(date_modified_gmt=text).source_time == made().placed_at


def test_phps_empty_list_is_an_empty_address() -> None:
    """PHP writes an empty associative array as []."""
    assert made(billing=[], shipping=[]).billing is None


def test_an_accounts_email_is_the_accounts_not_the_billing_one() -> None:
    payload = {"id": 3, "email": "Jane.Doe@Example.com", "date_created_gmt": "2026-03-01T12:00:00",
               "billing": {"email": "jane@example.com", "first_name": "Jane"}}  # fmt: skip
    (found,) = to_canonical("customer", payload, None, CONTEXT)
    assert isinstance(found, Customer)
    assert (found.kind, found.email) == ("registered", "Jane.Doe@Example.com")
    assert (found.first_name, str(found.source_time)) == ("Jane", "2026-03-01 12:00:00+00:00")


def test_a_variable_product_keeps_its_variants_ids_and_an_unknown_price() -> None:
    """No price is not the price 0."""
    payload = {"id": 1, "name": "Shirt", "price": "", "status": "private", "variations": [12, 13],
               "date_created_gmt": "2026-03-01T12:00:00"}  # fmt: skip
    (found,) = to_canonical("product", payload, None, CONTEXT)
    assert isinstance(found, Product)
    assert (found.price_minor, found.status, found.currency) == (None, "draft", "GBP")
    assert [variant.source_id for variant in found.variants] == ["12", "13"]
    rich = {**payload, "variations": [{"id": 12, "name": "M", "sku": "S-M", "price": "1.5"}]}
    (told,) = to_canonical("product", rich, None, CONTEXT)
    assert isinstance(told, Product)
    assert told.variants[0].model_dump(exclude={"options"}) == {
        "source_id": "12", "sku": "S-M", "title": "M", "price_minor": 150,
    }  # fmt: skip
