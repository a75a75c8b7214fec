"""What all that was said about one channel comes to.

Prevents three quiet wrongs: an old opt-in that arrives late and beats an opt-out, an import that
re-subscribes everybody, and a merge of two accounts that keeps the friendlier answer
(architecture, promise 5).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from crm_integration.canonical.consents import ConsentState, OptInLevel

TimedBy = Literal["store", "change", "first_sight"]

_STRENGTH = {OptInLevel.unknown: 0, OptInLevel.single: 1, OptInLevel.confirmed: 2}
_LAST_WHEN_TIED = {
    ConsentState.never_asked: 0,
    ConsentState.pending: 1,
    ConsentState.subscribed: 2,
    ConsentState.unsubscribed: 3,
}


@dataclass(frozen=True)
class Word:
    """One consent event. `speaker` is the identity that said it, `linked_at` when that identity
    came to the customer. `trusted` is False where the e-mail address is not verified.

    `held`: an opt-out that the CRM holds now. No opt-in counts while it does.

    `timed_by` tells where `at` is from: the store, the receipt of a changed value, or the receipt
    of the first value we ever saw, which says nothing about when it was given.
    """

    speaker: str
    state: ConsentState
    level: OptInLevel
    explicit: bool
    at: datetime
    timed_by: TimedBy
    trusted: bool
    linked_at: datetime
    basis: str
    held: bool = False


@dataclass(frozen=True)
class Decision:
    """The state that counts, since when, and by whose word."""

    state: ConsentState
    at: datetime
    basis: str


def decide(words: Sequence[Word]) -> Decision | None:
    """The decision over all words of one customer on one channel; None where nobody spoke.

    An opt-in of an identity that is not trusted counts only where no trusted one exists; an
    opt-out counts whoever says it.
    """
    somebody_trusted = any(word.trusted for word in words)
    standing: Word | None = None
    for word in sorted(words, key=_when):
        heard = word.trusted or not somebody_trusted or word.state is ConsentState.unsubscribed
        if heard and _takes_over(word, standing):
            standing = word
    held = [word for word in words if word.held]
    if held and (standing is None or standing.state is not ConsentState.unsubscribed):
        standing = max(held, key=_when)
    return None if standing is None else Decision(standing.state, standing.at, standing.basis)


def _when(word: Word) -> tuple[bool, datetime, int]:
    """In the order of time. Silence that we found at first sight is older than any word."""
    silent = word.state is ConsentState.never_asked and word.timed_by == "first_sight"
    return not silent, word.at, _LAST_WHEN_TIED[word.state]


def _takes_over(word: Word, standing: Word | None) -> bool:
    if standing is None or word.state is ConsentState.unsubscribed:
        return True
    if word.state is ConsentState.subscribed:
        return standing.state is not ConsentState.unsubscribed or _beats_opt_out(word, standing)
    # Being asked again, or never having been asked, takes back nothing but one's own opt-in.
    if standing.state is ConsentState.subscribed:
        return word.speaker == standing.speaker
    return standing.state is ConsentState.never_asked


def _beats_opt_out(opt_in: Word, opt_out: Word) -> bool:
    """Strictly newer, explicit, as strong; between two identities also newer than their union."""
    return (
        opt_in.at > opt_out.at
        and opt_in.explicit
        and opt_in.timed_by != "first_sight"
        and _STRENGTH[opt_in.level] >= _STRENGTH[opt_out.level]
        and (
            opt_in.speaker == opt_out.speaker
            or opt_in.at > max(opt_in.linked_at, opt_out.linked_at)
        )
    )
