"""Many deliveries, of all tenants, in one commit; each is answered when its own is through.

Prevents two things: a 2xx for bytes that are not committed (promise 1), and a commit for each
delivery, which on one disk bounds a sale at a few hundred a second. While one commit is on its
way the next deliveries gather; nobody waits for a timer.

What one delivery breaks (a connection that was just taken away) is found by keeping the batch one
by one, so that its neighbours are kept. A database that is away is asked again every second, and
until then refusals cost nothing.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from sqlalchemy.exc import DataError, IntegrityError, SQLAlchemyError

from crm_integration.intake.away import AWAY_SECONDS, Away
from crm_integration.intake.drop_table import Arrived
from crm_integration.intake.rate_limit import Name, Room

BATCH = 500
BATCH_BYTES = 16 * 1024 * 1024
MOST_WAITING = 8_000
COMMIT_SECONDS = 10.0
"""A store gives up after 5 (Shopify) to 30 seconds; what was committed after that comes again."""

Keep = Callable[[Sequence[Arrived]], None]
"""Keeps deliveries in one transaction; returns after its commit."""

_log = logging.getLogger(__name__)


class NotKept(Exception):
    """The database refuses this delivery by itself."""


@dataclass(frozen=True)
class _Waiting:
    arrived: Arrived
    done: asyncio.Future[None]


class GroupCommit:
    """One writer for one event loop. `commit` returns when the delivery is committed."""

    def __init__(
        self,
        keep: Keep,
        *,
        batch: int = BATCH,
        most_waiting: int = MOST_WAITING,
        seconds: float = COMMIT_SECONDS,
        committed: Callable[[int, float], None] = lambda number, seconds: None,
    ) -> None:
        self._keep, self._batch, self._seconds = keep, batch, seconds
        self._committed = committed
        self._places = Room(most_waiting)
        self._queue: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._pool = ThreadPoolExecutor(1, thread_name_prefix="drop-table")
        self._away_until = 0.0
        self._ending = False
        self._writer: asyncio.Task[None] | None = None

    @property
    def waiting(self) -> int:
        """Deliveries that are not answered yet."""
        return self._places.taken

    @property
    def away(self) -> bool:
        """Whether the database was found away a moment ago, or nobody writes any more."""
        dead = self._writer is None or self._writer.done()
        return dead or asyncio.get_running_loop().time() < self._away_until

    def start(self) -> None:
        """Begin to write."""
        self._writer = asyncio.get_running_loop().create_task(self._write())
        self._writer.add_done_callback(_note_end)

    async def close(self) -> None:
        """Commit what waits, then end."""
        self._ending = True
        self._wake.set()
        if self._writer is not None:
            await self._writer
        self._pool.shutdown()

    async def commit(self, arrived: Arrived) -> None:
        """Raises NoRoom, Away or NotKept; a delivery may be kept all the same after Away."""
        if self.away or self._ending:
            raise Away
        name: Name = (arrived.keys.tenant, arrived.connection_id)
        with self._places.held(name) as take:
            take(1)
            done = asyncio.get_running_loop().create_future()
            self._queue.append(_Waiting(arrived, done))
            self._wake.set()
            try:
                async with asyncio.timeout(self._seconds):
                    await done  # given up, it is cancelled, and left out if its turn comes
            except TimeoutError:
                raise Away from None

    async def _write(self) -> None:
        while True:
            await self._wake.wait()
            batch = self._next()
            if batch:
                await self._settle(batch)
            elif self._ending:
                return
            else:
                self._wake.clear()

    def _next(self) -> list[_Waiting]:
        batch: list[_Waiting] = []
        size = 0
        while self._queue and len(batch) < self._batch:
            one = self._queue[0]
            size += len(one.arrived.body)
            if batch and size > BATCH_BYTES:
                break
            self._queue.popleft()
            if not one.done.done():
                batch.append(one)
        return batch

    async def _settle(self, batch: list[_Waiting]) -> None:
        try:
            await self._commit([one.arrived for one in batch])
        except (IntegrityError, DataError) as error:
            if len(batch) > 1:
                await self._settle_apart(batch)
            else:
                _log.error("a delivery could not be kept: %s", _kind(error))
                _fail(batch, NotKept())
        except SQLAlchemyError as error:
            self._note_away(error)
            _fail(batch, Away())
        else:
            for one in batch:
                if not one.done.done():
                    one.done.set_result(None)

    async def _settle_apart(self, batch: list[_Waiting]) -> None:
        for one in batch:
            if self.away:
                _fail([one], Away())
            else:
                await self._settle([one])

    async def _commit(self, arrived: list[Arrived]) -> None:
        loop = asyncio.get_running_loop()
        before = loop.time()
        await loop.run_in_executor(self._pool, self._keep, arrived)
        self._committed(len(arrived), loop.time() - before)

    def _note_away(self, error: SQLAlchemyError) -> None:
        if not self.away:
            _log.warning("the database does not take deliveries: %s", _kind(error))
        self._away_until = asyncio.get_running_loop().time() + AWAY_SECONDS


def _note_end(writer: asyncio.Task[None]) -> None:
    error = None if writer.cancelled() else writer.exception()
    if error is not None:
        _log.critical("deliveries are not kept any more, start anew: %s", type(error).__name__)


def _fail(batch: list[_Waiting], error: Exception) -> None:
    for one in batch:
        if not one.done.done():
            one.done.set_exception(error)


def _kind(error: SQLAlchemyError) -> str:
    """Its class alone: its message may carry a statement's parameters."""
    cause = error.__cause__
    return type(error).__name__ if cause is None else type(cause).__name__
