"""Values that people type are held to what the field's own mapping could send."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm_integration.errors import BadInput
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.model import FieldRule, FieldValue
from crm_integration.mapping.typed_value import allowed_values, typed_value
from crm_integration_tests.mapping.views import MAPPINGS

CONTACT = load_mapping(MAPPINGS, "hubspot", "contact", 2).fields
ORDER = load_mapping(MAPPINGS, "hubspot", "order", 2).fields
DAY = FieldRule("day", "date", "store", "overwrite", ("placed_at",), "iso_date")
MILLIS = FieldRule("at", "datetime", "store", "overwrite", ("placed_at",), "epoch_millis")
ID = FieldRule("id", "text", "store", "overwrite", ("id",), "uuid")
SHORT = FieldRule("note", "text", "store", "overwrite", ("note",), "truncate", {"max": 5})


@pytest.mark.parametrize(
    ("rule", "text", "value"),
    [
        (CONTACT["firstname"], "  Ada ", "Ada"),
        (CONTACT["firstname"], "  ", None),
        (CONTACT["email"], "Ada@Example.com", "Ada@Example.com"),
        (CONTACT["phone"], "+44 20 7946 0018", "+442079460018"),
        (CONTACT["lifecyclestage"], "customer", "customer"),
        (CONTACT["ci_orders_count"], "7", 7),
        (CONTACT["ci_first_order_at"], "2026-03-01T13:00:00+01:00", "2026-03-01T12:00:00.000Z"),
        (ORDER["hs_total_price"], "12.30", "12.30"),
        (ORDER["ci_is_guest"], "Yes", True),
        (ORDER["ci_is_guest"], "false", False),
        (DAY, "2026-03-01", "2026-03-01"),
        (MILLIS, "1970-01-01T00:00:01Z", 1000),
        (ID, "6F1CB6A3-0B8C-4D0E-9F0C-0E5A0B3F6C11", "6f1cb6a3-0b8c-4d0e-9f0c-0e5a0b3f6c11"),
        (SHORT, "12345", "12345"),
    ],
)
def test_a_value_is_what_the_mapping_would_have_made(
    rule: FieldRule, text: str, value: FieldValue
) -> None:
    """A number sent as a word, or a time in another form, is another failure."""
    assert typed_value(rule, text) == value


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (CONTACT["firstname"], "Ada\x00"),
        (CONTACT["firstname"], "x" * 65_537),
        (CONTACT["email"], "ada at example.com"),
        (CONTACT["phone"], "020 7946 0018"),
        (CONTACT["lifecyclestage"], "Customer"),
        (CONTACT["ci_orders_count"], "7.5"),
        (CONTACT["ci_orders_count"], "nan"),
        (CONTACT["ci_first_order_at"], "2026-03-01T13:00:00"),
        (ORDER["hs_total_price"], "12,30"),
        (ORDER["hs_total_price"], "1e999"),
        (ORDER["ci_is_guest"], "perhaps"),
        (ORDER["hs_order_name"], " "),
        (CONTACT["ci_email_consent"], "subscribed"),
        (CONTACT["ci_email_consent_at"], "2026-03-01T13:00:00Z"),
        (replace(CONTACT["phone"], owner="crm", rule="never"), "+442079460018"),
        (DAY, "1 March"),
        (ID, "7"),
        (SHORT, "123456"),
    ],
)
def test_what_does_not_fit_is_refused_by_name_and_never_by_value(
    rule: FieldRule, text: str
) -> None:
    """The refusal is printed, copied into tickets and kept in logs."""
    with pytest.raises(BadInput, match=rule.name) as refused:
        typed_value(rule, text)
    assert len(text.strip()) < 2 or text not in str(refused.value)


def test_the_values_of_an_enumeration_are_those_its_mapping_gives() -> None:
    """The targets, not the store's own words."""
    plain = replace(CONTACT["lifecyclestage"], rule="overwrite", order=())
    assert allowed_values(plain) == ("lead", "opportunity", "customer")
    other = {**plain.options, "default": "other"}
    assert allowed_values(replace(plain, options=other))[-1] == "other"
    assert allowed_values(CONTACT["firstname"]) == ()
