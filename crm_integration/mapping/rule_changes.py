"""What one version of a mapping says differently from another, field by field.

Prevents the review of two files side by side, in which a changed owner is one word among forty
lines.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from crm_integration.mapping.model import AssociationRule, Mapping, Match


@dataclass(frozen=True)
class RuleChange:
    """A field that is added, removed or changed; `keys` holds (old, new) of each key that
    differs, as they stand in the files. `match` and `associations` are told like fields."""

    name: str
    change: str
    keys: dict[str, tuple[Any, Any]]


def rule_changes(old: Mapping, new: Mapping) -> list[RuleChange]:
    """In the order of the files; what both say alike is left out."""
    found: list[RuleChange] = []
    for name in dict.fromkeys((*old.specs, *new.specs)):
        before, after = old.specs.get(name), new.specs.get(name)
        keys = _differing(before or {}, after or {})
        if before is None or after is None:
            found.append(RuleChange(name, "added" if before is None else "removed", keys))
        elif keys:
            found.append(RuleChange(name, "changed", keys))
    beside = {
        "match": (_matched(old.match), _matched(new.match)),
        "associations": (_tied(old.associations), _tied(new.associations)),
    }
    changed = {name: pair for name, pair in beside.items() if pair[0] != pair[1]}
    found += [RuleChange(name, "changed", {name: pair}) for name, pair in changed.items()]
    return found


def _differing(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _matched(match: Match | None) -> str:
    return "" if match is None else f"{match.field} by {match.path}"


def _tied(associations: Sequence[AssociationRule]) -> str:
    return ", ".join(f"{one.to} by {one.path}" for one in associations)
