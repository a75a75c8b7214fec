"""Differences of mapping versions as people and programs read them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from crm_integration.mapping.names import MappingName
from crm_integration.mapping.rule_changes import RuleChange
from crm_integration.sync.shadowing import Shadowed


def change_lines(changes: Sequence[RuleChange]) -> Iterator[str]:
    """Rules, field by field."""
    for one in changes:
        if one.change == "changed":
            told = "; ".join(f"{key}: {_told(a)} → {_told(b)}" for key, (a, b) in one.keys.items())
            yield f"{one.name}: {told}"
        else:
            side = 1 if one.change == "added" else 0
            keys = {key: pair[side] for key, pair in one.keys.items()}
            told = ", ".join(f"{key} {_told(value)}" for key, value in keys.items())
            yield f"{one.name}: {one.change} ({told})"
    if not changes:
        yield "no rule differs"


def shadow_lines(found: Shadowed) -> Iterator[str]:
    """What differs on recorded rows."""
    yield ""
    yield f"{found.differing} of {found.rows} recorded rows differ"
    for (name, change), number in found.counts.most_common():
        yield f"{name}: {number} ({change})"
        for object_id, one in found.examples[name]:
            yield f"    {object_id}: {_told(one.old)} → {_told(one.new)}"
    for mapping_id, number in found.refused.items():
        yield f"{mapping_id} keeps {number} back: a value does not fit, or a required one is empty"


def diff_document(
    first: MappingName,
    second: MappingName,
    changes: Sequence[RuleChange],
    found: Shadowed | None,
) -> dict[str, Any]:
    """Both as one JSON document; `recorded` is null without a tenant."""
    recorded = None
    if found is not None:
        recorded = {
            "rows": found.rows,
            "differing": found.differing,
            "fields": [
                {"name": name, "change": change, "rows": number}
                for (name, change), number in found.counts.most_common()
            ],
            "refused": dict(found.refused),
            "examples": {
                name: [{"object_id": key, "old": one.old, "new": one.new} for key, one in pairs]
                for name, pairs in found.examples.items()
            },
        }
    rules = [
        {
            "name": one.name,
            "change": one.change,
            "keys": {key: {"old": a, "new": b} for key, (a, b) in one.keys.items()},
        }
        for one in changes
    ]
    return {"old": str(first), "new": str(second), "rules": rules, "recorded": recorded}


def _told(value: Any) -> str:
    return "(none)" if value in (None, "") else str(value)
