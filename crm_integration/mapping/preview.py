"""What a sync, a new mapping version or an override would change, before it does.

Prevents the mapping change that rewrites 40,000 contacts and is noticed by the merchant: old
value, new value, owner and rule are shown per field, and summed over a tenant.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from crm_integration.mapping.model import CompiledMapping, FieldRule, FieldValue, View
from crm_integration.mapping.normalised import normalised, same
from crm_integration.mapping.ownership import FieldDecision

Mask = Callable[[str, FieldValue], FieldValue]
"""(field, value) -> what may be shown of it; previews leave the tenant's walls masked."""


@dataclass(frozen=True)
class FieldPreview:
    """One field: what the CRM holds, what it would hold, and the rule that says so."""

    name: str
    old: FieldValue = field(repr=False)
    new: FieldValue = field(repr=False)
    write: bool
    empties: bool
    owner: str
    rule: str
    reason: str


@dataclass(frozen=True)
class BlastRadius:
    """A tenant's previews of one object type in figures; a hold compares `share` to its limit.

    `by_field` counts writes per field; `emptied` counts values that would vanish.
    """

    records: int
    changed: int
    emptied: int
    by_field: Mapping[str, int]

    @property
    def share(self) -> float:
        """Changed records among all, 0 to 1."""
        return self.changed / self.records if self.records else 0.0


@dataclass(frozen=True)
class ShadowDifference:
    """A field that two versions of a mapping make differently of one view.

    `change`: value, owner, rule, added or removed.
    """

    name: str
    change: str
    old: FieldValue = field(repr=False)
    new: FieldValue = field(repr=False)


def preview(decisions: Iterable[FieldDecision], *, mask: Mask) -> list[FieldPreview]:
    """One line per mapped field, also for those that stay, so that the reason can be read."""
    return [
        FieldPreview(
            name=item.rule.name,
            old=mask(item.rule.name, item.old),
            new=mask(item.rule.name, item.decision.value),
            write=item.decision.write,
            empties=item.decision.write and not normalised(item.decision.value, item.rule.kind),
            owner=item.rule.owner,
            rule=item.rule.rule,
            reason=item.decision.reason,
        )
        for item in decisions
    ]


def blast_radius(records: Iterable[Iterable[FieldPreview]]) -> BlastRadius:
    """The figures over many records' previews; nothing of them is kept."""
    seen = changed = emptied = 0
    by_field: Counter[str] = Counter()
    for fields in records:
        written = [item for item in fields if item.write]
        seen += 1
        changed += bool(written)
        emptied += sum(item.empties for item in written)
        by_field.update(item.name for item in written)
    return BlastRadius(records=seen, changed=changed, emptied=emptied, by_field=dict(by_field))


def shadow(
    now: CompiledMapping, then: CompiledMapping, view: View, *, mask: Mask
) -> list[ShadowDifference]:
    """What version `then` would make differently from `now` of one record, writing nothing."""
    old, new = now.project(view), then.project(view)
    found: list[ShadowDifference] = []
    for name in dict.fromkeys((*old, *new)):
        change = _change(now, then, name, old.get(name), new.get(name))
        if change is not None:
            found.append(
                ShadowDifference(name, change, mask(name, old.get(name)), mask(name, new.get(name)))
            )
    return found


def _change(
    now: CompiledMapping, then: CompiledMapping, name: str, old: FieldValue, new: FieldValue
) -> str | None:
    before, after = now.fields.get(name), then.fields.get(name)
    if before is None or after is None:
        return "added" if before is None else "removed"
    if not same(old, new, after.compared_as):
        return "value"
    if before.owner != after.owner:
        return "owner"
    return "rule" if _ruled(before) != _ruled(after) else None


def _ruled(rule: FieldRule) -> tuple[object, ...]:
    return rule.rule, rule.order, rule.opt_out, rule.consent
