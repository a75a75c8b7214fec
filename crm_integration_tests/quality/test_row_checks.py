"""Row checks: each rule fails what it must, bad lines go alone, flags stay on the object."""

from __future__ import annotations

import timeit

import pytest

from crm_integration.canonical.orders import Order
from crm_integration.errors import BadInput
from crm_integration.quality.row_checks import THE_ROW, compile_row_checks
from crm_integration.quality.rules import LINES_OF, rules_for, rules_version
from crm_integration_tests.quality.corpus import (
    BREAKS,
    MAKE,
    OPTIONS,
    STILL_SOUND,
    cart_line,
    line,
    order,
    refund,
)

ROW_AND_LINE_RULES = [rule for rule in rules_for(OPTIONS) if rule.level != "set"]


@pytest.mark.parametrize("rule", ROW_AND_LINE_RULES, ids=lambda rule: rule.name)
def test_each_rule_finds_what_breaks_it(rule) -> None:  # type: ignore[no-untyped-def]
    """A rule that no corpus breaks may have been dead since it was written."""
    entity = next((e for e, lines in LINES_OF.items() if lines == rule.entity), rule.entity)
    make_line = {"order": line, "cart": cart_line}.get(entity, line)
    check = compile_row_checks(entity, OPTIONS)
    for changes in BREAKS[rule.name]:
        broken = (
            MAKE[entity](lines=(make_line(0), make_line(1, **changes)))
            if rule.level == "line"
            else MAKE[entity](**changes)
        )
        verdict = check(broken)
        (finding,) = [one for one in verdict.findings if one.rule == rule.name]
        assert finding.entity == entity
        assert finding.position == (1 if rule.level == "line" else THE_ROW)
        assert (finding.severity, finding.reason, finding.fix) == (
            rule.severity,
            rule.reason,
            rule.fix,
        )
        kept_back_whole = rule.severity == "quarantine" and rule.level == "row"
        assert (verdict.accepted is None) == kept_back_whole


@pytest.mark.parametrize("entity", MAKE)
def test_objects_at_the_edge_of_a_rule_pass_unchanged(entity: str) -> None:
    check = compile_row_checks(entity, OPTIONS)
    for changes in [{}, *STILL_SOUND[entity]]:
        sound = MAKE[entity](**changes)
        verdict = check(sound)
        assert verdict.findings == ()
        assert verdict.accepted is sound


def test_a_bad_line_is_kept_back_alone_and_the_rest_keep_their_positions() -> None:
    """One negative quantity took an order of 40 lines out of the CRM."""
    whole = order(lines=(line(0), line(1, quantity=-1), line(2)))
    verdict = compile_row_checks("order", OPTIONS)(whole)
    assert isinstance(verdict.accepted, Order)
    assert [one.position for one in verdict.accepted.lines] == [0, 2]
    assert [(one.rule, one.position) for one in verdict.findings] == [("order_line.quantity", 1)]


def test_an_order_left_without_a_line_is_kept_back_whole() -> None:
    """An order of returned items only became an order of nothing in the CRM."""
    verdict = compile_row_checks("order", OPTIONS)(
        order(lines=(line(0, quantity=-1),), total_minor=0)
    )
    assert verdict.accepted is None
    assert [(one.rule, one.position) for one in verdict.findings] == [
        ("order_line.quantity", 0),
        ("order.lines", THE_ROW),
    ]


def test_a_refund_of_nothing_is_kept_and_flagged_once() -> None:
    """Refunds of 0 were dropped, and the merchant's count of refunds never matched."""
    check = compile_row_checks("refund", {})
    first = check(refund(amount_minor=0, flags=("time_in_future",))).accepted
    assert first is not None
    assert first.flags == ("time_in_future", "refund_not_positive")
    again = check(first).accepted
    assert again is not None
    assert again.flags == first.flags


def test_options_switch_rules_on_and_off() -> None:
    free = compile_row_checks("order", {"order.lines.required": False})
    assert free(order(number="A563185", lines=(), total_minor=0)).accepted is not None
    assert compile_row_checks("order", {})(order(number="A563185")).accepted is not None
    assert compile_row_checks("order", {})(order(lines=(), total_minor=0)).accepted is None


def test_the_rules_version_changes_with_the_rules_and_with_nothing_else() -> None:
    """A version that moved with a threshold sent every order of a tenant through again."""
    assert rules_version({}) == rules_version({"order.lines.required": True})
    assert rules_version({}) == rules_version({"quarantine.max_share": 0.5})
    patterns = [{"order.number.pattern": text} for text in ("[0-9]+", "[0-9]{6}")]
    different = {rules_version(o) for o in ({}, *patterns, {"order.lines.required": False})}
    assert len(different) == 4


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"order.numer.pattern": "x"}, "Did you mean order.number.pattern"),
        ({"colour": "red"}, "Known are: order.number.pattern"),
        ({"order.number.pattern": "["}, "regular expression"),
        ({"order.lines.required": "yes"}, "true or false"),
        ({"quarantine.max_share": 30}, "from 0 to 1"),
        ({"quarantine.min_rows": True}, "whole number"),
    ],
)
def test_a_wrong_option_is_refused_with_the_place_and_the_fix(
    options: dict[str, str | int | bool], told: str
) -> None:
    """A mistyped option was ignored, and the merchant believed the rule was on."""
    with pytest.raises(BadInput, match="mappings/tenants/<tenant>.yaml, rules:") as caught:
        compile_row_checks("order", options)
    assert told in str(caught.value)


def test_an_order_of_25_lines_is_judged_in_microseconds() -> None:
    """Rules read per record made quality the slowest part of a live run (measured: 11 us here).

    The bound is loose, for test machines are slow; interpreted rules took ten times as long.
    """
    whole = order(lines=tuple(line(position) for position in range(25)), total_minor=6250)
    check = compile_row_checks("order", OPTIONS)
    assert check(whole).findings == ()
    best = min(timeit.repeat(lambda: check(whole), number=500, repeat=5)) / 500
    assert best < 60e-6
