"""Row rules compiled to one plain function per entity.

Prevents the per-record interpretation that made quality checks the slowest part of a live run:
options and rules are read once, an order of 25 lines is judged in a few microseconds.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter, ge, gt, itemgetter
from typing import Any, cast

from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.money import minor_digits
from crm_integration.quality.checks import (
    AnyGiven,
    AtLeast,
    Between,
    KnownCurrency,
    Matches,
    NotAfter,
    NotEmpty,
    OneOf,
    Refers,
    Storable,
    SumsTo,
    UniqueTogether,
    fields_of,
    is_currency,
    is_storable,
    is_visible,
    text_test,
)
from crm_integration.quality.options import Scalar
from crm_integration.quality.rule import Rule, Severity
from crm_integration.quality.rules import LINES_OF, rules_for

THE_ROW = -1
"""Position of a finding that is about the object itself and not about one of its lines."""


@dataclass(frozen=True)
class Finding:
    """One rule broken by one object, or by its line at `position` (-1: by the object itself)."""

    rule: str
    entity: str
    source_id: str
    position: int
    severity: Severity
    reason: str
    fix: str


@dataclass(frozen=True)
class RowVerdict:
    """`accepted`: the object without its bad lines and with its flags, None when kept back."""

    accepted: StoreObject | None
    findings: tuple[Finding, ...]


RowCheck = Callable[[StoreObject], RowVerdict]
_Fails = Callable[[Any], bool]
_Columns = tuple[tuple[Any, ...], ...]


def compile_row_checks(entity: str, options: Mapping[str, Scalar]) -> RowCheck:
    """The check of one entity of `canonical.entities` for a tenant's options; made once a process.

    Raises BadInput for a wrong option. The check itself is pure and raises nothing.
    """
    return _compiled(entity, tuple(sorted(options.items())))


@lru_cache(maxsize=4_096)
def _compiled(entity: str, options: tuple[tuple[str, Scalar], ...]) -> RowCheck:
    rules = rules_for(dict(options))
    row_tests = tuple((r, _row_test(r)) for r in rules if r.entity == entity and r.level == "row")
    check_row = partial(_check_row, entity, row_tests)
    if entity not in LINES_OF:
        return lambda obj: check_row(obj, ())
    of_lines = tuple(rule for rule in rules if rule.entity == LINES_OF[entity])
    line_tests = tuple((rule, _row_test(rule)) for rule in of_lines)
    any_line_fails = _any_line_test(of_lines)

    def check(obj: Any) -> RowVerdict:
        if any_line_fails(obj.lines):
            return check_row(*_without_bad_lines(entity, line_tests, obj))
        return check_row(obj, ())

    return check


def _check_row(
    entity: str,
    tests: tuple[tuple[Rule, _Fails], ...],
    obj: Any,
    line_findings: tuple[Finding, ...],
) -> RowVerdict:
    failed = [rule for rule, fails in tests if fails(obj)]
    if not failed:
        return RowVerdict(obj, line_findings)
    found = tuple(_finding(rule, entity, obj, THE_ROW) for rule in failed)
    if any(rule.severity == "quarantine" for rule in failed):
        return RowVerdict(None, line_findings + found)
    flags = dict.fromkeys((*obj.flags, *(rule.reason for rule in failed)))
    return RowVerdict(obj.model_copy(update={"flags": tuple(flags)}), line_findings + found)


def _without_bad_lines(
    entity: str, tests: tuple[tuple[Rule, _Fails], ...], obj: Any
) -> tuple[Any, tuple[Finding, ...]]:
    """The object with the lines that pass (their positions kept), and what failed."""
    findings: list[Finding] = []
    kept: list[Any] = []
    for line in obj.lines:
        failed = [rule for rule, fails in tests if fails(line)]
        if not failed:
            kept.append(line)
        findings += [_finding(rule, entity, obj, line.position) for rule in failed]
    return obj.model_copy(update={"lines": tuple(kept)}), tuple(findings)


def _finding(rule: Rule, entity: str, obj: Any, position: int) -> Finding:
    return Finding(rule.name, entity, obj.source_id, position, rule.severity, rule.reason, rule.fix)


_LINE_TOTAL = attrgetter("total_minor")


def _lines_total(order: Any) -> int:
    return sum(map(_LINE_TOTAL, order.lines))


def _variant_text(product: Any) -> str:
    parts = [(v.source_id, v.sku, v.title, *chain(*v.options)) for v in product.variants]
    return "".join(chain.from_iterable(parts))


def _cart_lines_minor(cart: Any) -> int | None:
    """What the cart's lines come to; None where a line has no price or the currency no decimals."""
    if not is_currency(cart.currency) or any(line.unit_price is None for line in cart.lines):
        return None
    total = sum(line.quantity * line.unit_price for line in cart.lines)
    return round(total * 10 ** minor_digits(cart.currency))


