"""`crm-integration receiver`: takes webhook deliveries until it is interrupted."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.console import Console

from crm_integration.settings import get_settings


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
    from crm_integration.intake.receiver_server import door_for, server_for

    settings = get_settings()
    door = door_for(host, settings.receiver_proxies)
    engine, master = open_receiver(settings)
    app = receiver_app(engine, master, Limits(per_second=settings.receiver_rate))
    Console(stderr=True).print(f"Taking deliveries on {host}:{port}  (Ctrl-C stops)")
    server_for(app, host, port, door).run()
