"""What a piece of work costs in processor time and memory."""

from __future__ import annotations

import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

_PEAK = Path("/proc/self/clear_refs")


@dataclass
class Cost:
    """`seconds` of the processor; `mb`: how much more memory than before was in use at the peak
    (0 where the system does not tell)."""

    seconds: float = 0.0
    mb: float = 0.0


@contextmanager
def measured() -> Generator[Cost]:
    """The cost of what is done within; the emulators' own work in this process is in it."""
    found = Cost()
    if _PEAK.exists():
        _PEAK.write_text("5")  # Linux: the peak begins anew at what is in use now
    before, began = _peak_mb(), time.process_time()
    yield found
    found.seconds, found.mb = time.process_time() - began, _peak_mb() - before


def _peak_mb() -> float:
    if not _PEAK.exists():
        return 0.0
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(one.split()[1]) / 1024 for one in lines if one.startswith("VmHWM"))
