"""An emulated API that meters strictly: a rolling window by its own clock, 429 beyond it.

Prevents a limiter from being measured by its own count: what the vendor sees is what counts.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any
from urllib.parse import parse_qs, urlsplit


class Meter:
    """Accepted calls (moment, tenant) and how many were refused."""

    def __init__(self, calls: int, seconds: float) -> None:
        self._calls, self._seconds = calls, seconds
        self._recent: deque[float] = deque()
        self._lock = threading.Lock()
        self.accepted: list[tuple[float, str]] = []
        self.refused = 0

    def take(self, tenant: str) -> bool:
        """Count a call, or refuse it: refused ones do not count."""
        with self._lock:
            now = time.monotonic()
            while self._recent and self._recent[0] <= now - self._seconds:
                self._recent.popleft()
            if len(self._recent) >= self._calls:
                self.refused += 1
                return False
            self._recent.append(now)
            self.accepted.append((now, tenant))
            return True


@contextmanager
def metered_api(calls: int, seconds: float) -> Iterator[str]:
    """The address of the API in a process of its own; `<address>/report` tells what it saw."""
    ours, its = get_context("spawn").Pipe()
    process = get_context("spawn").Process(target=_serve, args=(its, calls, seconds), daemon=True)
    process.start()
    try:
        if not ours.poll(60):
            raise TimeoutError("the emulated API did not start within a minute")
        yield str(ours.recv())
    finally:
        process.terminate()
        process.join(10)


def _serve(told: Connection, calls: int, seconds: float) -> None:
    meter = Meter(calls, seconds)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def do_GET(self) -> None:
            parts = urlsplit(self.path)
            if parts.path == "/report":
                report = {
                    "accepted": meter.accepted,
                    "refused": meter.refused,
                    "cpu_s": time.process_time(),
                }
                self._answer(200, report)
                return
            tenant = parse_qs(parts.query).get("tenant", [""])[0]
            self._answer(200 if meter.take(tenant) else 429, {})

        def _answer(self, status: int, body: dict[str, Any]) -> None:
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base's name
            """A line a call would be the slowest part of it."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    told.send(f"http://127.0.0.1:{server.server_address[1]}")
    server.serve_forever()
