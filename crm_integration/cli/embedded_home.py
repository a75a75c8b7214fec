"""The embedded server and Dagster's home for `demo` and `dev`.

Prevents a demo from touching a database of yours: it always works on the embedded server, in a
database of its own name, whatever URLs are set.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path

from crm_integration.errors import BadInput
from crm_integration.settings import PREFIX, Settings, get_settings, reset_settings
from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.roles import drop_databases, ensure_databases
from crm_integration.storage.urls import DatabaseUrls, embedded_urls

_URLS = ("OWNER_URL", "APP_URL", "INTAKE_URL", "OPS_URL", "DAGSTER_URL")


def use_embedded(database: str, **settings: str) -> Settings:
    """Point this process (and its children) at a database of the embedded server."""
    for name in _URLS:
        os.environ.pop(PREFIX + name, None)
    os.environ[f"{PREFIX}DATABASE"] = database
    for name, value in settings.items():
        os.environ[PREFIX + name.upper()] = value
    reset_settings()
    return get_settings()


@contextmanager
def embedded_server(settings: Settings, *, leave_up: bool) -> Iterator[EmbeddedServer]:
    """The running server; stopped at the end if it was not up before and need not stay."""
    server = EmbeddedServer(settings.home, pg_bin=settings.pg_bin)
    was_up = server.running()
    server.start()
    try:
        yield server
    finally:
        if not was_up and not leave_up:
            server.stop()


def databases(server: EmbeddedServer, database: str, *, anew: bool) -> DatabaseUrls:
    """The databases of this name; with `anew` what was in them is dropped first."""
    if anew:
        drop_databases(server, database)
    ensure_databases(server, database)
    urls = embedded_urls(server, database)
    os.environ[f"{PREFIX}DAGSTER_URL"] = urls.dagster
    reset_settings()
    return urls


@contextmanager
def only_one(home: Path, what: str) -> Iterator[None]:
    """Raises BadInput when another process does the same on this home."""
    home.mkdir(parents=True, exist_ok=True)
    with (home / f"{what}.lock").open("w") as lock:
        try:
            flock(lock, LOCK_EX | LOCK_NB)
        except BlockingIOError as error:
            raise BadInput(
                f"another {what} is running on {home}: wait for it, or set {PREFIX}HOME to "
                "another folder"
            ) from error
        yield
