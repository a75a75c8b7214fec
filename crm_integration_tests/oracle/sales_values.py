"""Compares contacts before and after a sync: what sales people wrote must still stand there.

Prevents the failure merchants forgive least: an integration that overwrites what their own
people typed. Works on records read over HTTP (`crm_totals.contacts`) and imports none of our code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from crm_integration_tests.oracle.crm_totals import OWN_KEY

GONE = "(the whole record)"


@dataclass(frozen=True, slots=True)
class Violation:
    """A field of a contact that no longer holds what sales wrote; ids and names only."""

    record_id: str
    field: str


@dataclass(frozen=True, slots=True)
class SalesCheck:
    """What was found; `adopted` counts contacts that were there before and now carry our key."""

    violations: tuple[Violation, ...]
    adopted: int


def check_sales_values(
    before: Iterable[Mapping[str, Any]],
    after: Iterable[Mapping[str, Any]],
    *,
    advancing: Mapping[str, Sequence[str]] | None = None,
) -> SalesCheck:
    """Every non-empty value of `before` against `after`, adopted or not.

    `advancing` names fields with ordered values (a lifecycle stage) that may move forward but
    never back; without it any change is a violation.
    """
    held = {str(record["id"]): record for record in after}
    violations = list[Violation]()
    adopted = 0
    for old in before:
        record_id = str(old["id"])
        new = held.get(record_id)
        if new is None:
            violations.append(Violation(record_id, GONE))
            continue
        adopted += bool(new.get(OWN_KEY)) and not old.get(OWN_KEY)
        changed = _changed(old, new, advancing or {})
        violations += (Violation(record_id, field) for field in changed)
    return SalesCheck(tuple(violations), adopted)


def _changed(
    old: Mapping[str, Any], new: Mapping[str, Any], advancing: Mapping[str, Sequence[str]]
) -> list[str]:
    return [
        field
        for field, value in old.items()
        if value and new.get(field) != value
        if not _moved_on(str(value), str(new.get(field)), advancing.get(field, ()))
    ]


def _moved_on(old: str, new: str, order: Sequence[str]) -> bool:
    return old in order and new in order and order.index(new) > order.index(old)