_DERIVED: dict[str, Callable[[Any], Any]] = {
    "line_count": lambda order: len(order.lines),
    "lines_total_minor": _lines_total,
    "cart_lines_minor": _cart_lines_minor,
    "variant_text": _variant_text,
}
"""Fields a rule may name that are no attribute of the model but follow from it."""


def _getter(field: str) -> Callable[[Any], Any]:
    return _DERIVED.get(field) or attrgetter(field)


def _row_test(rule: Rule) -> _Fails:
    """A function of one object (or line): does it break the rule?"""
    match rule.check:
        case NotEmpty(field):
            get, passes = _getter(field), text_test(rule.check)
            return lambda obj: (value := get(obj)) is None or not passes(value)
        case Matches(field) | KnownCurrency(field) | OneOf(field):
            get, passes = _getter(field), text_test(rule.check)
            return lambda obj: (value := get(obj)) is not None and not passes(value)
        case Storable(fields):
            text = _text_of(fields)
            return lambda obj: not is_storable(text(obj))
        case AnyGiven(fields):
            getters = tuple(_getter(field) for field in fields)
            return lambda obj: not any(is_visible(get(obj) or "") for get in getters)
        case AtLeast(field, minimum, exclusive):
            get, beyond = _getter(field), ge if exclusive else gt
            return lambda obj: (value := get(obj)) is not None and beyond(minimum, value)
        case Between(field, earliest, before):
            get = _getter(field)
            return lambda obj: (value := get(obj)) is not None and not (earliest <= value < before)
        case NotAfter():
            return _later_test(rule.check)
        case SumsTo():
            return _sum_test(rule.check)
        case UniqueTogether() | Refers():
            raise ValueError(f"{rule.name} is a set rule: no single row can break it")


def _later_test(check: NotAfter) -> _Fails:
    get, get_other, grace = _getter(check.field), _getter(check.other), check.grace_seconds

    def fails(obj: Any) -> bool:
        value, other = get(obj), get_other(obj)
        if value is None or other is None:
            return False
        return (value - other).total_seconds() > grace

    return fails


def _sum_test(check: SumsTo) -> _Fails:
    total, count = _getter(check.total), _getter(check.per)
    parts = tuple(_getter(part) for part in check.parts)

    def fails(obj: Any) -> bool:
        stated = [part(obj) for part in parts]
        return None not in stated and abs(total(obj) - sum(stated)) > count(obj)

    return fails


def _any_line_test(rules: tuple[Rule, ...]) -> Callable[[tuple[Any, ...]], bool]:
    """Does any of these lines break any rule? All fields are read in one pass, in C."""
    fields = tuple(dict.fromkeys(f for rule in rules for f in fields_of(rule.check)))
    read = cast("Callable[[Any], tuple[Any, ...]]", itemgetter(*fields))
    tests = tuple(_column_test(rule, fields) for rule in rules)

    def any_fails(lines: tuple[Any, ...]) -> bool:
        if not lines:
            return False
        columns = tuple(zip(*map(read, map(vars, lines)), strict=True))
        return any(fails(columns) for fails in tests)

    return any_fails


def _column_test(rule: Rule, fields: tuple[str, ...]) -> Callable[[_Columns], bool]:
    match rule.check:
        case AtLeast(field, minimum, exclusive):
            beyond, at = ge if exclusive else gt, fields.index(field)
            return lambda columns: any(
                value is not None and beyond(minimum, value) for value in columns[at]
            )
        case Storable(texts):
            places = tuple(map(fields.index, texts))
            return lambda columns: not all(is_storable("".join(columns[at])) for at in places)
        case _:
            raise ValueError(f"{rule.name}: no way to check lines for {type(rule.check).__name__}")


def _text_of(fields: tuple[str, ...]) -> Callable[[Any], str]:
    """All texts of one object in one string; a missing one is left out."""
    getters = tuple(_getter(field) for field in fields)
    return lambda obj: "".join(get(obj) or "" for get in getters)
