"""The generated function: what it lifts, what it refuses, how fast it is."""

from __future__ import annotations

import timeit

import pytest

from crm_integration.errors import BadMapping, DataRejected
from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping, object_types, versions
from crm_integration.mapping.model import FieldOverride
from crm_integration.mapping.paths import canonical_paths
from crm_integration_tests.mapping.views import (
    COMPANY,
    CUSTOMER,
    GOOD,
    HEAD,
    MAPPINGS,
    ORDER,
    VIEW_OF,
    activity,
    cart,
    company,
    customer,
    order,
    parsed,
    product,
    refund,
)


def test_a_contact_is_lifted_field_by_field() -> None:
    """The whole contact, so that a change of any field shows here."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1))
    assert compiled.project(customer()) == {
        "email": "Ada@Example.com", "firstname": "Ada", "lastname": "Invented",
        "phone": "+4930901820", "company": None, "address": "Nowhere 1, Yard",
        "city": "Berlin", "zip": "10115", "country": "Germany", "lifecyclestage": "customer",
        "ci_store": "main", "ci_store_customer_id": "7", "ci_customer_kind": "registered",
        "ci_lifecycle_stage": "repeat", "ci_orders_count": 2,
        "ci_first_order_at": "2026-03-01T12:00:00.250Z",
        "ci_last_order_at": "2026-03-01T12:00:00.250Z",
    }  # fmt: skip
    assert compiled.match is not None
    assert compiled.match.read(customer()) == "Ada@Example.com"


def test_the_second_contact_adds_fields_and_changes_none_of_the_first() -> None:
    """A new version that also turns an old field moves 40,000 values nobody asked for."""
    first, second = (
        compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", number)) for number in (1, 2)
    )
    view = customer(company_id=COMPANY)
    old, new = first.project(view), second.project(view)
    assert {name: new[name] for name in old} == old
    assert {name: value for name, value in new.items() if name not in old} == {
        "ci_current_stage": "lapsed", "ci_lifecycle_reason": "no order for 400 days",
        "ci_email_consent": "subscribed", "ci_email_consent_at": "2026-03-01T12:00:00.250Z",
        "ci_email_consent_basis": "checkout", "ci_sms_consent": None, "ci_sms_consent_at": None,
        "ci_sms_consent_basis": None,
    }  # fmt: skip
    assert second.associations(view) == (("company", COMPANY),)
    assert second.associations(customer()) == ()


def test_the_crms_opt_out_is_read_with_the_record_and_never_written() -> None:
    """HubSpot refuses a write of hs_email_optout, and with it the whole contact."""
    second = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 2))
    assert second.opt_outs == ("hs_email_optout",)
    assert second.reads == (*second.fields, "hs_email_optout")
    assert "hs_email_optout" not in second.fields
    first = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1))
    assert first.reads == tuple(first.fields)


def test_a_company_is_adopted_by_its_name() -> None:
    """Companies in a CRM carry no e-mail; the name is what sales typed."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "company", 1))
    assert compiled.match is not None
    assert (compiled.match.field, compiled.match.read(company())) == ("name", "Invented & Sons")
    assert compiled.project(company(country=None)) == {
        "name": "Invented & Sons", "city": "Berlin", "country": None, "ci_store": "main",
        "ci_customers_count": 2,
    }  # fmt: skip


def test_a_cart_names_its_order_once_it_became_one() -> None:
    """The abandoned cart that stays abandoned after the order is a reminder to a buyer."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "cart", 1))
    before = compiled.project(cart())
    assert (before["hs_external_status"], before["hs_total_price"]) == ("abandoned", "25.00")
    assert before["hs_cart_name"] == "Cart c-1"
    assert compiled.associations(cart()) == (("contact", CUSTOMER),)
    bought = cart(state="converted", order_id=ORDER, order_number="R-100")
    assert compiled.project(bought)["hs_external_status"] == "converted"
    assert compiled.associations(bought) == (("contact", CUSTOMER), ("order", ORDER))
    assert compiled.associations(cart(customer_id=None)) == ()


def test_an_activity_is_a_note_that_no_one_takes_for_a_refund() -> None:
    """Totals of refunds are summed by ci_kind: a paid order among them is money given back."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "activity", 1))
    paid = compiled.project(activity())
    assert paid["hs_note_body"] == "Order R-100 paid"
    assert (paid["ci_kind"], paid["ci_amount"]) == ("order_paid", "12.34")
    assert "ci_refund_amount" not in paid
    asked = activity(kind="support", title="Asked for help", subject="Where is it?",
                     body="Two lines <b>of\nmine", currency=None, amount_minor=None)  # fmt: skip
    body = "Asked for help<br>Where is it?<br>Two lines &lt;b&gt;of<br>mine"
    assert compiled.project(asked)["hs_note_body"] == body
    assert "refund" not in canonical_paths("activity")["kind"].values


def test_a_guest_without_an_address_has_empty_fields_and_no_error() -> None:
    """Reading billing.city of a guest without a billing block broke the whole batch."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1))
    fields = compiled.project(customer(billing=None, email=None, store_customer_id=None))
    assert fields["city"] is None
    assert fields["address"] is None
    assert fields["email"] is None
    assert fields["phone"] == "030 901820"


def test_an_order_carries_decimal_money_and_its_contact() -> None:
    """Cents, partial refunds and the association in one look."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "order", 1))
    fields = compiled.project(order())
    assert fields["hs_total_price"] == "12.34"
    assert fields["hs_shipping_cost"] == "0.05"
    assert fields["hs_refund_amount"] == "10.00"
    assert fields["ci_is_guest"] is False
    assert type(fields["hs_payment_status"]) is str
    assert compiled.associations(order()) == (("contact", CUSTOMER),)
    assert compiled.missing(fields) == ()
    assert compiled.missing({**fields, "hs_order_name": None}) == ("hs_order_name",)


