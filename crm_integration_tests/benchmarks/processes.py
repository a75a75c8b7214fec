"""The processes of a bench, and the CPU that each has taken.

Prevents a bench that leaves something running: every process ends with our end of its stdin. And
a figure without its price: on one machine a client that costs much looks like a slow server.
"""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from crm_integration.storage.embedded import EmbeddedServer

CHECKOUT = Path(__file__).parents[2]
_UTIME, _STIME, _CUTIME, _CSTIME, _PARENT = 11, 12, 13, 14, 1
"""Fields of /proc/<pid>/stat behind the command's name."""


@dataclass
class Running:
    """A process of the bench; `line` is the first one it wrote."""

    process: subprocess.Popen[bytes]
    line: bytes

    def tell(self, line: bytes) -> None:
        """One more line on its stdin."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + b"\n")
        self.process.stdin.flush()

    def told(self) -> bytes:
        """The next line it writes."""
        assert self.process.stdout is not None
        return self.process.stdout.readline()

    @property
    def cpu_s(self) -> float:
        """Seconds of CPU so far."""
        return sum(_ticks(self.process.pid, _UTIME, _STIME)) / os.sysconf("SC_CLK_TCK")


@contextmanager
def running(module: str, first: bytes) -> Generator[Running]:
    """A module of the benches that was told `first` and has written its first line."""
    command = [sys.executable, "-m", f"crm_integration_tests.benchmarks.{module}"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=CHECKOUT)
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(first + b"\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise RuntimeError(f"{module} did not start: look at what it wrote to stderr")
        yield Running(process, line)
    finally:
        process.stdin.close()
        try:
            process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def machine() -> str:
    """What a figure was measured on."""
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"


def cpu_of_database(server: EmbeddedServer) -> float:
    """Seconds of the server with all its backends, also those that have ended."""
    pid_file = server.socket_dir / ".s.PGSQL.5432.lock"
    try:
        postmaster = int(pid_file.read_text("utf-8").split("\n", 1)[0])
    except (OSError, ValueError):
        return 0.0
    own = sum(_ticks(postmaster, _UTIME, _STIME, _CUTIME, _CSTIME))
    backends = [
        sum(_ticks(int(one.name), _UTIME, _STIME))
        for one in Path("/proc").glob("[0-9]*")
        if _ticks(int(one.name), _PARENT) == [postmaster]
    ]
    return (own + sum(backends)) / os.sysconf("SC_CLK_TCK")


def _ticks(pid: int, *fields: int) -> list[int]:
    """Numbers of a process; none where it is gone or the system does not tell."""
    try:
        told = Path(f"/proc/{pid}/stat").read_text("utf-8").rpartition(")")[2].split()
    except OSError:
        return []
    return [int(told[one]) for one in fields]


def parent_of(pid: int) -> int:
    """The id of a process's parent, 0 where it is gone."""
    return next(iter(_ticks(pid, _PARENT)), 0)


def cpu_of_family(pid: int) -> float:
    """Seconds of a process and its descendants that live, with those of children that ended."""
    parents = {
        int(one.name): parent_of(int(one.name)) for one in Path("/proc").glob("[0-9]*")
    }
    family = {pid}
    while grown := {one for one, parent in parents.items() if parent in family} - family:
        family |= grown
    spent = (_ticks(one, _UTIME, _STIME, _CUTIME, _CSTIME) for one in family)
    return sum(map(sum, spent)) / os.sysconf("SC_CLK_TCK")
