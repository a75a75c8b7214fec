"""The places of the way at which a process may die, and who watches them.

Prevents the untested moment: what is safe "between the commit and the answer" is only known to be
so if a process was killed right there. Nobody watches in production, and then a step costs one
comparison. The names of all steps stand in `sync/steps.py`.
"""

from __future__ import annotations

from collections.abc import Callable

RAW_COMMITTED = "raw_committed"
QUEUE_ACKNOWLEDGED = "queue_acknowledged"
PAGE_KEPT = "page_kept"
NAMED_READ = "named_read"

Observer = Callable[[str], None]

_observer: Observer | None = None


def watch(observer: Observer | None) -> None:
    """Let this process tell an observer of every step; None: nobody any more."""
    global _observer
    _observer = observer


def reached(step: str) -> None:
    """The process has come to this step."""
    if _observer is not None:
        _observer(step)
