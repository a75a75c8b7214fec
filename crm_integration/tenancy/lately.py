"""What was looked at a moment ago and rarely changes.

Prevents the question that each of a thousand events asks anew: whether somebody edited the order
of stores, published another mapping, left a record underived. A live run asks again every thirty
seconds, for each tenant, and after a pass that broke.
"""

from __future__ import annotations

import time
from collections.abc import Hashable
from dataclasses import dataclass, field

SECONDS = 30.0
"""So long what was found is believed."""

MOST = 20_000
"""Answers that are remembered; the oldest makes room."""


@dataclass
class Lately:
    """Answers of a process, each of one tenant. A tenant is in one pass at a time."""

    seconds: float = field(default_factory=lambda: SECONDS)
    _noted: dict[tuple[str, Hashable], float] = field(
        default_factory=lambda: dict[tuple[str, Hashable], float](), repr=False
    )

    def knows(self, tenant: str, *what: Hashable) -> bool:
        """Whether this was noted within the last seconds."""
        at = self._noted.get((tenant, what))
        return at is not None and time.monotonic() - at < self.seconds

    def note(self, tenant: str, *what: Hashable) -> None:
        """It was looked at just now, and there is nothing to be done."""
        self._noted.pop((tenant, what), None)
        while len(self._noted) >= MOST:
            self._noted.pop(next(iter(self._noted)), None)
        self._noted[tenant, what] = time.monotonic()

    def forget(self, tenant: str) -> None:
        """What was noted of this tenant may have been taken back."""
        for key in [one for one in list(self._noted) if one[0] == tenant]:
            self._noted.pop(key, None)
