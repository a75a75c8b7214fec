"""When a failed write is tried again.

Prevents both the hammering of a CRM that is down and the third try that gives up for good: the
ledger remembers, and every later run takes up what is due.
"""

from __future__ import annotations

import random

VERSION = 2
"""Stands on every attempt, so that a change of policy can be told from a change of behaviour."""

FIRST_SECONDS = 5.0
LONGEST_SECONDS = 3_600.0
MAX_TRIES = 80
"""5 s doubled to at most an hour: 80 tries reach over some two to three days of outage, so that a
CRM that was down for a weekend asks nobody to redrive what it missed."""


def delay(tries: int, retry_after: float | None) -> float | None:
    """Seconds until try number `tries` + 1, with jitter; None when the row is to be given up.

    A CRM's own Retry-After is never undercut.
    """
    if tries >= MAX_TRIES:
        return None
    backoff = min(LONGEST_SECONDS, FIRST_SECONDS * 2 ** max(0, tries - 1))
    jittered = backoff * random.uniform(0.5, 1.0)  # noqa: S311 - spreads load, guards nothing
    return max(jittered, retry_after or 0.0)
