"""What a write rewrites: values that stand in the CRM, are changed, and should rarely be.

Prevents the mapping change (or the shop's bad import) that rewrites 40,000 records before
anybody looks: what counts is decided here, how many may pass by `restraint.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import orjson

from crm_integration.canonical.moving import FURTHEST_STAGE, MOVING, STAGES
from crm_integration.mapping.model import CompiledMapping, FieldRule, FieldValue
from crm_integration.mapping.normalised import normalised
from crm_integration.mapping.ownership import FieldDecision

COUNTED_RULES = frozenset({"overwrite", "newest_wins"})
"""`fill_empty` and `append` leave what stands, `never_regress` goes forward only, and an opt-out
must not wait for anybody."""

CONSENT_RULES = frozenset({"consent", "with_consent"})


@dataclass(frozen=True)
class Rewrite:
    """One field of one record: what stands in the CRM, what we would write, and the rule."""

    name: str
    old: FieldValue = field(repr=False)
    new: FieldValue = field(repr=False)
    rule: str
    steps_back: bool = False


@dataclass(frozen=True)
class Rewrites:
    """What a write would rewrite of one record."""

    object_id: UUID
    fields: tuple[Rewrite, ...]

    @property
    def steps_back(self) -> bool:
        """A lifecycle stage would go back."""
        return any(one.steps_back for one in self.fields)

    def encoded(self) -> bytes:
        """Stable JSON: equal differences are equal bytes."""
        fields = sorted(self.fields, key=lambda one: one.name)
        told = [[one.name, one.old, one.new, one.rule, one.steps_back] for one in fields]
        return orjson.dumps([str(self.object_id), told])

    @classmethod
    def decoded(cls, encoded: bytes) -> Rewrites:
        """What `encoded` wrote."""
        object_id, fields = orjson.loads(encoded)
        return cls(UUID(object_id), tuple(Rewrite(*one) for one in fields))


def rewrites(
    mapping: CompiledMapping, object_id: UUID, decisions: Sequence[FieldDecision]
) -> Rewrites:
    """The decided fields that count: non-empty in the CRM, changed, and not moving by nature."""
    moving = MOVING.get(mapping.entity, frozenset())
    found: list[Rewrite] = []
    for one in decisions:
        if not one.decision.write or not normalised(one.old, one.rule.compared_as):
            continue
        back = _steps_back(one.rule, one.old, one.decision.value)
        counts = one.rule.rule in COUNTED_RULES and not _moves(one.rule.paths, moving)
        if counts or back:
            name, new = one.rule.name, one.decision.value
            found.append(Rewrite(name, one.old, new, one.rule.rule, back))
    return Rewrites(object_id, tuple(found))


def _moves(paths: Collection[str], moving: frozenset[str]) -> bool:
    """Made of a moving value, perhaps with one that says how to read it (an amount's currency)."""
    return not moving.isdisjoint(paths)


def _steps_back(rule: FieldRule, old: FieldValue, new: FieldValue) -> bool:
    """In the CRM's own words for the stages; what only mirrors ours may go back, as with the
    cancellation of somebody's only order."""
    if rule.paths != (FURTHEST_STAGE,) or rule.transform != "enum_map":
        return False
    names: dict[str, str] = rule.options["map"]
    order = [normalised(names.get(stage), rule.kind) for stage in STAGES]
    here, there = normalised(old, rule.kind), normalised(new, rule.kind)
    return here in order and there in order and order.index(there) < order.index(here)
