"""Whose path a delivery came by, as the one process that faces the internet may know it.

Prevents a question to the database for each request, forged ones too: a token that we never made
is told by its check alone, one that we made is remembered for a moment, and a thousand requests
for a path that is not remembered ask once. What does not fit what is remembered (a signature by a
secret that was added a moment ago) is looked at once more, at most once a second.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Double, Engine, Integer, LargeBinary, Text, Uuid, column, func, select
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.intake.away import AWAY_SECONDS, Away
from crm_integration.intake.webhook_paths import SECRETS_TABLE, path_digest
from crm_integration.storage.sealing import MasterKey, TenantKeys
from crm_integration.stores._registry import StoreConnector, connector

REMEMBERED_SECONDS = 20.0
"""A path or secret that was ended at once (overlap 0) is good for at most so long."""

LOOKED_AGAIN_SECONDS = 1.0
LOOKUP_SECONDS = 5.0

MOST_REMEMBERED = 20_000


@dataclass(frozen=True)
class _Secret:
    text: str = field(repr=False)
    until: float
    """By `time.monotonic`: the database's clock decides, and ours may jump."""


@dataclass(frozen=True)
class Addressee:
    """The connection that a path belongs to, with all that is needed to take a delivery."""

    tenant: str
    connection_id: str
    store: StoreConnector = field(repr=False)
    keys: TenantKeys = field(repr=False)
    until: float
    held: tuple[_Secret, ...] = field(repr=False)

    @property
    def name(self) -> tuple[str, str]:
        """What limits are counted by."""
        return self.tenant, self.connection_id

    def secrets(self) -> list[str]:
        """Those that are valid now."""
        now = time.monotonic()
        return [one.text for one in self.held if one.until > now]


def ask(intake: Engine, master: MasterKey, digest: bytes) -> Addressee | None:
    """What the database tells of one path (role `crm_intake`); None when it is not valid."""
    told = func.webhook_address(digest).table_valued(
        column("tenant_id", Text),
        column("connection_id", Text),
        column("platform", Text),
        column("key_version", Integer),
        column("wrapped_keys", LargeBinary),
        column("path_seconds_left", Double),
        column("secret_id", Uuid),
        column("sealed", LargeBinary),
        column("secret_seconds_left", Double),
    )
    with intake.begin() as connection:
        rows = connection.execute(select(told)).all()
    if not rows:
        return None
    now, first = time.monotonic(), rows[0]
    keys = master.unwrap(first.tenant_id, first.key_version, first.wrapped_keys)
    return Addressee(
        first.tenant_id,
        first.connection_id,
        connector(first.platform),
        keys,
        _until(now, first.path_seconds_left),
        _opened(keys, rows, now),
    )


def _opened(keys: TenantKeys, rows: Sequence[Any], now: float) -> tuple[_Secret, ...]:
    return tuple(
        _Secret(
            keys.open(SECRETS_TABLE, str(row.secret_id), row.sealed).decode(
                "utf-8", "surrogatepass"
            ),
            _until(now, row.secret_seconds_left),
        )
        for row in rows
        if row.sealed is not None
    )


def _until(now: float, seconds_left: float | None) -> float:
    return float("inf") if seconds_left is None else now + seconds_left


@dataclass
class _Remembered:
    addressee: Addressee | None
    asked_at: float


class PathLookup:
    """Tokens to connections, for one event loop. Its questions raise Away."""

    def __init__(
        self,
        master: MasterKey,
        ask_database: Callable[[bytes], Addressee | None],
        pool: ThreadPoolExecutor,
    ) -> None:
        self._master, self._ask, self._pool = master, ask_database, pool
        self._known: OrderedDict[bytes, _Remembered] = OrderedDict()
        self._asked: dict[bytes, asyncio.Future[Addressee | None]] = {}
        self._away_until = 0.0

    async def find(self, token: str) -> Addressee | None:
        """None for a path that is not valid (any more)."""
        return await self._found(token, REMEMBERED_SECONDS)

    async def look_again(self, token: str) -> Addressee | None:
        """The same, by what the database says now, or said within the last second."""
        return await self._found(token, LOOKED_AGAIN_SECONDS)

    async def _found(self, token: str, fresh_seconds: float) -> Addressee | None:
        digest = path_digest(self._master, token)
        if digest is None:
            return None
        known, now = self._known.get(digest), time.monotonic()
        if known is not None and now - known.asked_at < fresh_seconds:
            found = known.addressee
        else:
            found = await self._learned(digest)
        return None if found is None or found.until <= time.monotonic() else found

    async def _learned(self, digest: bytes) -> Addressee | None:
        if time.monotonic() < self._away_until:
            raise Away
        asked = self._asked.get(digest)
        if asked is None:
            loop = asyncio.get_running_loop()
            asked = loop.run_in_executor(self._pool, self._ask, digest)
            self._asked[digest] = asked
            asked.add_done_callback(lambda done: self._remember(digest, done))
        try:
            async with asyncio.timeout(LOOKUP_SECONDS):
                return await asyncio.shield(asked)
        except (SQLAlchemyError, TimeoutError):
            raise Away from None

    def _remember(self, digest: bytes, done: asyncio.Future[Addressee | None]) -> None:
        del self._asked[digest]
        if done.cancelled():
            return
        if done.exception() is not None:
            self._away_until = time.monotonic() + AWAY_SECONDS
            return
        self._known[digest] = _Remembered(done.result(), time.monotonic())
        self._known.move_to_end(digest)
        while len(self._known) > MOST_REMEMBERED:
            self._known.popitem(last=False)
