"""Who may write a field: the three-way look, as pure functions.

Prevents two losses at once: a sync that tramples what sales typed, and one that stops updating
because the CRM changed a letter. Three values decide (architecture, promise 4): what is desired
now, what the CRM gave back for *our* last write of the field, and what it holds now.

`given_back` must only hold fields we wrote: `remembered` keeps it so. If a CRM's whole record
were stored there, a person's value would look like ours at the next sync and be overwritten.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from crm_integration.mapping.consent import Word, as_it_stands, words
from crm_integration.mapping.model import CompiledMapping, FieldRule, FieldValue
from crm_integration.mapping.normalised import normalised, rank, same

CLOCKS_DISAGREE = timedelta(seconds=60)
"""Two systems' clocks within this are no order of events; the owner wins (promise 4)."""


@dataclass(frozen=True)
class Decision:
    """Whether to write `value`, and why, in a few words for people."""

    write: bool
    value: FieldValue = field(repr=False)
    reason: str


@dataclass(frozen=True)
class FieldDecision:
    """One field's decision with what the CRM holds (`old`) and the rule that decided."""

    rule: FieldRule
    old: FieldValue = field(repr=False)
    decision: Decision


@dataclass(frozen=True)
class _Look:
    """Everything a rule may look at. `sent` is None where our last write is not known."""

    rule: FieldRule
    desired: FieldValue
    given_back: FieldValue
    current: FieldValue
    desired_at: datetime
    current_at: datetime | None
    bound_before: bool
    store_unchanged: bool

    def empty(self, value: FieldValue) -> bool:
        return normalised(value, self.rule.compared_as) == ""

    @property
    def base(self) -> bool:
        """We wrote this field before, so its base is known."""
        return self.bound_before and not self.empty(self.given_back)

    @property
    def crm_unchanged(self) -> bool:
        return same(self.current, self.given_back, self.rule.compared_as)

    def write(self, reason: str) -> Decision:
        return Decision(write=True, value=self.desired, reason=reason)

    def keep(self, reason: str) -> Decision:
        return Decision(write=False, value=self.current, reason=reason)


def decide(
    rule: FieldRule,
    *,
    desired: FieldValue,
    given_back: FieldValue,
    current: FieldValue,
    desired_at: datetime,
    current_at: datetime | None,
    bound_before: bool,
    sent: FieldValue = None,
    word: Word = Word.store,
) -> Decision:
    """What becomes of one field of one record.

    `desired_at` is the source's time of the newest version, `current_at` the CRM record's last
    change (None: unknown). `bound_before` is False for a record we create or adopt now. `sent`
    is what we last wrote, before the CRM normalised it (None: unknown); with it, a value the CRM
    merely reshaped is not sent again. `word` (fields of the consent rules): whose word stands.
    """
    desired = as_it_stands(rule, desired, word)
    store_unchanged = sent is not None and same(sent, desired, rule.compared_as)
    look = _Look(
        rule, desired, given_back, current, desired_at, current_at, bound_before, store_unchanged
    )
    if rule.rule == "never":
        return look.keep("the CRM owns it")
    if word is Word.nobody:
        return look.keep("no store says anything: the opt-out stays")
    if word is Word.crm:
        return _crms_word(look)
    if same(desired, current, rule.compared_as):
        return look.keep("equal")
    if store_unchanged and look.base and look.crm_unchanged:
        return look.keep("equal, as the CRM gave it back")
    return _RULES[rule.rule](look)


def _overwrite(look: _Look) -> Decision:
    return look.write("the store owns it")


def _crms_word(look: _Look) -> Decision:
    """`desired` says by now what an opt-out in the CRM makes of the field (`consent.py`)."""
    if normalised(look.desired, look.rule.kind) == normalised(look.current, look.rule.kind).lower():
        return look.keep("the CRM's opt-out stands")
    return look.write("the CRM's opt-out stands")


def _fill_empty(look: _Look) -> Decision:
    if look.empty(look.desired):
        return look.keep("the store has no value")
    if look.base:
        if look.crm_unchanged:
            return look.write("the CRM still holds what we gave it")
        return look.keep("a person changed it: it is theirs")
    if look.empty(look.current):
        return look.write("it was empty")
    return look.keep("it was filled before us")


