"""Whose turn it is in a live run: who is taken again and again gives way to the others.

Prevents the flood that everybody pays for. A pass over one event costs nearly as much as one over
twenty: taken for each of its events, a tenant that sends twenty times as much as the others takes
as much of the process as all of them. Above its rate it is taken once in a while, for all that has
come by then; nobody else being there, as often as it likes.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from crm_integration.intake.rate_limit import RateLimit

PASSES_PER_SECOND = 1.0
"""Of one tenant, over time, while others are taken as well; ten seconds' worth at once."""

BUSY = 0.5
"""With less than this of its ten passes left a tenant is taken behind the others
(`transport/slots.py`)."""

ALONE_AFTER = 5.0
"""Seconds in which nobody else was taken."""


@dataclass
class Turns:
    """Counts passes by tenant. Not for two threads at once; `clock` must not jump."""

    clock: Callable[[], float] = time.monotonic
    _rate: RateLimit = field(init=False, repr=False)
    _last: str = field(default="", init=False)
    _at: float = field(default=-math.inf, init=False)
    """When the last one was taken."""
    _others_at: float = field(default=-math.inf, init=False)
    """When another one than the last was."""

    def __post_init__(self) -> None:
        self._rate = RateLimit(PASSES_PER_SECOND, self.clock)

    def may(self, tenant: str) -> bool:
        """Whether it may be taken now; who may not is found by the next look at the queue."""
        others = self._others_at if tenant == self._last else self._at
        return self.clock() - others > ALONE_AFTER or self._within(tenant)

    def take(self, tenant: str) -> None:
        """Count its pass. What it has beyond its rate while it is alone is not counted."""
        if self._within(tenant):
            self._rate.take((tenant, ""))
        if tenant != self._last:
            self._last, self._others_at = tenant, self._at
        self._at = self.clock()

    def gives_way(self, tenant: str) -> bool:
        """Whether it has been taken so often lately that the others go first."""
        return self._rate.spare((tenant, "")) < BUSY

    def _within(self, tenant: str) -> bool:
        return self._rate.seconds_to_wait((tenant, "")) == 0
