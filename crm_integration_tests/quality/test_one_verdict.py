"""Row checks and great_expectations suites say the same of the same objects.

The incident: live runs let orders through that the nightly check then refused, because a
pattern was anchored in one and searched in the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import orjson
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crm_integration.canonical.carts import Cart
from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import Order
from crm_integration.quality.expectations import grouped, judge_frames, validate
from crm_integration.quality.holds import HELD_OBJECT
from crm_integration.quality.row_checks import THE_ROW, compile_row_checks
from crm_integration.quality.rules import LINES_OF, RULES, rules_for
from crm_integration.quality.suites import judge_frame
from crm_integration_tests.quality.corpus import (
    BREAKS,
    MAKE,
    OPTIONS,
    STILL_SOUND,
    WHEN,
    cart_line,
    line,
    order,
)

_SET_COLUMNS = {
    "connection_id": "shop",
    "customer_exists": True,
    "order_accounted_for": True,
    "identity_exists": True,
    "within_order": True,
    "event_at": WHEN,
}


def _derived(one: Any) -> dict[str, Any]:
    if isinstance(one, Cart):
        count = {"line_count": len(one.lines)}
        if one.currency == "ZZZ" or any(each.unit_price is None for each in one.lines):
            return {**count, "cart_lines_minor": None}
        worth = sum(each.quantity * each.unit_price for each in one.lines)
        return {**count, "cart_lines_minor": int(worth * (1 if one.currency == "JPY" else 100))}
    if isinstance(one, Order):
        total = sum(each.total_minor for each in one.lines)
        return {"line_count": len(one.lines), "lines_total_minor": total}
    variants = getattr(one, "variants", ())
    texts = [
        (v.source_id, v.sku, v.title, *(t for pair in v.options for t in pair)) for v in variants
    ]
    return {"variant_text": "".join("".join(text) for text in texts)}


def _frame(objects: Sequence[Any]) -> pd.DataFrame:
    rows = [{**one.__dict__, **_derived(one), **_SET_COLUMNS} for one in objects]
    return pd.DataFrame.from_records(rows)


def _by_rows(entity: str, objects: Sequence[StoreObject]) -> dict[str, list[int]]:
    check = compile_row_checks(entity, OPTIONS)
    found: dict[str, list[int]] = {
        rule.name: []
        for rule in rules_for(OPTIONS)
        if rule.entity == entity and rule.level == "row"
    }
    for number, one in enumerate(objects):
        for finding in check(one).findings:
            assert finding.position == THE_ROW
            found[finding.rule].append(number)
    return found


def _by_suite(entity: str, objects: Sequence[Any]) -> dict[str, list[int]]:
    sets = {rule.name for rule in rules_for(OPTIONS) if rule.level == "set"}
    judged = judge_frame(entity, _frame(objects), OPTIONS)
    return {rule: rows for rule, rows in judged.items() if rule not in sets}


def _corpus(entity: str) -> list[Any]:
    changes = [c for rule, broken in BREAKS.items() if rule.split(".")[0] == entity for c in broken]
    return [MAKE[entity](**c) for c in [{}, *STILL_SOUND[entity], *changes]]


@pytest.mark.parametrize("entity", MAKE)
def test_both_drivers_agree_on_every_object_of_the_corpus(entity: str) -> None:
    objects = _corpus(entity)
    by_rows = _by_rows(entity, objects)
    assert by_rows == _by_suite(entity, objects)
    assert all(by_rows.values()), "a rule that nothing breaks is not compared"


def _line_verdicts(lines: Sequence[Any], entity: str = "order") -> dict[str, list[int]]:
    found: dict[str, list[int]] = {
        r.name: [] for r in rules_for(OPTIONS) if r.entity == LINES_OF[entity]
    }
    numbered = tuple(one.model_copy(update={"position": at}) for at, one in enumerate(lines))
    for finding in compile_row_checks(entity, OPTIONS)(MAKE[entity](lines=numbered)).findings:
        if finding.position != THE_ROW:
            found[finding.rule].append(finding.position)
    return found


def test_both_drivers_agree_on_every_line_of_the_corpus() -> None:
    broken = [c for rule, each in BREAKS.items() if rule.startswith("order_line.") for c in each]
    lines = [line(0, **changes) for changes in [{}, *STILL_SOUND["order_line"], *broken]]
    by_rows = _line_verdicts(lines)
    assert by_rows == _by_suite("order_line", lines)
    assert all(by_rows.values())


def test_both_drivers_agree_on_every_cart_line_of_the_corpus() -> None:
    broken = [c for rule, each in BREAKS.items() if rule.startswith("cart_line.") for c in each]
    lines = [cart_line(0, **changes) for changes in [{}, *STILL_SOUND["cart_line"], *broken]]
    by_rows = _line_verdicts(lines, "cart")
    assert by_rows == _by_suite("cart_line", lines)
    assert all(by_rows.values())


def test_every_entity_has_rules_of_its_own_and_a_hold() -> None:
    """A new entity was written to the CRM for weeks before anybody gave it a rule."""
    named = {rule.entity for rule in RULES}
    assert set(ENTITIES) == set(MAKE) == set(HELD_OBJECT) == named - set(LINES_OF.values())
    assert len({rule.name for rule in RULES}) == len(RULES)


_hours = st.integers(-17 * 8766, 90 * 8766)  # from 1994 to 2101
_times = st.just(WHEN) | st.builds(lambda hours: WHEN + timedelta(hours=hours), _hours)
_texts = st.text(st.sampled_from("0123456789A \n\u00a0\0é"), max_size=6)
_small = st.integers(-3, 600)
_lines = st.builds(
    lambda quantity, price, total, text: line(
        0, quantity=quantity, unit_price=price, total_minor=total, sku=text
    ),
    st.integers(-2, 3),
    st.decimals(Decimal(-1), Decimal(1), places=4),
    _small,
    _texts,
)
_orders = st.builds(
    lambda **changes: order(**changes),
    number=_texts,
    source_id=_texts,
    store_status=_texts,
    currency=st.sampled_from(("GBP", "JPY", "ZZZ", "XXX")),
    source_time=_times,
    placed_at=_times,
    total_minor=_small,
    tax_minor=st.integers(0, 5),
    lines=st.lists(st.just(line()), max_size=3).map(tuple),
)
_SLOW = settings(max_examples=15, deadline=None, suppress_health_check=list(HealthCheck))


@_SLOW
@given(st.lists(_orders, min_size=1, max_size=25))
def test_both_drivers_agree_on_any_orders(objects: list[Any]) -> None:
    assert _by_rows("order", objects) == _by_suite("order", objects)


@_SLOW
@given(st.lists(_lines, min_size=1, max_size=25))
def test_both_drivers_agree_on_any_lines(lines: list[Any]) -> None:
    assert _line_verdicts(lines) == _by_suite("order_line", lines)


def test_an_order_twice_or_without_its_customer_fails_the_set_rules() -> None:
    """Two rows of one order doubled the merchant's revenue for a week."""
    frame = _frame([order(source_id=number) for number in ("1", "2", "1", "3")])
    frame["customer_exists"] = [True, True, True, False]
    judged = judge_frame("order", frame, OPTIONS)
    assert judged["order.unique"] == [0, 2]
    assert judged["order.customer"] == [3]


