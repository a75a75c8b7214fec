"""Who failed is left alone for longer each time, and one success ends that."""

from __future__ import annotations

from crm_integration.sync.setbacks import Setbacks


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_each_failure_in_a_row_doubles_the_pause_up_to_the_longest() -> None:
    """A dead CRM was asked for each event of its shop."""
    known = Setbacks(60.0, _Clock())
    assert [known.note("t") for _ in range(9)] == [1, 2, 4, 8, 16, 32, 60, 60, 60]
    assert [known.note("t") for _ in range(2_000)][-1] == 60
    assert known.seconds("other") == 0


def test_it_may_be_tried_when_the_pause_is_over_and_is_doubted_until_it_succeeds() -> None:
    """Whoever failed once was left alone for ever, or was trusted at once."""
    clock = _Clock()
    known = Setbacks(60.0, clock)
    known.note("t")
    assert known.seconds("t") == 1
    clock.now += 1
    assert known.seconds("t") == 0
    assert known.doubts("t")
    known.over("t")
    assert not known.doubts("t")
    assert known.note("t") == 1


def test_who_asks_for_a_longer_pause_gets_it() -> None:
    """A Retry-After of half a minute was answered by a call a second later."""
    assert Setbacks(60.0, _Clock()).note("t", at_least=30.0) == 30
