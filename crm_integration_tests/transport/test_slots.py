"""Few compute at once, however many wait for somebody else."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Event, Lock

import pytest

from crm_integration.transport.slots import LONGEST, Slots, before_waiting, given_back, let_others


class _Counting:
    """How many were at it at once, at most."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self._lock = Lock()

    def __enter__(self) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self.now -= 1


def test_many_wait_at_once_and_few_compute() -> None:
    """Eight slow CRMs were waited for, and nobody else's event was looked at."""
    slots, computing, together = Slots(2), _Counting(), Barrier(8)

    def one() -> None:
        with slots.taken():
            with computing:
                time.sleep(0.01)
            with given_back():
                together.wait(10)  # all eight, or nobody goes on
            with computing:
                time.sleep(0.01)

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(one) for _ in range(8)]:
            done.result()
    assert computing.most == 2


def test_who_waits_within_a_wait_gives_back_one_slot() -> None:
    """A call and the pauses around it gave two slots back: with each one more thread computed."""
    slots, computing = Slots(1), _Counting()

    def one() -> None:
        with slots.taken():
            with given_back(), given_back():
                time.sleep(0.01)
            with computing:
                time.sleep(0.005)

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(one) for _ in range(12)]:
            done.result()
    assert computing.most == 1


def test_who_has_no_slot_has_none_to_give_back() -> None:
    """A run over windows waited for a slot that it never had."""
    with given_back():
        pass


def test_a_slot_is_free_again_after_an_error() -> None:
    """One that broke kept its slot, and after four of them nobody computed."""
    slots = Slots(1)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), slots.taken(), given_back():
            raise ZeroDivisionError
    with slots.taken():
        pass


def test_who_works_behind_the_others_stops_while_one_of_them_computes() -> None:
    """A flood's pass ran beside every second event, and took half of the processor from it."""
    slots, order, started = Slots(4), list[str](), Event()

    def flood() -> None:
        with slots.taken(behind=True):
            order.append("flood")
            started.set()
            time.sleep(0.02)
            let_others()
            order.append("flood again")

    def event() -> None:
        with slots.taken():
            started.wait(5)
            let_others()
            time.sleep(0.08)
            order.append("event")

    with ThreadPoolExecutor(2) as pool:
        for done in [pool.submit(event), pool.submit(flood)]:
            done.result()
    assert order == ["flood", "event", "flood again"]


def test_who_works_behind_the_others_gets_on_all_the_same() -> None:
    """The others never ended, and what had come too often never came at all."""
    slots = Slots(4)

    def behind() -> float:
        began = time.monotonic()
        with slots.taken(behind=True):
            let_others()
        return time.monotonic() - began

    with slots.taken(), ThreadPoolExecutor(1) as pool:
        assert LONGEST <= pool.submit(behind).result() < 10 * LONGEST


def test_who_only_waits_for_a_remote_host_holds_nobody_up() -> None:
    """A CRM that took its time kept a flood from being read."""
    slots, waiting, ended = Slots(4), Event(), Event()

    def event() -> None:
        with slots.taken(), given_back():
            waiting.set()
            ended.wait(10)

    with ThreadPoolExecutor(1) as pool:
        done = pool.submit(event)
        waiting.wait(5)
        began = time.monotonic()
        with slots.taken(behind=True):
            let_others()
        assert time.monotonic() - began < LONGEST / 2
        ended.set()
        done.result()


def test_who_began_first_goes_on_first() -> None:
    """New passes took each slot that came free, and some waited for a minute with what they had
    claimed."""
    slots, order, answered, holding, go = Slots(1), list[str](), Event(), Event(), Event()
    away = Event()

    def old() -> None:
        with slots.taken():
            with given_back():
                away.set()
                answered.wait(10)
            order.append("old")

    def holder() -> None:
        away.wait(10)
        with slots.taken():
            holding.set()
            go.wait(10)

    def new() -> None:
        with slots.taken():
            order.append("new")

    with ThreadPoolExecutor(6) as pool:
        done = [pool.submit(old), pool.submit(holder)]
        holding.wait(10)
        done += [pool.submit(new) for _ in range(3)]
        time.sleep(0.05)  # they stand in line
        answered.set()
        time.sleep(0.05)
        go.set()
        for one in done:
            one.result()
    assert order == ["old", "new", "new", "new"]


def test_what_is_open_is_finished_before_a_remote_host_is_waited_for() -> None:
    """A transaction stayed open for as long as a CRM took to answer, with all its locks."""
    told: list[str] = []
    with before_waiting(lambda: told.append("finished")):
        with Slots(1).taken(), given_back():
            told.append("waiting")
        with given_back():
            told.append("again")
    with given_back():
        told.append("nothing is open")
    assert told == ["finished", "waiting", "finished", "again", "nothing is open"]
