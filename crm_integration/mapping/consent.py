"""Whose word stands where store and CRM speak of one person's consent.

Prevents the newsletter to somebody who opted out in the CRM: its opt-out is read right before
the write and counts like a store's (architecture, promise 5). A store's opt-in never takes back
an opt-out that a person set there; a store's opt-out is always written.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from crm_integration.canonical.consents import ConsentState
from crm_integration.mapping.model import FieldRule, FieldValue

CRM_BASIS = "crm"
"""What the basis of a consent says where the CRM's own opt-out stands."""


class Word(StrEnum):
    """Whose word about a consent stands."""

    store = "store"
    crm = "crm"
    nobody = "nobody"
    """The stores say nothing (any more), and the CRM holds an opt-out: it is left alone."""


@dataclass(frozen=True)
class Held:
    """One consent field of one record, as it is desired, was given back last, and is now.

    `told` is the CRM's own opt-out field, None where the rule names none.
    """

    desired: FieldValue = field(repr=False)
    given_back: FieldValue = field(repr=False)
    current: FieldValue = field(repr=False)
    told: FieldValue = field(repr=False)


def whose_word(held: Held) -> Word:
    """Who decides what the field shows.

    An opt-out that the field holds is the CRM's unless it is what the CRM gave back for our own
    last write.
    """
    shown_out = _is(held.current, ConsentState.unsubscribed)
    if _is(held.desired, ConsentState.unsubscribed):
        return Word.store
    if held.desired in (None, ""):
        return Word.nobody if shown_out else Word.store
    ours = _is(held.given_back, ConsentState.unsubscribed)
    if _yes(held.told) or (shown_out and not ours):
        return Word.crm
    return Word.store


def crms_opt_out(
    rule: FieldRule, current: Mapping[str, FieldValue], given_back: Mapping[str, FieldValue]
) -> str | None:
    """The field by which the CRM itself says no, None where none does.

    Its own opt-out, else our field if a person wrote so there; what it gave back for our own
    write is no word of the CRM's.
    """
    if rule.opt_out and _yes(current.get(rule.opt_out)):
        return rule.opt_out
    if not shows_no(rule, current):
        return None
    return None if shows_no(rule, given_back) else rule.name


def shows_no(rule: FieldRule, values: Mapping[str, FieldValue]) -> bool:
    """Whether a consent field says unsubscribed among these values."""
    return _is(values.get(rule.name), ConsentState.unsubscribed)


def as_it_stands(rule: FieldRule, desired: FieldValue, word: Word) -> FieldValue:
    """What a field of a consent rule is to show: the store's value, or that the CRM says no.

    When a CRM's opt-out was made is not known: a time is left empty.
    """
    if word is not Word.crm:
        return desired
    if rule.rule == "consent":
        return ConsentState.unsubscribed.value
    return CRM_BASIS if rule.kind == "text" else None


def words(
    fields: Mapping[str, FieldRule],
    *,
    desired: Mapping[str, FieldValue],
    given_back: Mapping[str, FieldValue],
    current: Mapping[str, FieldValue],
) -> dict[str, Word]:
    """Whose word stands, by consent field; `current` must hold the opt-outs, too."""
    return {
        name: whose_word(
            Held(
                desired.get(name),
                given_back.get(name),
                current.get(name),
                current.get(rule.opt_out),
            )
        )
        for name, rule in fields.items()
        if rule.rule == "consent"
    }


def _is(value: FieldValue, state: ConsentState) -> bool:
    return str(value or "").strip().lower() == state.value


def _yes(value: FieldValue) -> bool:
    return value is True or str(value or "").strip().lower() in {"true", "yes", "1"}
