"""Whether a file or a folder is still what it was when it was read.

Prevents both the live run that lists thirty folders and parses a tenant's file for every event,
and the one that never sees what somebody released or edited since it began.
"""

from __future__ import annotations

import time
from pathlib import Path

State = tuple[int, int, int]

SETTLED = 2_000_000_000
"""Nanoseconds after a change in which a second one may leave the same time behind: file systems
count in steps, some of a second. Younger states are not to be remembered by."""


def state_of(path: Path) -> State | None:
    """What tells this content from any other of this path; None for one that is not there, or
    that has changed too lately to be told from the next change."""
    try:
        found = path.stat()
    except OSError:
        return None
    if time.time_ns() - found.st_mtime_ns < SETTLED:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
