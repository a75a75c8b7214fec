"""The receiver as an application: what it is built of, and what it says about itself.

Prevents a receiver that looks alive and takes nothing: `/readyz` asks the database the one
question this role may ask, and says no while nothing can be kept. `/metrics` and `/readyz` are
for this side of the proxy: a request that came through one does not see them.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from sqlalchemy import Engine
from sqlalchemy.exc import SQLAlchemyError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from crm_integration.intake.delivery_body import BODY_SECONDS
from crm_integration.intake.drop_identity import RecentlyKept
from crm_integration.intake.drop_table import Arrived, put_all
from crm_integration.intake.group_commit import BATCH, MOST_WAITING, GroupCommit
from crm_integration.intake.path_lookup import Addressee, PathLookup, ask
from crm_integration.intake.rate_limit import RateLimit, Room
from crm_integration.intake.receiver import BODY_ROOM, PER_SECOND, UNSIGNED_PER_SECOND, Receiver
from crm_integration.intake.receiver_metrics import ReceiverMetrics
from crm_integration.intake.webhook_paths import PREFIX
from crm_integration.storage.sealing import MasterKey

LOOKUPS_AT_ONCE = 2
READY_SECONDS = 1.0
"""How long an answer of the database stands: many may ask, it is asked once."""

_THROUGH_A_PROXY = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


@dataclass(frozen=True)
class Limits:
    """What may be changed by setting or in a test."""

    per_second: float = PER_SECOND
    body_room: int = BODY_ROOM
    most_waiting: int = MOST_WAITING
    batch: int = BATCH
    body_seconds: float = BODY_SECONDS


@dataclass
class _Readiness:
    ask: Callable[[], Addressee | None]
    pool: ThreadPoolExecutor
    good_until: float = field(default=0.0)

    async def database(self) -> bool:
        """Whether it answered a moment ago, or does now."""
        if time.monotonic() < self.good_until:
            return True
        try:
            await asyncio.get_running_loop().run_in_executor(self.pool, self.ask)
        except SQLAlchemyError:
            return False
        self.good_until = time.monotonic() + READY_SECONDS
        return True


def receiver_app(intake: Engine, master: MasterKey, limits: Limits | None = None) -> Starlette:
    """The application on role `crm_intake`'s engine. Its lifespan starts and ends the writer."""
    held = limits or Limits()

    # One statement is its own transaction: it answers after its commit, and BEGIN and COMMIT
    # would be two more round trips.
    by_statement = intake.execution_options(isolation_level="AUTOCOMMIT")

    def keep(arrived: Sequence[Arrived]) -> None:
        with by_statement.connect() as connection:
            put_all(connection, arrived)

    def ask_database(digest: bytes) -> Addressee | None:
        return ask(intake, master, digest)

    pool = ThreadPoolExecutor(LOOKUPS_AT_ONCE, thread_name_prefix="paths")
    metrics = ReceiverMetrics(lambda: commit.waiting)
    commit = GroupCommit(
        keep, batch=held.batch, most_waiting=held.most_waiting, committed=metrics.committed
    )
    receiver = Receiver(
        PathLookup(master, ask_database, pool),
        commit,
        RateLimit(held.per_second, time.monotonic),
        RateLimit(UNSIGNED_PER_SECOND, time.monotonic),
        Room(held.body_room),
        RecentlyKept(),
        metrics,
        held.body_seconds,
    )
    ready = _Readiness(lambda: ask_database(b""), pool)

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncGenerator[None]:
        commit.start()
        yield
        await commit.close()
        pool.shutdown()

    return _routed(receiver, commit, metrics, ready, lifespan)


def _routed(
    receiver: Receiver,
    commit: GroupCommit,
    metrics: ReceiverMetrics,
    ready: _Readiness,
    lifespan: Callable[[Starlette], object],
) -> Starlette:
    async def healthz(_: Request) -> Response:
        return PlainTextResponse("alive")

    async def readyz(request: Request) -> Response:
        if _from_outside(request):
            return PlainTextResponse("not here", 404)
        if commit.away or not await ready.database():
            return PlainTextResponse("the database takes no deliveries", 503)
        return PlainTextResponse("ready")

    async def show_metrics(request: Request) -> Response:
        if _from_outside(request):
            return PlainTextResponse("not here", 404)
        return Response(metrics.text(), media_type="text/plain; version=0.0.4")

    app = Starlette(
        routes=[
            Route(PREFIX + "{token}", receiver),
            Route("/healthz", healthz),
            Route("/readyz", readyz),
            Route("/metrics", show_metrics),
        ],
        lifespan=lifespan,  # type: ignore[arg-type]
    )
    app.router.redirect_slashes = False
    return app


def _from_outside(request: Request) -> bool:
    return any(name in request.headers for name in _THROUGH_A_PROXY)