def _newest_wins(look: _Look) -> Decision:
    if not look.base:
        if look.empty(look.current):
            return look.write("it was empty")
        return look.keep("it was filled before us")
    if look.crm_unchanged:
        return look.write("only the store changed it")
    if look.store_unchanged:
        return look.keep("only the CRM changed it")
    return _by_clock(look)


def _by_clock(look: _Look) -> Decision:
    apart = None if look.current_at is None else look.desired_at - look.current_at
    if apart is None or abs(apart) < CLOCKS_DISAGREE:
        if look.rule.owner == "store":
            return look.write("both changed it at one time: the owner is the store")
        return look.keep("both changed it at one time: the owner is the CRM")
    if apart > timedelta(0):
        return look.write("the store's change is newer")
    return look.keep("the CRM's change is newer")


def _never_regress(look: _Look) -> Decision:
    if look.empty(look.desired):
        return look.keep("the store has no value")
    if look.empty(look.current):
        return look.write("it was empty")
    here, there = _position(look.rule, look.current), _position(look.rule, look.desired)
    if here is None or there is None:
        return look.keep("the CRM holds a value that is not in the order")
    if there > here:
        return look.write("a step forward")
    return look.keep("it would be a step back")


def _position(rule: FieldRule, value: FieldValue) -> float | None:
    if not rule.order:
        found = rank(value, rule.kind)
        return None if found is None else float(found)
    text = normalised(value, rule.kind)
    return rule.order.index(text) if text in rule.order else None


def _append(look: _Look) -> Decision:
    """Lines of ours that are neither there nor were there after our last write (a person may
    have removed them)."""
    lines = [line.strip() for line in str(look.desired or "").splitlines() if line.strip()]
    known = {*_lines(look.current), *(_lines(look.given_back) if look.base else ())}
    new = [line for line in dict.fromkeys(lines) if line not in known]
    if not new:
        return look.keep("its lines are known")
    before = [] if look.empty(look.current) else [str(look.current).rstrip()]
    return Decision(write=True, value="\n".join([*before, *new]), reason="a new line")


def _lines(value: FieldValue) -> list[str]:
    return [line.strip() for line in str(value or "").splitlines()]


_RULES: dict[str, Callable[[_Look], Decision]] = {
    "overwrite": _overwrite,
    "fill_empty": _fill_empty,
    "newest_wins": _newest_wins,
    "never_regress": _never_regress,
    "append": _append,
    "consent": _overwrite,
    "with_consent": _overwrite,
}


def diff(
    compiled: CompiledMapping,
    *,
    desired: Mapping[str, FieldValue],
    given_back: Mapping[str, FieldValue],
    current: Mapping[str, FieldValue],
    desired_at: datetime,
    current_at: datetime | None,
    bound_before: bool,
    sent: Mapping[str, FieldValue] | None = None,
) -> list[FieldDecision]:
    """Every mapped field's decision, in the mapping's order; used by dispatch and by preview.

    `current` holds what was read of `compiled.reads`, the CRM's own opt-outs among it.
    """
    standing = words(compiled.fields, desired=desired, given_back=given_back, current=current)
    return [
        FieldDecision(
            rule=rule,
            old=current.get(name),
            decision=decide(
                rule,
                desired=desired.get(name),
                given_back=given_back.get(name),
                current=current.get(name),
                desired_at=desired_at,
                current_at=current_at,
                bound_before=bound_before,
                sent=(sent or {}).get(name),
                word=standing.get(rule.consent or name, Word.store),
            ),
        )
        for name, rule in compiled.fields.items()
    ]


def to_write(decisions: Collection[FieldDecision]) -> dict[str, FieldValue]:
    """The fields to send; empty when the record needs no call at all."""
    return {item.rule.name: item.decision.value for item in decisions if item.decision.write}


def remembered(
    before: Mapping[str, FieldValue],
    *,
    written: Collection[str],
    answered: Mapping[str, FieldValue],
) -> dict[str, FieldValue]:
    """`given_back` after a write: only what we wrote now takes the CRM's answer, the rest stays."""
    return {**before, **{name: answered[name] for name in written if name in answered}}
