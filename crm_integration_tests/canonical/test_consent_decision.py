"""What all that was said about a channel comes to (architecture, promise 5)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crm_integration.canonical.consent_decision import Word, decide
from crm_integration.canonical.consents import ConsentState, OptInLevel

DAY = datetime(2024, 5, 1, tzinfo=UTC)
IN, OUT = ConsentState.subscribed, ConsentState.unsubscribed


def word(state: ConsentState, day: int, **changes: object) -> Word:
    """An explicit, single opt-in level word of the account `a`, timed by the store."""
    said = Word(
        speaker="main/registered/1",
        state=state,
        level=OptInLevel.single,
        explicit=True,
        at=DAY + timedelta(days=day),
        timed_by="store",
        trusted=True,
        linked_at=DAY,
        basis="main: account",
    )
    return replace(said, **changes)  # type: ignore[arg-type]


def decided(*words: Word) -> ConsentState | None:
    """The state, the same in whatever order the words came."""
    found = {decide(order) for order in permutations(words)}
    assert len(found) == 1
    decision = found.pop()
    return None if decision is None else decision.state


def test_nobody_spoke() -> None:
    """Silence is no consent and no refusal."""
    assert decide([]) is None


@pytest.mark.parametrize(
    ("opt_in", "wins"),
    [
        ({}, True),
        ({"at": DAY}, False),  # the same moment: ties take the opt-out
        ({"at": DAY - timedelta(days=1)}, False),  # an old opt-in that arrived late
        ({"explicit": False}, False),  # an import that re-subscribes everybody
        ({"level": OptInLevel.unknown}, False),  # weaker than what was taken back
        ({"level": OptInLevel.confirmed}, True),
        ({"timed_by": "first_sight"}, False),  # nobody knows when it was given
        ({"timed_by": "change"}, True),
        ({"speaker": "other/registered/9"}, True),  # said after the accounts became one
        ({"speaker": "other/registered/9", "linked_at": DAY + timedelta(days=9)}, False),
        ({"trusted": False}, False),
    ],
)
def test_an_opt_in_wins_only_if_newer_explicit_and_as_strong(
    opt_in: dict[str, object], wins: bool
) -> None:
    """A shop's import subscribed everybody again who had opted out (mc-woocommerce #928)."""
    assert decided(word(OUT, 0), word(IN, 5, **opt_in)) is (IN if wins else OUT)


def test_an_opt_out_counts_whoever_says_it() -> None:
    """A guest who unsubscribes in the second shop does not want the first one's mail either."""
    guest = word(OUT, 3, speaker="second/guest/7", trusted=False)
    assert decided(word(IN, 0), guest) is OUT


def test_an_unverified_address_opts_nobody_in() -> None:
    """Anybody can type somebody else's address at checkout."""
    typed = word(IN, 3, speaker="main/guest/7", trusted=False)
    never = word(ConsentState.never_asked, 0)
    assert decided(never, typed) is ConsentState.never_asked
    assert decided(typed) is IN  # where nobody better known speaks, the guest speaks for himself


def test_being_asked_again_takes_back_only_ones_own_opt_in() -> None:
    """A second shop that never asked must not undo the consent given in the first."""
    elsewhere = {"speaker": "other/registered/9"}
    assert decided(word(IN, 0), word(ConsentState.never_asked, 2, **elsewhere)) is IN
    assert decided(word(IN, 0), word(ConsentState.pending, 2)) is ConsentState.pending
    assert decided(word(OUT, 0), word(ConsentState.pending, 2)) is OUT


def test_silence_found_at_first_sight_is_older_than_any_word() -> None:
    """The shop imports consents with their old times after we first looked."""
    silence = word(ConsentState.never_asked, 9, timed_by="first_sight")
    assert decided(silence, word(IN, 2)) is IN


_WORDS = st.builds(
    word,
    st.sampled_from(ConsentState),
    st.integers(0, 6),
    explicit=st.booleans(),
    level=st.sampled_from(OptInLevel),
    trusted=st.booleans(),
    speaker=st.sampled_from(["main/registered/1", "other/registered/2", "main/guest/3"]),
    timed_by=st.sampled_from(["store", "change", "first_sight"]),
)


@given(st.lists(_WORDS, max_size=6))
def test_nobody_is_subscribed_after_the_last_word_was_an_opt_out(words: list[Word]) -> None:
    """Whatever was said before: the newest word of all, if it is an opt-out, stands."""
    last = word(OUT, 6)
    decision = decide([*words, last])
    assert decision is not None
    assert decision.state is OUT


@given(st.lists(_WORDS, max_size=5), st.randoms())
def test_the_order_of_arrival_does_not_matter(words: list[Word], dice: object) -> None:
    """Two shops are read in any order, and replays in another; words of one moment and one
    state may name different bases, the state is the same."""
    shuffled = list(words)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = decide(words), decide(shuffled)
    assert (one and one.state) == (other and other.state)


HELD = word(OUT, 3, speaker="crm/crm/1", trusted=False, basis="crm: hs_email_optout", held=True)
SAID = st.builds(
    word,
    st.sampled_from(list(ConsentState)),
    st.integers(0, 9),
    level=st.sampled_from(list(OptInLevel)),
    explicit=st.booleans(),
    trusted=st.booleans(),
    speaker=st.sampled_from(["main/registered/1", "other/guest/2"]),
)


@given(st.lists(SAID, max_size=5))
def test_while_the_crm_holds_an_opt_out_nothing_a_store_says_is_an_opt_in(
    words: list[Word],
) -> None:
    """She told sales to stop; the shop's newer, confirmed box made her a subscriber again."""
    found = decide([*words, HELD])
    assert found is not None
    assert found.state is OUT
    before = decide(words)
    if before is None or before.state is not OUT:
        assert found.basis == HELD.basis, "and the reason is the CRM's"
