"""A process is gone when it has ended, and only then."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from crm_integration.intake.process_life import is_gone, this_process
from crm_integration_tests.sync.live import until

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="/proc is Linux's")

_SAYS = (
    "from crm_integration.intake.process_life import this_process; print(this_process()); input()"
)


def _told() -> tuple[subprocess.Popen[str], str]:
    """A process that has told its name, and waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", _SAYS], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    return process, process.stdout.readline().strip()


def test_a_killed_process_is_gone_also_while_nobody_has_waited_for_it() -> None:
    """Its parent did not look, and for two minutes everybody believed that it might still write."""
    process, name = _told()
    assert not is_gone(name)
    process.kill()
    assert until(lambda: is_gone(name))
    assert Path(f"/proc/{process.pid}").exists(), "it waits for its parent"
    process.communicate()
    assert is_gone(name)


def test_one_that_stands_still_lives() -> None:
    """It was taken for dead, woke up, and wrote what had been overtaken."""
    process, name = _told()
    process.send_signal(signal.SIGSTOP)
    try:
        assert not is_gone(name)
    finally:
        process.kill()
        process.communicate()


def test_nobody_is_gone_whom_we_could_not_see() -> None:
    """On another machine the same number is another process, or none."""
    here, pid, started = this_process().split(" ")
    assert not is_gone(this_process())
    assert int(pid) == os.getpid()
    assert not is_gone(f"another/{here.partition('/')[2]} 999999999 {started}")
    assert not is_gone("")
    assert not is_gone("nonsense")
    assert is_gone(f"{here} {pid} 1"), "this number was another process's before"
