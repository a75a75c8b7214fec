"""Watches that live from pass to pass: what a live run has learned of each topic.

Prevents the delivery of one order from reading and writing all that is known of its payloads: what
is new is written at once, mere counts once a minute.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from crm_integration.quality.drift import Watch

LONGEST = 60.0
"""Seconds until what is known is read anew: somebody may have accepted something meanwhile."""

MOST = 2_000
"""Topics that are remembered; the one that was begun first makes room."""

Topic = tuple[str, ...]
"""Tenant, connection, object type, and the version of the rules."""


@dataclass
class Watches:
    """The watches of a process. A tenant is in one pass at a time."""

    seconds: float = LONGEST
    _begun: dict[Topic, tuple[float, Watch]] = field(
        default_factory=lambda: dict[Topic, tuple[float, Watch]](), repr=False
    )

    def of(self, topic: Topic, begin: Callable[[], Watch]) -> Watch:
        """The watch of this topic, begun if there is none."""
        if topic not in self._begun:
            while len(self._begun) >= MOST:
                self._begun.pop(next(iter(self._begun)), None)
            self._begun[topic] = time.monotonic(), begin()
        return self._begun[topic][1]

    def is_over(self, topic: Topic) -> bool:
        """Whether its counts are to be written, and the next pass begins anew."""
        begun = self._begun.get(topic)
        if begun is not None:
            at, watch = begun
            # What is seen first is learned without a word: never for longer than a pass.
            if time.monotonic() - at < self.seconds and not watch.at_first_sight:
                return False
        self._begun.pop(topic, None)
        return True

    def forget(self, tenant: str) -> None:
        """A pass broke: what it saw was rolled back."""
        for topic in [one for one in self._begun if one[0] == tenant]:
            self._begun.pop(topic, None)
