"""Whether a path's new type, or its absence, is a change of the store's API or an accident.

Prevents both the hold for one payload that a plugin had mangled and the change that nobody is
told because each day's few orders prove nothing.
"""

from __future__ import annotations

from math import comb

from crm_integration.quality.payload_paths import GONE, NEW, RETYPED, KnownPath
from crm_integration.quality.payload_shape import Node

MIN_RECORDS = 3
"""Records that must show a change: one odd payload is kept back alone and stops nobody."""
MIN_ODD_SHARE = 0.1
"""Of the values seen together with it, so many must have a new type."""
CHANCE = 1e-5
"""A path counts as gone when so few values would come by chance less often than this."""

Problem = tuple[str | None, int, int, int | None]
"""(problem, new types, records, first raw id)."""

NOTHING: Problem = (None, 0, 0, None)


def problem_of(
    node: Node, known: KnownPath | None, *, required: bool, frozen: bool, missing_share: float
) -> Problem:
    """What is wrong with a path, by what was seen and what was known of it.

    Records without a problem are too few so far; new types without records are only a note.
    """
    if node.odd:
        types = sum(node.odd)
        records = sum(times for times, _ in node.odd.values())
        first = min(raw_id for _, raw_id in node.odd.values())
        if frozen:
            return (NEW if known is None else RETYPED, types, records, first)
        if required:
            before = known.problem_records if known else 0
            many = records + before >= MIN_RECORDS and records >= MIN_ODD_SHARE * node.present
            return (RETYPED if many else None, types, records, first)
        return (None, types, 0, None)
    if known is None or not required:
        return NOTHING
    absent = node.holders - node.present
    if absent and (known.problem == GONE or _is_gone(node, known, missing_share)):
        return (GONE, 0, absent, node.absent_raw_id)
    return NOTHING


def _is_gone(node: Node, known: KnownPath, missing_share: float) -> bool:
    """Do far fewer objects have a value here than before, and not by chance?"""
    if not known.present or node.holders - node.present < MIN_RECORDS:
        return False
    left = (1 - missing_share) * known.present / known.holders
    # Half a sight of each kind: what was always there in 20 payloads is not there for certain.
    usual = min((known.present + 0.5) / (known.holders + 1), 1 - CHANCE)
    few = node.present <= left * node.holders
    return few and _chance(node.present, node.holders, usual) < CHANCE


def _chance(present: int, holders: int, share: float) -> float:
    """Of a binomial distribution: P(at most `present` of `holders`); large numbers are scaled."""
    if holders > 500:
        present, holders = present * 500 // holders, 500
    missing = 1 - share
    return sum(comb(holders, k) * share**k * missing ** (holders - k) for k in range(present + 1))
