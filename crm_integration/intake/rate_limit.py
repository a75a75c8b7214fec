"""How much one connection may take of what all share: requests a second, and memory at a time.

Prevents one shop's flood (a sale, a loop in a plugin) from keeping every other shop waiting. Only
deliveries that were signed are counted against a shop's rate: who merely knows its path cannot
use it up.
"""

from __future__ import annotations

from collections import OrderedDict, defaultdict
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass

Name = tuple[str, str]
"""(tenant, connection)."""

MOST_BUCKETS = 20_000
BURST_SECONDS = 10
"""A quiet connection may send so many seconds' worth at once."""

SHARE = 4
"""One connection may hold a quarter of what there is."""


@dataclass
class _Bucket:
    tokens: float
    at: float


class RateLimit:
    """A token bucket for each connection; `clock` must not jump (monotonic)."""

    def __init__(self, per_second: float, clock: Callable[[], float]) -> None:
        self._rate, self._burst = per_second, per_second * BURST_SECONDS
        self._clock = clock
        self._buckets: OrderedDict[Name, _Bucket] = OrderedDict()

    def seconds_to_wait(self, name: Name) -> float:
        """0 when another delivery may be taken now."""
        return max(0.0, (1 - self._filled(name).tokens) / self._rate)

    def spare(self, name: Name) -> float:
        """What is left of its burst, from 1 down."""
        return self._filled(name).tokens / self._burst

    def take(self, name: Name) -> None:
        """Count a delivery; a few that were let in at one moment may overdraw it."""
        self._filled(name).tokens -= 1

    def _filled(self, name: Name) -> _Bucket:
        now = self._clock()
        bucket = self._buckets.get(name)
        if bucket is None:
            bucket = self._buckets[name] = _Bucket(self._burst, now)
            if len(self._buckets) > MOST_BUCKETS:
                self._buckets.popitem(last=False)
        self._buckets.move_to_end(name)
        bucket.tokens = min(self._burst, bucket.tokens + (now - bucket.at) * self._rate)
        bucket.at = now
        return bucket


class NoRoom(Exception):
    """What is waiting has reached its limit; try again in a moment."""


class Room:
    """Units (bytes, places) that all connections share, at most a quarter for each."""

    def __init__(self, total: int) -> None:
        self._total = total
        self._of: defaultdict[Name, int] = defaultdict(int)
        self.taken = 0

    def take(self, name: Name, units: int) -> None:
        """Raises NoRoom, and then takes nothing."""
        too_much = self.taken + units > self._total
        if too_much or self._of[name] + units > self._total // SHARE:
            if not self._of[name]:
                del self._of[name]
            raise NoRoom
        self._of[name] += units
        self.taken += units

    def give_back(self, name: Name, units: int) -> None:
        """What was taken earlier."""
        self._of[name] -= units
        if not self._of[name]:
            del self._of[name]
        self.taken -= units

    @contextmanager
    def held(self, name: Name) -> Generator[Callable[[int], None]]:
        """Take more and more (raises NoRoom); all of it is given back at the end."""
        mine = 0

        def more(units: int) -> None:
            nonlocal mine
            self.take(name, units)
            mine += units

        try:
            yield more
        finally:
            if mine:
                self.give_back(name, mine)
