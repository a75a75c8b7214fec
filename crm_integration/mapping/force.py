"""Decisions that no rule makes: of a record that is new, and of fields that a person forces.

Prevents a forced rewrite from being more than it says: it names its fields, and what a person
said about being written to, what is the CRM's alone, and what has no value are beyond it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from crm_integration.errors import BadInput
from crm_integration.mapping.model import CompiledMapping, FieldRule, FieldValue
from crm_integration.mapping.normalised import normalised
from crm_integration.mapping.ownership import Decision, FieldDecision

NEVER_FORCED = frozenset({"never", "consent", "with_consent"})
"""Rules that hold against everybody (architecture, promises 4 and 5)."""


def for_new(mapping: CompiledMapping, desired: Mapping[str, FieldValue]) -> list[FieldDecision]:
    """Of a record that the CRM does not have: every value but those that are the CRM's alone."""
    return [
        FieldDecision(rule, None, Decision(True, value, "the record is new"))
        for name, rule in mapping.fields.items()
        if rule.rule != "never" and (value := desired.get(name)) is not None
    ]


def overruled(
    decisions: Sequence[FieldDecision], desired: Mapping[str, FieldValue], forced: Collection[str]
) -> list[FieldDecision]:
    """The decisions with the forced fields written, also where the CRM holds the very value."""
    return [_forced(one, desired) if one.rule.name in forced else one for one in decisions]


def refuse_unforceable(mappings: Collection[CompiledMapping], names: Collection[str]) -> None:
    """Raises BadInput, with the fix, for a field that no mapping has or no one may force."""
    for name in names:
        rules = [mapping.fields[name] for mapping in mappings if name in mapping.fields]
        if not rules:
            raise BadInput(f"no mapping of this replay has a field {name[:60]!r}: correct --force")
        if any(rule.rule in NEVER_FORCED for rule in rules):
            raise BadInput(
                f"{name} cannot be forced: it belongs to the CRM, or to what a person said about "
                "being written to; leave it out of --force"
            )


def _forced(one: FieldDecision, desired: Mapping[str, FieldValue]) -> FieldDecision:
    """An empty value empties only a field that must equal the store's."""
    value = desired.get(one.rule.name)
    if one.rule.rule in NEVER_FORCED or (_empty(one.rule, value) and one.rule.rule != "overwrite"):
        return one
    return FieldDecision(one.rule, one.old, Decision(True, value, "forced by a person"))


def _empty(rule: FieldRule, value: FieldValue) -> bool:
    return normalised(value, rule.compared_as) == ""
