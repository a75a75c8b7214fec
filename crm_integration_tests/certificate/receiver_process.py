"""The receiver as an operator runs it, in a process of its own that may be killed at any moment.

Prevents a receiver that only ends well: what its process knew is gone with it, and the next one
starts from the database alone, on the same address.
"""

from __future__ import annotations

import base64
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from typing import IO

import httpx

from crm_integration_tests.certificate.stand import CHECKOUT, MASTER_BYTES, Stand

_BEGINS_WITHIN = 60.0


def free_port() -> int:
    """A port that nobody listens on; each successor takes the same one."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@dataclass
class ReceiverProcess:
    """One address, and the process that listens there now; a context manager that ends it."""

    stand: Stand
    broken: str = ""
    port: int = field(default_factory=free_port)
    _process: subprocess.Popen[bytes] | None = None
    _words: IO[bytes] = field(default_factory=tempfile.TemporaryFile, repr=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def begin(self) -> None:
        """Start it, and wait until it takes deliveries. Raises TimeoutError."""
        until = time.monotonic() + _BEGINS_WITHIN
        self.keep_up()
        while not self.ready():
            if time.monotonic() > until:
                raise TimeoutError(f"the receiver did not start: {self._said()}")
            time.sleep(0.05)
            self.keep_up()

    def keep_up(self) -> None:
        """Start another one where none is alive: a receiver ends by itself while it starts and
        finds no database."""
        if self.alive:
            return
        self._bury()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "crm_integration_tests.certificate.receiver_main",
             self.broken, "receiver", "--port", str(self.port)],
            env=self._environment(), cwd=CHECKOUT, stdin=subprocess.PIPE,
            stdout=self._words, stderr=self._words,
        )  # fmt: skip

    def ready(self) -> bool:
        """Whether it takes deliveries right now."""
        try:
            answer = httpx.get(f"{self.url}/readyz", timeout=2.0, trust_env=False)
        except httpx.TransportError:
            return False
        return answer.status_code == 200

    def kill(self) -> None:
        """As a machine that fails: nothing is finished."""
        if self._process is not None and self.alive:
            self._process.send_signal(signal.SIGKILL)
            self._bury()

    def __enter__(self) -> ReceiverProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._bury()
        self._words.close()

    def _bury(self) -> None:
        """Leave neither a process nor a pipe behind."""
        if self._process is not None:
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
            self._process = None

    def _environment(self) -> dict[str, str]:
        """Nothing of this process but the way to Python: one URL, one role, the master key."""
        return {
            "PATH": os.environ["PATH"],
            "LANG": "C.UTF-8",
            "HOME": str(self.stand.mappings),
            "CRM_INTEGRATION_INTAKE_URL": self.stand.urls.intake,
            "CRM_INTEGRATION_MASTER_KEY": base64.b64encode(MASTER_BYTES).decode(),
        }

    def _said(self) -> str:
        self._words.seek(0)
        return self._words.read()[-2_000:].decode(errors="replace")
