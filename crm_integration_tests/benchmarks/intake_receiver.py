"""The product's own receiver as a process of a bench: writes its port, ends with its stdin."""

from __future__ import annotations

import sys
import threading
from typing import Any

import orjson

from crm_integration.intake.receiver_app import Limits, receiver_app
from crm_integration.intake.receiver_opening import open_receiver
from crm_integration.intake.receiver_server import door_for, run, server_for
from crm_integration.sandbox.loopback import listening_socket
from crm_integration.settings import Settings


def main() -> None:
    """Reads `{intake, master}` from the first line of stdin; all else is as the command does it."""
    told: dict[str, Any] = orjson.loads(sys.stdin.readline())
    settings = Settings(intake_url=told["intake"], master_key=told["master"])
    engine, master = open_receiver(settings)
    app = receiver_app(engine, master, Limits(per_second=settings.receiver_rate))
    server = server_for(app, "127.0.0.1", 0, door_for("127.0.0.1", None))

    def ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=ends, daemon=True).start()
    listening = listening_socket(1_024)
    print(listening.getsockname()[1], flush=True)
    run(server, [listening])


if __name__ == "__main__":
    main()
