"""Shops do not hold still: whatever is edited in mid-listing, nothing else is lost, and a
listing that was killed goes on where it was."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from crm_integration.errors import BadInput
from crm_integration.stores._contract import Window
from crm_integration_tests.conformance.books import NOON, PARTS, plant, remove, touch
from crm_integration_tests.conformance.street import EmulatedStore, Listed
from crm_integration_tests.conformance.truth import day_of, numbers, truth_of

CROWD, TIED = 540, 270
"""Three pages of the largest page any of these APIs gives (250); the last 270 in one second."""
FEW = 280
"""Of parts, which cost a call each in some APIs."""
FIRST_NEW = 10_000
SINCE = Window(day_of(NOON), day_of(NOON + 86_400 * 2))
"""Short, as a poll asks for it: a connector may list long windows in another way."""


@pytest.fixture
def crowd(store: EmulatedStore, object_type: str) -> EmulatedStore:
    """A shop of hundreds of objects of one type, an hour later."""
    store.now = NOON + 3_600
    for key in _keys(object_type):
        plant(store, object_type, key, NOON + min(key, CROWD - TIED))
    return store


def _keys(object_type: str) -> range:
    return range(1, 1 + (FEW if object_type in PARTS else CROWD))


Edit = Callable[[EmulatedStore, str, list[int]], None]


def _edit_the_oldest(store: EmulatedStore, object_type: str, keys: list[int]) -> None:
    """They jump to the end of a list by time, and all others move up by 30."""
    for key in keys[:30]:
        touch(store, object_type, key)


def _delete_the_oldest(store: EmulatedStore, object_type: str, keys: list[int]) -> None:
    for key in keys[:30]:
        remove(store, object_type, key)


def _delete_here_and_there(store: EmulatedStore, object_type: str, keys: list[int]) -> None:
    for key in keys[:: len(keys) // 12]:
        remove(store, object_type, key)


_new = count(FIRST_NEW)


def _insert_at_both_ends(store: EmulatedStore, object_type: str, keys: list[int]) -> None:
    """An import dates some of them back, so that all others move down."""
    for _ in range(5):
        plant(store, object_type, next(_new), NOON - 5)
        plant(store, object_type, next(_new), store.now)


EDITS: tuple[Edit, ...] = (
    _edit_the_oldest, _delete_the_oldest, _delete_here_and_there, _insert_at_both_ends,
)  # fmt: skip


@pytest.mark.parametrize("edit", EDITS, ids=lambda edit: edit.__name__.strip("_"))
def test_an_edit_between_two_answers_hides_nothing_else(
    crowd: EmulatedStore, object_type: str, edit: Edit
) -> None:
    """On a real shop page numbers lost two of 100 orders when two were edited after page 1."""
    truth = truth_of(object_type)
    for at, window in ((1, None), (2, SINCE), (3, None), (5, SINCE)):
        before = set(truth.listed(crowd.state))
        crowd.now += 60
        crowd.traffic.quiet()
        crowd.traffic.after = _once(
            at, lambda: edit(crowd, object_type, _by_age(crowd, object_type))
        )
        found = numbers(crowd.listed(object_type, window).objects)
        missed = (before & truth.listed(crowd.state).keys()) - found
        assert not missed, f"{len(missed)} missed after an edit behind answer {at}"


def test_edits_behind_every_answer_hide_nothing_and_the_listing_ends(
    crowd: EmulatedStore, object_type: str
) -> None:
    """A busy shop: one edit and one deletion for each of the first forty answers."""

    def after(number: int) -> None:
        if number <= 40:
            crowd.now += 1
            oldest = _by_age(crowd, object_type)
            touch(crowd, object_type, oldest[1])
            remove(crowd, object_type, oldest[0])

    crowd.traffic.after = after
    found = numbers(crowd.listed(object_type).objects)
    assert found >= truth_of(object_type).listed(crowd.state).keys()


def _once(at: int, edit: Callable[[], None]) -> Callable[[int], None]:
    def after(number: int) -> None:
        if number == at:
            edit()

    return after


def _by_age(store: EmulatedStore, object_type: str) -> list[int]:
    times = truth_of(object_type).listed(store.state)
    return sorted(times, key=lambda key: (times[key], key))


def test_a_late_tie_is_seen(crowd: EmulatedStore, object_type: str) -> None:
    """Something is edited within the last second that was read: the next poll, whose window
    ends later, must bring it."""
    touched = _by_age(crowd, object_type)[:3]
    crowd.traffic.after = _once(1, lambda: [touch(crowd, object_type, key) for key in touched])
    crowd.now = NOON + CROWD - TIED
    assert numbers(crowd.listed(object_type).objects) == set(_keys(object_type))


def test_a_listing_cut_anywhere_goes_on_behind_its_checkpoint(
    crowd: EmulatedStore, object_type: str
) -> None:
    """The process dies after any page; what is behind it comes by another process' client."""
    whole = {window: crowd.listed(object_type, window) for window in (None, SINCE)}
    for kept in range(1, len(whole[None].pages) + 1):
        window = SINCE if kept % 2 else None
        pages = whole[window].pages[:kept]
        rest = crowd.listed(object_type, window, pages[-1].checkpoint)
        found = numbers(Listed(pages).objects) | numbers(rest.objects)
        assert found == set(_keys(object_type)), f"resumed behind page {kept}"


def test_a_listing_resumed_after_a_deletion_misses_nobody(
    crowd: EmulatedStore, object_type: str
) -> None:
    """Between the kill and the next process the shop went on living."""
    whole = crowd.listed(object_type)
    for kept in range(1, min(4, len(whole.pages))):
        remove(crowd, object_type, _by_age(crowd, object_type)[0])
        rest = crowd.listed(object_type, None, whole.pages[kept - 1].checkpoint)
        found = numbers(Listed(whole.pages[:kept]).objects) | numbers(rest.objects)
        assert found >= truth_of(object_type).listed(crowd.state).keys()


def test_a_checkpoint_of_another_making_is_refused(store: EmulatedStore, object_type: str) -> None:
    """Starting over silently would hide that a release changed its checkpoints."""
    with store.opened() as client:
        for text in ("", "7", "null", "[]", '{"cursor": 7}', "not json", "{"):
            with pytest.raises(BadInput, match="anew"):
                list(store.pages(client, object_type, None, text))
