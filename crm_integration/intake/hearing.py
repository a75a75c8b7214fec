"""Hears of deliveries at the moment of their commit.

Prevents the wait for the next look: the receiver's commit tells which tenant something arrived
for. Nobody relies on it: what is not heard, or heard by nobody, is found by the next look.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self, cast

import psycopg
from sqlalchemy import Connection, Engine, text
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.intake.drop_table import CHANNEL
from crm_integration.storage.engine import own_connection

_AWAY = 0.2
"""Seconds between two tries to reach a database that is away."""


@dataclass
class Ear:
    """Listens for deliveries of some lanes, on a connection of its own."""

    engine: Engine = field(repr=False)
    lanes: Collection[int]
    _session: Connection | None = field(default=None, repr=False)
    _connection: psycopg.Connection | None = field(default=None, repr=False)

    def listen(self, seconds: float) -> list[str]:
        """Tenants that were told of within so many seconds, or sooner if there are some."""
        connection = self._opened()
        if connection is None:
            time.sleep(min(seconds, _AWAY))
            return []
        try:
            heard = [one.payload for one in connection.notifies(timeout=seconds, stop_after=1)]
            heard += [one.payload for one in connection.notifies(timeout=0)]
        except psycopg.Error:
            self._close()
            return []
        named = (one.partition(" ") for one in heard)
        return [tenant for lane, _, tenant in named if lane.isdigit() and int(lane) in self.lanes]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._close()

    def _opened(self) -> psycopg.Connection | None:
        """The connection, None while the database is away."""
        if self._connection is None:
            try:
                self._session = own_connection(self.engine)
                self._session.execute(text(f"LISTEN {CHANNEL}"))
                driver = self._session.connection.dbapi_connection
                self._connection = cast(psycopg.Connection, driver)
            except SQLAlchemyError:
                return None
        return self._connection

    def _close(self) -> None:
        if self._session is not None:
            with suppress(SQLAlchemyError):
                self._session.close()
        self._session = self._connection = None
