"""Bulk operations: a query over everything, run in the background, answered as a file of lines.

Prevents the failure of a backfill that believes what it got: an operation can fail half way, and
its file can hold fewer lines than it says objects; both can be switched on here.
"""

from __future__ import annotations

import os
import secrets
import tempfile
import threading
import weakref
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import IO, Any, Literal

import orjson

from crm_integration.sandbox.shopify.bulk_lines import BulkLines

Json = dict[str, Any]
ErrorCode = Literal["ACCESS_DENIED", "INTERNAL_SERVER_ERROR", "TIMEOUT"]
_FIRST_ID = 720_918
_RUNNING = {"CREATED", "RUNNING"}
_CHUNK = 1 << 20
_KEPT_FILES = 8


@dataclass(slots=True)
class BulkHabits:
    """How operations behave: the number of looks until done, how many at once, what goes wrong.

    `polls` counts reads of the operation; the last of them may see COMPLETED. `drop_lines` leaves
    that many lines out of the file; `fail_with` ends operations with that error after half of
    their objects. Shopify runs one at a time before version 2026-01 and five since.
    """

    polls: int = 2
    at_once: int = 1
    drop_lines: int = 0
    fail_with: ErrorCode | None = None


@dataclass(slots=True, weakref_slot=True)
class BulkRun:
    """One operation; times are epoch seconds. Its file goes with it."""

    id: int
    query: str
    created: int
    grouped: bool
    polls_left: int
    status: str = "CREATED"
    completed: int | None = None
    error_code: str | None = None
    objects: int = 0
    roots: int = 0
    file_size: int | None = None
    url: str | None = None
    partial_url: str | None = None
    worker: threading.Thread | None = None
    failed: str | None = None
    _file: IO[bytes] | None = field(default=None, repr=False)

    def keep(self, lines: Iterable[bytes]) -> None:
        """Write the file, and nothing of it stays in memory."""
        self._file = tempfile.TemporaryFile()  # noqa: SIM115 (read for as long as the shop lives)
        self._file.writelines(lines)
        self._file.flush()
        weakref.finalize(self, self._file.close)
        self.file_size = self._file.tell()

    def close(self) -> None:
        if self._file is not None:
            self._file.close()

    def chunks(self) -> Iterator[bytes]:
        """The file in pieces; several readers at once do not disturb each other."""
        if self._file is None:
            return
        at, handle = 0, self._file.fileno()
        while piece := os.pread(handle, _CHUNK, at):
            at += len(piece)
            yield piece


class BulkOperations:
    """The bulk operations of one shop."""

    def __init__(self, now: Callable[[], int], habits: BulkHabits | None = None) -> None:
        self._now, self.habits = now, habits or BulkHabits()
        self.runs: dict[int, BulkRun] = {}
        self._files: dict[str, BulkRun] = {}

    def start(self, query: str, lines: BulkLines, base_url: str, *, grouped: bool) -> BulkRun:
        """Begin at once; the lines are those of the shop as the worker comes to them."""
        run = BulkRun(
            id=_FIRST_ID + len(self.runs) * 7,
            query=query,
            created=self._now(),
            grouped=grouped,
            polls_left=self.habits.polls,
        )
        self._forget_files()
        self.runs[run.id] = run
        run.worker = threading.Thread(
            target=self._work, args=(run, lines, base_url), name="sandbox-bulk", daemon=True
        )
        run.worker.start()
        return run

    def _forget_files(self) -> None:
        """Files expire, here by number and not by age: a shop is asked for many in its life."""
        for secret in list(self._files)[:-_KEPT_FILES]:
            self._files.pop(secret).close()

    def busy(self) -> BulkRun | None:
        """The operation a new one has to wait for; one that nobody reads any more goes on, too."""
        for run in self.runs.values():
            self.look(run)
        active = [run for run in self.runs.values() if run.status in _RUNNING]
        return active[-1] if len(active) >= self.habits.at_once else None

    def latest(self) -> BulkRun | None:
        return self.runs[max(self.runs)] if self.runs else None

    def look(self, run: BulkRun | None) -> BulkRun | None:
        """A read of an operation, by which its state moves on."""
        if run is None or run.status not in _RUNNING:
            return run
        run.polls_left -= 1
        run.status = "RUNNING"
        if run.polls_left <= 0 and run.worker is not None:
            run.worker.join(0.2)
            if not run.worker.is_alive():
                self._finish(run)
        return run

    def cancel(self, run: BulkRun) -> None:
        """Stop counting on it; a file that is there already is not served."""
        run.status, run.completed = "CANCELED", self._now()

    def file(self, secret: str) -> BulkRun | None:
        return self._files.get(secret)

    def _work(self, run: BulkRun, lines: BulkLines, base_url: str) -> None:
        run.failed = "INTERNAL_SERVER_ERROR"  # for as long as the work is not done
        failure = "ACCESS_DENIED" if lines.denied else self.habits.fail_with
        run.keep(_without_last(self._counted(run, lines, failure), self.habits.drop_lines))
        run.failed = failure
        if failure != "ACCESS_DENIED" and run.file_size:
            secret = secrets.token_urlsafe(24)
            self._files[secret] = run
            place = f"{base_url}/bulk/{secret}.jsonl"
            run.url, run.partial_url = (None, place) if failure else (place, None)

    def _counted(self, run: BulkRun, lines: BulkLines, failure: str | None) -> Iterator[bytes]:
        if failure == "ACCESS_DENIED":
            return
        whole = lines.roots_held() // 2 if failure else None
        for is_root, line in lines.lines(grouped=run.grouped):
            if whole is not None and run.roots >= whole:
                return
            run.objects += 1
            run.roots += is_root
            yield orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE)

    def _finish(self, run: BulkRun) -> None:
        run.status = "FAILED" if run.failed else "COMPLETED"
        run.error_code, run.completed = run.failed, self._now()


def _without_last(lines: Iterator[bytes], count: int) -> Iterator[bytes]:
    held: deque[bytes] = deque()
    for line in lines:
        held.append(line)
        if len(held) > count:
            yield held.popleft()
