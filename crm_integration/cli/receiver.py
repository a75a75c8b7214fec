"""`crm-integration receiver`: takes webhook deliveries until it is interrupted."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from threading import Thread
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from crm_integration.settings import Settings, get_settings

if TYPE_CHECKING:
    from sqlalchemy import Engine


def receiver(
    host: Annotated[
        str,
        typer.Option(help="Address to listen on; beyond this machine CRM_INTEGRATION_RECEIVER_"
                     "PROXIES must name who may connect."),
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on.", min=1, max=65_535)] = 8_700,
) -> None:  # fmt: skip
    """Take stores' webhook deliveries; Ctrl-C ends it after what is on its way."""
    # Inside: no other command needs a web server.
    from crm_integration.intake.receiver_app import Limits, receiver_app
    from crm_integration.intake.receiver_opening import open_receiver
    from crm_integration.intake.receiver_server import door_for, run, server_for

    settings = get_settings()
    door = door_for(host, settings.receiver_proxies)
    engine, master = open_receiver(settings)
    app = receiver_app(engine, master, Limits(per_second=settings.receiver_rate))
    console = Console(stderr=True)
    console.print(f"Taking deliveries on {host}:{port}  (Ctrl-C stops)")
    with _waker(engine, settings):
        run(server_for(app, host, port, door))


@contextmanager
def _waker(engine: Engine, settings: Settings) -> Generator[None]:
    """Beside the receiver, where Dagster's address is known: it starts runs for cold lanes."""
    from crm_integration.intake.waker import Waker

    if settings.webserver_url is None:
        yield
        return
    waker = Waker(engine, settings.webserver_url, settings.live_groups, settings.live_life)
    thread = Thread(target=waker.run, name="waker", daemon=True)
    thread.start()
    try:
        yield
    finally:
        waker.stopped.set()
        thread.join(5)
