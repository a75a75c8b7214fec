"""SQLAlchemy engines, one per URL and process.

Prevents a forked process from talking over its parent's sockets (two conversations in one
stream), and a forgotten statement from holding locks for ever.
"""

from __future__ import annotations

import os
import threading
import time
from functools import partial
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import InvalidatePoolError
from sqlalchemy.pool import ConnectionPoolEntry

from crm_integration.storage.direct import speak_directly

APPLICATION = "crm_integration"
FRESH = 1.0
"""Seconds after its last use in which a pooled connection is taken without asking the server."""

_USED_AT = "crm_integration.used_at"
STATEMENT_TIMEOUT_MS = 600_000  # ten minutes: above the longest bulk upsert, below a night
_engines: dict[tuple[str, int, float, bool, int], Engine] = {}
_guard = threading.Lock()


def engine_for(
    url: str, *, pool_size: int = 5, fresh: float = FRESH, durable: bool = True
) -> Engine:
    """The engine of `url` in this process: UTC session, statements end after ten minutes.

    A URL's own `options` and `application_name` come after ours and so prevail. Connections that
    were not used for `fresh` seconds are asked whether they live before they are used. Without
    `durable` no commit waits for the disk.
    """
    key = (url, pool_size, fresh, durable, os.getpid())
    with _guard:
        if key not in _engines:
            _engines[key] = _create(url, pool_size, fresh, durable=durable)
        return _engines[key]


def dispose_engines() -> None:
    """Close this process's pooled connections, for tests and before databases are dropped."""
    with _guard:
        for key in [key for key in _engines if key[-1] == os.getpid()]:
            _engines.pop(key).dispose()


def own_connection(engine: Engine) -> Connection:
    """A connection that goes back to no pool, each statement for itself: for what lives as long
    as a session does (a lock, what is listened to). The caller closes it."""
    connection = engine.connect()
    connection.rollback()
    # Not as an option of SQLAlchemy's: what it would undo at the end belongs to the pool.
    driver: Any = connection.connection.dbapi_connection
    driver.autocommit = True
    connection.detach()
    return connection


def _create(url: str, pool_size: int, fresh: float, *, durable: bool) -> Engine:
    own = make_url(url).query.get("options", "")
    options = (
        f"-c TimeZone=UTC -c statement_timeout={STATEMENT_TIMEOUT_MS} "
        f"-c idle_in_transaction_session_timeout={STATEMENT_TIMEOUT_MS} "
        f"{'' if durable else '-c synchronous_commit=off '}"
        f"{own if isinstance(own, str) else ' '.join(own)}"
    )
    arguments = {"options": options.strip()}
    if "application_name" not in make_url(url).query:
        arguments["application_name"] = APPLICATION
    # The connection that was used last is the one whose plans and pages are warm; those that only
    # a rush needed stay cold.
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_use_lifo=True,
        connect_args=arguments,
    )
    speak_directly(engine)
    event.listen(engine, "connect", _note_use)
    event.listen(engine, "checkin", _note_use)
    event.listen(engine, "checkout", partial(_refuse_stale, engine, fresh))
    return engine


def _note_use(connection: Any, record: ConnectionPoolEntry) -> None:
    _ = connection
    record.info[_USED_AT] = time.monotonic()


def _refuse_stale(
    engine: Engine, fresh: float, connection: Any, record: ConnectionPoolEntry, proxy: Any
) -> None:
    """A server may have been restarted meanwhile. What was in use a moment ago is not asked: that
    would be a round trip for each small transaction."""
    _ = proxy
    if time.monotonic() - record.info.get(_USED_AT, 0.0) < fresh:
        return
    try:
        engine.dialect.do_ping(connection)
    except engine.dialect.loaded_dbapi.Error as error:
        raise InvalidatePoolError("the server was restarted") from error


# A fork may happen while another thread holds the guard; the child starts with a free one.
os.register_at_fork(after_in_child=lambda: globals().update(_guard=threading.Lock()))
