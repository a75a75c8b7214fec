"""The comparison of what sales wrote: it sees a change, a loss, a gone record, and adoption."""

from __future__ import annotations

from typing import Any

from crm_integration_tests.oracle.sales_values import GONE, Violation, check_sales_values

BEFORE: dict[str, Any] = {
    "id": "7",
    "email": "ada@example.com",
    "jobtitle": "Owner",
    "phone": "",
    "lifecyclestage": "lead",
}
STAGES = {"lifecyclestage": ("lead", "opportunity", "customer")}


def _violations(**changed: Any) -> tuple[Violation, ...]:
    return check_sales_values([BEFORE], [{**BEFORE, **changed}], advancing=STAGES).violations


def test_an_adopted_contact_may_gain_and_may_move_on() -> None:
    """Empty fields are filled, our own are added, a stage goes forward."""
    after = {**BEFORE, "ci_key": "k", "phone": "+441134960123", "lifecyclestage": "customer"}
    assert check_sales_values([BEFORE], [after], advancing=STAGES).violations == ()
    assert check_sales_values([BEFORE], [after], advancing=STAGES).adopted == 1


def test_any_other_change_is_named_by_field() -> None:
    """Overwritten, emptied, another letter case, a stage gone back: each is a loss."""
    assert _violations(jobtitle="Customer") == (Violation("7", "jobtitle"),)
    assert _violations(jobtitle=None) == (Violation("7", "jobtitle"),)
    assert _violations(email="Ada@example.com") == (Violation("7", "email"),)
    back = {**BEFORE, "lifecyclestage": "customer"}
    assert check_sales_values([back], [BEFORE], advancing=STAGES).violations


def test_without_an_order_of_values_a_stage_may_not_move() -> None:
    """What may advance is said by the caller, never guessed."""
    after = {**BEFORE, "lifecyclestage": "customer"}
    assert check_sales_values([BEFORE], [after]).violations == (Violation("7", "lifecyclestage"),)


def test_a_contact_that_is_gone_is_a_violation_and_a_new_one_is_not_adopted() -> None:
    """Merged away is lost; made by us is not taken over."""
    found = check_sales_values([BEFORE], [{"id": "8", "ci_key": "k"}])
    assert found.violations == (Violation("7", GONE),)
    assert found.adopted == 0


def test_an_unadopted_contact_is_looked_at_too() -> None:
    """One of a pair that stands there twice must be left as it is."""
    assert _violations(jobtitle="") == (Violation("7", "jobtitle"),)
