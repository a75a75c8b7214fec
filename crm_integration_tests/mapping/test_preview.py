"""Previews: what would change, masked, and summed."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.model import FieldOverride, FieldValue
from crm_integration.mapping.ownership import FieldDecision, diff, to_write
from crm_integration.mapping.preview import blast_radius, preview, shadow
from crm_integration_tests.mapping.views import MAPPINGS, VIEW_OF, customer

CONTACT = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1))


def masked(field: str, value: FieldValue) -> FieldValue:
    return None if value is None else "*" * len(str(value))


def looked(current: dict[str, FieldValue]) -> list[FieldDecision]:
    return diff(CONTACT, desired=CONTACT.project(customer()), given_back={}, current=current,
                desired_at=datetime(2026, 3, 1, tzinfo=UTC), current_at=None,
                bound_before=False)  # fmt: skip


def test_a_preview_shows_exactly_what_a_write_would_send() -> None:
    """A dry run that is another code path promises what the real one does not do."""
    decisions = looked({"firstname": "Adelaide", "ci_orders_count": "1"})
    shown = preview(decisions, mask=lambda field, value: value)
    assert {item.name: item.new for item in shown if item.write} == to_write(decisions)
    count = next(item for item in shown if item.name == "ci_orders_count")
    assert (count.old, count.new, count.owner, count.rule) == ("1", 2, "store", "overwrite")
    kept = next(item for item in shown if item.name == "firstname")
    assert (kept.old, kept.new, kept.write) == ("Adelaide", "Adelaide", False)
    assert kept.reason == "it was filled before us"


def test_a_masked_preview_holds_no_value_and_no_repr_of_a_decision_does() -> None:
    """The preview is shown in a terminal that someone shares on a call."""
    decisions = looked({"firstname": "Adelaide"})
    text = repr(preview(decisions, mask=masked)) + repr(decisions)
    assert "Adelaide" not in text
    assert "Example.com" not in text
    assert preview(decisions, mask=masked)[0].new == "*" * len("Ada@Example.com")


def test_the_blast_radius_counts_records_fields_and_what_would_vanish() -> None:
    """5 % of the contacts may change in a night; 40,000 of 40,000 need a person."""
    same = {**CONTACT.project(customer())}
    gone = {**same, "ci_store_customer_id": "8", "ci_first_order_at": "1"}
    records = [preview(looked(fields), mask=masked) for fields in (same, gone)]
    radius = blast_radius(records)
    assert (radius.records, radius.changed, radius.emptied, radius.share) == (2, 1, 0, 0.5)
    assert radius.by_field == {"ci_store_customer_id": 1, "ci_first_order_at": 1}
    assert blast_radius([]).share == 0.0


def test_a_value_that_would_vanish_is_counted_as_emptied() -> None:
    """The change nobody sees in a list of new values is the one that leaves none."""
    decisions = diff(CONTACT, desired={}, given_back={}, current={"ci_store": "main"},
                     desired_at=datetime(2026, 3, 1, tzinfo=UTC), current_at=None,
                     bound_before=True)  # fmt: skip
    assert blast_radius([preview(decisions, mask=masked)]).emptied == 1


def test_a_shadow_run_tells_values_owners_and_rules_apart() -> None:
    """A version that changes only the owner changes no value today, and everything tomorrow."""
    mapping = load_mapping(MAPPINGS, "hubspot", "contact", 1)
    then = compile_mapping(mapping, {
        "phone": FieldOverride({"owner": "crm", "rule": "never"}, "t", 1),
        "company": FieldOverride({"rule": "newest_wins"}, "t", 1),
        "city": FieldOverride({"transform": "upper"}, "t", 1),
    })  # fmt: skip
    found = {item.name: item.change for item in shadow(CONTACT, then, customer(), mask=masked)}
    assert found == {"phone": "owner", "company": "rule", "city": "value"}
    assert shadow(CONTACT, CONTACT, customer(), mask=masked) == []


@pytest.mark.parametrize("object_type", ["company", "cart", "activity"])
def test_a_preview_of_any_object_shows_each_of_its_fields(object_type: str) -> None:
    """A kind of object without a preview is one whose first sync nobody looked at."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", object_type, 1))
    decisions = diff(compiled, desired=compiled.project(VIEW_OF[object_type]()), given_back={},
                     current={}, desired_at=datetime(2026, 3, 1, tzinfo=UTC), current_at=None,
                     bound_before=False)  # fmt: skip
    shown = preview(decisions, mask=lambda field, value: value)
    assert [item.name for item in shown] == list(compiled.fields)
    assert {item.name for item in shown if item.write} == set(to_write(decisions))


def test_a_preview_tells_whose_opt_out_it_is() -> None:
    """A merchant sees 300 subscribers turn unsubscribed and must read why."""
    second = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 2))
    decisions = diff(second, desired=second.project(customer()), given_back={},
                     current={"hs_email_optout": "true"}, desired_at=datetime(2026, 3, 1,
                     tzinfo=UTC), current_at=None, bound_before=False)  # fmt: skip
    shown = {item.name: item for item in preview(decisions, mask=lambda field, value: value)}
    consent = shown["ci_email_consent"]
    assert (consent.new, consent.rule, consent.write) == ("unsubscribed", "consent", True)
    assert consent.reason == "the CRM's opt-out stands"


def test_the_step_to_the_second_contact_only_adds() -> None:
    """What a tenant sees before the pin moves."""
    second = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 2))
    found = shadow(CONTACT, second, customer(), mask=masked)
    assert {item.change for item in found} == {"added"}
    assert {item.name for item in found} == set(second.fields) - set(CONTACT.fields)
