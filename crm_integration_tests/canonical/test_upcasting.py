"""A payload kept years ago is read by today's code."""

from __future__ import annotations

import pytest

from crm_integration.canonical.versions import NoWayUp, upcast

STEPS = {
    ("order", "1"): ("2", lambda old: {"total": {"amount": old["total"]}}),
    ("order", "2"): ("3", lambda old: {"money": old["total"]}),
    ("cart", "a"): ("b", lambda old: old),
    ("cart", "b"): ("a", lambda old: old),
}


def test_each_step_knows_only_its_neighbour() -> None:
    """Version 1 goes by 2 to 3; what is there already stays as it is."""
    assert upcast(STEPS, "order", "1", "3", {"total": "5"}) == {"money": {"amount": "5"}}
    assert upcast(STEPS, "order", "3", "3", {"money": 1}) == {"money": 1}


@pytest.mark.parametrize(("object_type", "shape"), [("order", "0"), ("cart", "a"), ("refund", "1")])
def test_a_shape_nobody_can_lift_is_named(object_type: str, shape: str) -> None:
    """A circle or a gap must not read a payload as something it is not."""
    with pytest.raises(NoWayUp, match=shape):
        upcast(STEPS, object_type, shape, "3", {})
