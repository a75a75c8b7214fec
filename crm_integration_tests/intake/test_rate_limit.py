"""What one connection takes is bounded, and time given back is time of a clock that never jumps."""

from __future__ import annotations

import pytest

from crm_integration.intake.rate_limit import NoRoom, RateLimit, Room

ONE, OTHER = ("t", "one"), ("t", "other")


class Clock:
    now = 1_000.0

    def __call__(self) -> float:
        return self.now


def test_a_burst_is_let_through_and_then_the_rate_holds() -> None:
    """A sale of some seconds is no flood."""
    clock = Clock()
    limit = RateLimit(2, clock)
    for _ in range(20):
        assert limit.seconds_to_wait(ONE) == 0
        limit.take(ONE)
    assert limit.seconds_to_wait(ONE) == pytest.approx(0.5)
    clock.now += 0.5
    assert limit.seconds_to_wait(ONE) == 0
    limit.take(ONE)
    assert limit.seconds_to_wait(ONE) > 0
    clock.now += 86_400
    for _ in range(20):
        limit.take(ONE)
    assert limit.seconds_to_wait(ONE) > 0, "a quiet day saves up no more than a burst"


def test_each_connection_has_its_own() -> None:
    limit = RateLimit(1, Clock())
    for _ in range(50):
        limit.take(ONE)
    assert limit.seconds_to_wait(ONE) > 30
    assert limit.seconds_to_wait(OTHER) == 0


def test_a_quarter_is_the_most_that_one_may_hold() -> None:
    """One shop's large orders took all the memory."""
    room = Room(100)
    room.take(ONE, 25)
    with pytest.raises(NoRoom):
        room.take(ONE, 1)
    room.take(OTHER, 25)
    room.give_back(ONE, 25)
    room.take(ONE, 10)
    assert room.taken == 35


def test_all_together_have_a_limit() -> None:
    room = Room(100)
    for number in range(4):
        room.take(("t", str(number)), 25)
    with pytest.raises(NoRoom):
        room.take(("t", "late"), 1)
    assert room.taken == 100


def test_what_was_held_is_given_back_whatever_happens() -> None:
    """A refused request kept its bytes until the process was full."""
    room = Room(100)
    with pytest.raises(NoRoom), room.held(ONE) as take:
        take(20)
        take(20)
    assert room.taken == 0
    room.take(ONE, 25)