@pytest.mark.parametrize(
    ("entity", "rule", "changes", "secret"),
    [
        ("customer", "customer.email", {"email": "ana.private-person"}, "private"),
        ("order", "order.total", {"total_minor": -98_765}, "98765"),
        ("order", "order.currency", {"currency": "ZZZ"}, "ZZZ"),
    ],
)
def test_results_of_a_suite_hold_positions_and_never_a_value(
    entity: str, rule: str, changes: dict[str, Any], secret: str
) -> None:
    """A failed check printed the customers' addresses into the event log."""
    objects = [MAKE[entity](), MAKE[entity](**changes)]
    judged = [one for one in rules_for({}) if one.name == rule]
    results = validate([_frame(objects)], grouped([judged]))
    assert [one["unexpected_index_list"] for one in results] == [[1]]
    told = orjson.dumps(results, default=str).decode()
    assert secret not in told
    assert "example.com" not in told


def test_a_frame_without_a_column_that_a_rule_reads_is_refused() -> None:
    """A misspelt column switched a rule off, and every day was green."""
    frame = _frame([order()]).drop(columns=["total_minor"])
    with pytest.raises(ValueError, match="order.total: the frame has no column"):
        judge_frame("order", frame, OPTIONS)


def test_frames_of_several_entities_are_judged_together_as_they_are_apart() -> None:
    """All entities of a run share one suite: a failure of one must not be booked on another."""
    frames = {entity: _frame(_corpus(entity)) for entity in MAKE}
    rules = {e: [one for one in rules_for(OPTIONS) if one.entity == e] for e in MAKE}
    together = judge_frames([(frames[entity], rules[entity]) for entity in MAKE])
    assert together == [judge_frame(entity, frames[entity], OPTIONS) for entity in MAKE]


def test_an_empty_frame_passes_every_rule() -> None:
    judged = judge_frame("order", _frame([order()]).iloc[:0], OPTIONS)
    assert set(judged) == {r.name for r in rules_for(OPTIONS) if r.entity == "order"}
    assert not any(judged.values())
