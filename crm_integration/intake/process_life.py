"""Whether a process that once gave its name is gone for certain.

Prevents two mistakes about whoever held something: to wait for minutes for one that was killed, and
to take for dead one that only lost its connection, stands still or runs on another machine. A name
tells of the machine's start, of its namespace of process ids and of the process's own start, so no
other process ever has it; whoever cannot see all three believes that it lives.
"""

from __future__ import annotations

import os
from functools import lru_cache
from pathlib import Path

_PROC = Path("/proc")
_STATE, _STARTED = 0, 19
"""Fields of /proc/<pid>/stat behind the command's name (proc(5): 3 and 22)."""
_DEAD = ("Z", "X", "x")
"""Ended, and not yet waited for by its parent."""


def this_process() -> str:
    """Its name; empty where the system does not tell (elsewhere than on Linux)."""
    return _name_of(os.getpid())


@lru_cache(maxsize=8)
def _name_of(pid: int) -> str:
    there, stat = _machine(), _stat(pid)
    return f"{there} {pid} {stat[_STARTED]}" if there and stat else ""


def is_gone(name: str) -> bool:
    """Whether that process has ended; False also where nobody here could know."""
    machine, _, process = name.partition(" ")
    pid, _, started = process.partition(" ")
    if not machine or machine != _machine() or not pid.isdigit():
        return False
    stat = _stat(int(pid))
    return not stat or stat[_STARTED] != started or stat[_STATE] in _DEAD


def _machine() -> str:
    """This start of this machine, as seen from this namespace of process ids."""
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot}/{(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return ""


def _stat(pid: int) -> list[str]:
    try:
        return (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return []
