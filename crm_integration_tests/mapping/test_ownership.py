"""The three-way look: who wins a field, rule by rule."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_integration.mapping.compile import compile_mapping
from crm_integration.mapping.load import load_mapping
from crm_integration.mapping.model import FieldRule, FieldValue, Rule
from crm_integration.mapping.normalised import normalised, same
from crm_integration.mapping.ownership import Decision, decide, diff, remembered, to_write
from crm_integration_tests.mapping.views import MAPPINGS, customer

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
STAGES = ("lead", "opportunity", "customer")


def rule(name: Rule, **changes: Any) -> FieldRule:
    return replace(FieldRule(name="f", kind="text", owner="store", rule=name), **changes)


def look(
    field: FieldRule,
    desired: FieldValue,
    *,
    base: FieldValue = None,
    current: FieldValue = None,
    bound: bool = True,
    later: float | None = None,
    sent: FieldValue = None,
) -> Decision:
    """`later`: seconds by which the CRM's change is after the store's."""
    return decide(
        field, desired=desired, given_back=base, current=current, desired_at=NOON,
        current_at=None if later is None else NOON + timedelta(seconds=later),
        bound_before=bound, sent=sent,
    )  # fmt: skip


def test_what_sales_typed_before_us_is_kept_on_adoption() -> None:
    """The first sync of a shop replaced 400 hand-corrected names in one night."""
    found = look(rule("fill_empty"), "ada", current="Ada Lovelace", bound=False)
    assert not found.write
    assert found.reason == "it was filled before us"


def test_an_empty_field_is_filled() -> None:
    """Also where the CRM says an empty field is a blank, and also for a bound record."""
    assert look(rule("fill_empty"), "ada", current="  ", bound=False).write
    assert look(rule("fill_empty"), "ada", current=None, bound=True).write


def test_our_own_value_goes_on_being_updated_until_a_person_changes_it() -> None:
    """Fill-empty that never updates leaves last year's address for ever."""
    field = rule("fill_empty")
    assert look(field, "New Street", base="Old Street", current="Old Street").write
    assert not look(field, "New Street", base="Old Street", current="Corrected").write
    assert not look(field, "New Street", base="Old Street", current="").write


def test_a_store_without_a_value_never_empties_what_it_only_fills() -> None:
    """A shop plugin that lost its phone column wiped the phones in the CRM."""
    assert not look(rule("fill_empty"), None, base="1", current="1").write
    assert not look(rule("never_regress", order=STAGES), None, current="lead").write


def test_an_overwritten_field_equals_the_store_even_when_it_becomes_empty() -> None:
    """A removed discount must not stay on the order."""
    found = look(rule("overwrite"), None, base="5", current="5")
    assert found.write
    assert found.value is None


def test_a_field_of_the_crm_is_never_touched() -> None:
    """Not even when it is empty."""
    assert not look(rule("never", owner="crm"), "x", current=None, bound=False).write


@pytest.mark.parametrize(
    ("desired", "current", "kind"),
    [("12.30", "12.3", "number"), (3, "3.0", "number"), ("-0.00", "0", "number"),
     ("Ada ", " Ada", "text"), (None, "", "text"), (None, "  ", "text"), (True, "true", "bool"),
     ("2026-03-01T12:00:00.000Z", "1772366400000", "datetime"),
     ("2026-03-01T12:00:00Z", "2026-03-01T13:00:00+01:00", "datetime"),
     ("2026-03-01", "1772323200000", "date"), ("a\r\nb", "a\nb", "text")],
)  # fmt: skip
def test_a_value_the_crm_only_wrote_differently_is_no_change(
    desired: FieldValue, current: FieldValue, kind: str
) -> None:
    """12.30 came back as 12.3 and was sent again every fifteen minutes for a year."""
    assert same(desired, current, kind)
    assert not look(rule("overwrite", kind=kind), desired, current=current).write


def test_an_email_in_other_letters_is_the_same_email() -> None:
    """CRMs keep e-mails in small letters; the shop's capitals are no news."""
    field = rule("overwrite", transform="email")
    kept: dict[str, Any] = {"base": "ada@example.com", "current": "ada@example.com"}
    assert not look(field, "Ada@Example.com", **kept).write
    assert look(field, "Eve@Example.com", **kept).write


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [("12.30", "12.31", "number"), ("01", "1", "text"), ("A", "a", "text"),
     ("false", True, "bool"), ("n/a", "0", "number"), (0, None, "number"), (False, None, "bool")],
)  # fmt: skip
def test_values_that_differ_are_never_called_equal(
    one: FieldValue, other: FieldValue, kind: str
) -> None:
    """Zero is a value and not a missing one; `01` is an article number."""
    assert not same(one, other, kind)


def test_a_value_the_crm_reshaped_is_not_sent_again() -> None:
    """The CRM lower-cases e-mails: without what was sent, each sync looked like a change."""
    field = rule("overwrite")
    reshaped: dict[str, Any] = {"base": "ada@example.com", "current": "ada@example.com"}
    assert not look(field, "Ada@Example.com", sent="Ada@Example.com", **reshaped).write
    assert look(field, "Eve@Example.com", sent="Ada@Example.com", **reshaped).write
    assert look(field, "Ada@Example.com", sent="Ada@Example.com", base="ada@example.com",
                current="typed over").write  # fmt: skip


