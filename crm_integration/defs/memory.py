"""Keeps a run's memory that of one slice.

Prevents the backfill whose process grows with every thread and slice: glibc gives each thread a
heap of its own and hands freed memory back late or never. Measured on two years of an order book:
634 MB at the peak without, see docs/adr/0007.
"""

import ctypes
import gc
import sys
from functools import cache
from typing import Any

_M_ARENA_MAX = -8
"""From glibc's malloc.h."""
_HEAPS = 2


@cache
def _glibc() -> Any:
    """The C library where it is glibc; None elsewhere (macOS, musl), where nothing is done."""
    library = ctypes.CDLL(None)
    return library if hasattr(library, "malloc_trim") else None


def bound_heaps() -> None:
    """At the start of a run, before its threads: they share two heaps."""
    if _glibc() is not None:
        _glibc().mallopt(_M_ARENA_MAX, _HEAPS)


def give_back() -> None:
    """After each slice: what it freed goes back to the system (some tenths of a second).

    Suites leave their frames in reference cycles, and frames lie in pyarrow's own pool.
    """
    gc.collect()
    pyarrow: Any = sys.modules.get("pyarrow")
    if pyarrow is not None:
        pyarrow.default_memory_pool().release_unused()
    if _glibc() is not None:
        _glibc().malloc_trim(0)
