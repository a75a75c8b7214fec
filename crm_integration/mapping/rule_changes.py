"""What one version of a mapping says differently from another, field by field.

Prevents the review of two files side by side, in which a changed owner is one word among forty
lines.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from crm_integration.mapping.model import Mapping


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
    for name in ("match", "associations"):
        before, after = getattr(old, name), getattr(new, name)
        if before != after:
            found.append(RuleChange(name, "changed", {name: (_told(before), _told(after))}))
    return found


def _differing(before: Any, after: Any) -> dict[str, tuple[Any, Any]]:
    names = dict.fromkeys((*before, *after))
    return {
        name: (before.get(name), after.get(name))
        for name in names
        if before.get(name) != after.get(name)
    }


def _told(value: Any) -> str:
    """`company by company_id, …`; `email by email`; nothing."""
    if value is None:
        return ""
    if isinstance(value, tuple):
        return ", ".join(f"{one.to} by {one.path}" for one in value)  # pyright: ignore
    return f"{value.field} by {value.path}"
