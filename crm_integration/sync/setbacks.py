"""Who failed lately, how often in a row, and until when nobody tries again.

Prevents the dead CRM that takes a worker's minute for every event of its shop, and the pass that
breaks a thousand times an hour: each failure in a row doubles the time that a tenant is left alone,
and the first success forgets them all.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

FIRST = 0.5
"""Half the seconds after the first failure."""


@dataclass
class Setbacks:
    """By tenant; `longest` in seconds. May be asked by several threads."""

    longest: float
    clock: Callable[[], float] = time.monotonic
    _known: dict[str, tuple[int, float]] = field(default_factory=dict[str, tuple[int, float]])
    """How often in a row, and until when it is left alone."""

    def note(self, tenant: str, *, at_least: float = 0.0) -> float:
        """It failed once more; returns the seconds that it is left alone."""
        times = self._known.get(tenant, (0, 0.0))[0] + 1
        # From a certain power on a number is too large to be doubled.
        pause = max(at_least, min(self.longest, FIRST * 2.0 ** min(times, 30)))
        self._known[tenant] = times, self.clock() + pause
        return pause

    def over(self, tenant: str) -> None:
        """It succeeded."""
        self._known.pop(tenant, None)

    def seconds(self, tenant: str) -> float:
        """How long it is still left alone; 0 when it may be tried."""
        return max(0.0, self._known.get(tenant, (0, 0.0))[1] - self.clock())

    def doubts(self, tenant: str) -> bool:
        """Whether it failed when it was tried last."""
        return tenant in self._known