def test_yen_have_no_decimals_and_a_product_without_a_price_has_none() -> None:
    """1200 yen once became 12.00."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "product", 1))
    assert compiled.project(product())["price"] == "1200"
    assert compiled.project(product(price_minor=None))["price"] is None


def test_a_refund_without_an_order_still_reads_as_a_sentence() -> None:
    """The note of an imported credit said "for order None"."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "refund", 1))
    assert compiled.project(refund())["hs_note_body"] == "Refund C-55 of 10.50 EUR for order R-100"
    alone = refund(order_id=None, order_number=None, reason="broken")
    assert compiled.project(alone)["hs_note_body"] == "Refund C-55 of 10.50 EUR: broken"
    assert compiled.project(alone)["ci_kind"] == "refund"
    assert compiled.associations(refund()) == (("contact", CUSTOMER), ("order", ORDER))
    assert compiled.associations(alone) == (("contact", CUSTOMER),)


def test_nothing_that_is_not_mapped_can_leave() -> None:
    """A new personal field of the model must not reach a CRM because someone copied the dict."""
    compiled = compile_mapping(parsed(GOOD))
    view = customer() | {"passport": "X1", "email": "a@example.com"}
    assert compiled.project(view) == {"email": "a@example.com"}


def test_a_value_without_a_counterpart_names_the_field_and_not_the_value() -> None:
    """The refusal of a free text status is read in logs, where no customer data may be."""
    field = ("{from: company, transform: enum_map, options: {map: {a: b}}, owner: store,"
             " rule: overwrite, kind: enum}")  # fmt: skip
    compiled = compile_mapping(parsed(GOOD + f"  branch: {field}\n"))
    assert compiled.project(customer(company="a"))["branch"] == "b"
    with pytest.raises(DataRejected) as caught:
        compiled.project(customer(company="Private Person"))
    assert caught.value.field == "branch"
    assert "Private" not in str(caught.value)
    assert caught.value.__context__ is None


def test_an_unknown_currency_rejects_the_record_and_says_where() -> None:
    """A shop that counts in loyalty points (XQX) must not send points as money."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "order", 1))
    with pytest.raises(DataRejected) as caught:
        compiled.project(order(currency="XQX"))
    assert caught.value.field == "hs_total_price"


def test_an_override_changes_one_field_and_is_checked_like_a_file() -> None:
    """A tenant's override with a typo must not be ignored."""
    mapping = load_mapping(MAPPINGS, "hubspot", "contact", 1)
    change = FieldOverride({"owner": "crm", "rule": "never"}, "tenants/x.yaml", 4)
    compiled = compile_mapping(mapping, {"lifecyclestage": change})
    assert compiled.fields["lifecyclestage"].rule == "never"
    assert compiled.fields["email"] == mapping.fields["email"]
    assert compiled.overridden == ("lifecyclestage",)
    wrong = FieldOverride({"rule": "nevr"}, "tenants/x.yaml", 4)
    with pytest.raises(BadMapping, match=r"tenants/x.yaml:4: contact: .*'never'"):
        compile_mapping(mapping, {"phone": wrong})
    with pytest.raises(BadMapping, match="has no field 'fone'"):
        compile_mapping(mapping, {"fone": change})


def test_a_constant_replaces_a_path_in_an_override() -> None:
    """A test shop marks its contacts with one word instead of the store's name."""
    compiled = compile_mapping(
        load_mapping(MAPPINGS, "hubspot", "contact", 1),
        {"ci_store": FieldOverride({"value": "outlet"}, "tenants/x.yaml", 1)},
    )
    assert compiled.project(customer())["ci_store"] == "outlet"


def test_text_in_a_mapping_cannot_become_code() -> None:
    """A label or constant with quotes and calls stays the text it is."""
    text = "'); __import__('os').abort() #"
    compiled = compile_mapping(
        parsed(f'  ci_x: {{value: "{text}", owner: store, rule: overwrite, kind: text}}\n', HEAD)
    )
    assert compiled.project(customer()) == {"ci_x": text}


@pytest.mark.parametrize(
    ("object_type", "version"),
    [(name, number) for name in object_types(MAPPINGS, "hubspot")
     for number in versions(MAPPINGS, "hubspot", name)],
)  # fmt: skip
def test_every_released_mapping_compiles_and_fills_each_field(
    object_type: str, version: int
) -> None:
    """A released mapping that cannot run is found here and not in a merchant's night."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", object_type, version))
    assert list(compiled.project(VIEW_OF[object_type]())) == list(compiled.fields)


def test_a_record_of_seventeen_fields_takes_microseconds() -> None:
    """Interpreting rules per record took longer than the database; 100 µs is 25 times what the
    generated function needs on a slow machine."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "order", 1))
    view = order()
    seconds = min(timeit.repeat(lambda: compiled.project(view), number=500, repeat=5)) / 500
    assert seconds < 100e-6
