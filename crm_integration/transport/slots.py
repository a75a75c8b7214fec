"""Who computes: many wait for remote hosts at once, few compute at once, and some behind others.

Prevents both the live run that waits for eight slow CRMs and does nothing else (a CRM takes a
third of a second, our own work thirty milliseconds), and the one whose thirty threads take the
interpreter from each other until every event takes as long as all of them: a slot is given back for
as long as a call is under way. Who began first goes on first, or a busy run would begin again and
again and finish nothing: some of its passes would wait for a minute, with what they have claimed.
And the flood that everybody notices: who works behind the others
stops between two transactions for as long as one of them computes.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Lock, local

LONGEST = 0.25
"""Seconds that who works behind the others lets them go first each time; then it goes on."""

_mine = local()


class Slots:
    """So many threads compute at once."""

    def __init__(self, places: int) -> None:
        self.calm = Condition()
        self.ahead = 0
        """Threads that compute, or want to, and work behind nobody."""
        self._free = places
        self._guard = Lock()
        self._line: list[tuple[float, int, Lock]] = []
        self._numbers = count()

    def acquire(self, since: float) -> None:
        """Wait for a slot, behind those who began earlier."""
        turn = Lock()
        turn.acquire()
        with self._guard:
            if self._free:
                self._free -= 1
                return
            heappush(self._line, (since, next(self._numbers), turn))
        turn.acquire()

    def release(self) -> None:
        """Hand the slot to whoever began first of those who wait."""
        with self._guard:
            if self._line:
                heappop(self._line)[-1].release()
            else:
                self._free += 1

    @contextmanager
    def taken(self, *, behind: bool = False) -> Generator[None]:
        """A slot for this thread, as soon as one is free. Not within another one."""
        slot = _Slot(self, behind)
        slot.enter()
        _mine.slot = slot
        try:
            yield
        finally:
            _mine.slot = None
            slot.leave()


class _Slot:
    """That of one thread."""

    def __init__(self, slots: Slots, behind: bool) -> None:
        self._slots = slots
        self._since = time.monotonic()
        self.behind = behind

    def enter(self) -> None:
        if not self.behind:
            with self._slots.calm:
                self._slots.ahead += 1
        self._slots.acquire(self._since)

    def leave(self) -> None:
        self._slots.release()
        if not self.behind:
            with self._slots.calm:
                self._slots.ahead -= 1
                if not self._slots.ahead:
                    self._slots.calm.notify_all()

    def give_way(self) -> None:
        """Let those go first who work behind nobody."""
        if not self.behind or not self._slots.ahead:
            return
        self.leave()
        with self._slots.calm:
            self._slots.calm.wait_for(lambda: not self._slots.ahead, LONGEST)
        self.enter()


def let_others() -> None:
    """To be called where this thread holds nothing that others wait for."""
    slot: _Slot | None = getattr(_mine, "slot", None)
    if slot is not None:
        slot.give_way()


@contextmanager
def before_waiting(finish: Callable[[], None]) -> Generator[None]:
    """Whatever this thread is about to wait for, it does `finish` first: who waits for a remote
    host keeps nothing that others wait for."""
    _mine.finish = finish
    try:
        yield
    finally:
        _mine.finish = None


@contextmanager
def given_back() -> Generator[None]:
    """While this thread waits for somebody else, others take its slot, where it has one.

    May be used within itself: who calls, and who pauses between calls, both say so.
    """
    finish: Callable[[], None] | None = getattr(_mine, "finish", None)
    if finish is not None:
        finish()
    slot: _Slot | None = getattr(_mine, "slot", None)
    if slot is None:
        yield
        return
    _mine.slot = None
    slot.leave()
    try:
        yield
    finally:
        slot.enter()
        _mine.slot = slot
