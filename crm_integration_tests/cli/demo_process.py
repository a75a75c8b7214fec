"""Runs the demo as a person does: a process of its own, a home of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from crm_integration_tests.conftest import short_home

ROOT = Path(__file__).resolve().parents[2]
_COMMAND = "from crm_integration.cli import app; app()"


@dataclass(frozen=True)
class Answered:
    """What a command said and how it ended."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, Any]:
        """The one JSON document on stdout; anything beside it fails."""
        return json.loads(self.out)


@contextmanager
def own_home() -> Iterator[Path]:
    """A home whose server, if a test leaves one up, is stopped at the end."""
    home = short_home()
    home.chmod(0o755)  # the unprivileged server passes through
    try:
        yield home / "home"
    finally:
        shutil.rmtree(home, ignore_errors=True)


def environment(home: Path, **more: str) -> dict[str, str]:
    """Nothing of this process but the way to Python and to the home."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home),
        "LANG": "C.UTF-8",
        "CRM_INTEGRATION_HOME": str(home),
        **more,
    }


def command(home: Path, *arguments: str, timeout: float = 240, **more: str) -> Answered:
    """Run `crm-integration ARGUMENTS` to its end."""
    done = subprocess.run(
        [sys.executable, "-c", _COMMAND, *arguments],
        capture_output=True,
        text=True,
        timeout=timeout,
        env=environment(home, **more),
        cwd=ROOT,
        check=False,
    )
    return Answered(done.returncode, done.stdout, done.stderr)