def test_newest_wins_by_side_then_by_clock_and_within_a_minute_by_owner() -> None:
    """Two servers whose clocks differ by 40 s made the same field flip back and forth."""
    field = rule("newest_wins")
    both: dict[str, Any] = {"base": "old", "current": "crm"}
    assert look(field, "store", base="old", current="old", later=900).write
    assert not look(field, "old", sent="old", later=-900, **both).write
    assert look(field, "store", later=-61, **both).write
    assert not look(field, "store", later=61, **both).write
    assert look(field, "store", later=59, **both).write
    assert not look(replace(field, owner="crm"), "store", later=-59, **both).write
    assert look(field, "store", later=None, **both).write


def test_newest_wins_leaves_a_value_from_before_us() -> None:
    """On adoption nobody knows when sales typed it."""
    field = rule("newest_wins")
    assert not look(field, "store", current="sales", bound=False, later=-9999).write
    assert look(field, "store", current="", bound=False).write


def test_a_lifecycle_stage_only_goes_forward() -> None:
    """A guest's second cart made a paying customer a lead again."""
    field = rule("never_regress", order=STAGES, kind="enum")
    assert look(field, "customer", current="lead", bound=False).write
    assert not look(field, "lead", base="lead", current="customer").write
    assert look(field, "lead", current=None).write
    assert not look(field, "customer", current="evangelist").write


def test_numbers_and_times_order_themselves() -> None:
    """A last-seen time must not move back when an old delivery arrives late."""
    number = rule("never_regress", kind="number")
    assert look(number, 10, current="9.5").write
    assert not look(number, 9, current="10").write
    when = rule("never_regress", kind="datetime")
    assert look(when, "2026-03-02T00:00:00Z", current="1772366400000").write
    assert not look(when, "2026-03-01T00:00:00Z", current="1772366400000").write


def test_a_line_is_appended_once_and_not_again_after_a_person_removed_it() -> None:
    """A note that comes back after being deleted makes people delete the integration."""
    field = rule("append")
    assert look(field, "vip", current="met in May", bound=False).value == "met in May\nvip"
    assert look(field, "vip", current=None).value == "vip"
    assert not look(field, "vip", base="met in May\nvip", current="met in May\nvip\ncalled").write
    assert not look(field, "vip", base="met in May\nvip", current="met in May").write
    assert look(field, "vip\nnew", base="vip", current="vip").value == "vip\nnew"


def test_a_persons_value_does_not_become_ours_by_being_read_back() -> None:
    """After a write of other fields the CRM answers with the whole record; had we remembered
    all of it, the phone a person typed would count as ours and be overwritten next time."""
    base = remembered({"phone": "1", "city": "Rome"}, written=["city"],
                      answered={"phone": "typed", "city": "Paris", "zip": "x"})  # fmt: skip
    assert base == {"phone": "1", "city": "Paris"}
    assert not look(rule("fill_empty"), "2", base=base["phone"], current="typed").write


def test_a_second_look_at_an_unchanged_contact_writes_nothing() -> None:
    """Promise 9 for one record: what the CRM gave back is no difference."""
    compiled = compile_mapping(load_mapping(MAPPINGS, "hubspot", "contact", 1))
    desired = compiled.project(customer())
    first = diff(compiled, desired=desired, given_back={}, current={"firstname": "Adelaide"},
                 desired_at=NOON, current_at=None, bound_before=False)  # fmt: skip
    written = to_write(first)
    assert "firstname" not in written
    assert "company" not in written
    answer = {name: normalised(value, compiled.fields[name].kind).lower()
              for name, value in written.items()}  # fmt: skip
    again = diff(compiled, desired=desired, given_back=remembered({}, written=written,
                 answered=answer), current=answer | {"firstname": "Adelaide"}, sent=written,
                 desired_at=NOON, current_at=NOON, bound_before=True)  # fmt: skip
    assert to_write(again) == {}


VALUES = st.sampled_from(["lead", "opportunity", "customer", "other", "", None])


@given(name=st.sampled_from(["overwrite", "never", "fill_empty", "newest_wins", "never_regress",
                             "append", "consent", "with_consent"]),
       desired=VALUES, base=VALUES, current=VALUES, bound=st.booleans(),
       later=st.sampled_from([None, -900.0, 0.0, 900.0]))  # fmt: skip
def test_after_its_own_write_every_rule_is_at_rest(
    name: Rule, desired: FieldValue, base: FieldValue, current: FieldValue, bound: bool,
    later: float | None,
) -> None:  # fmt: skip
    """A rule that wants to write right after its write would call the CRM for ever."""
    field = rule(name, order=STAGES if name == "never_regress" else ())
    first = look(field, desired, base=base, current=current, bound=bound, later=later)
    if first.write:
        assert first.value != current
        assert not look(field, desired, base=first.value, current=first.value, later=later).write
