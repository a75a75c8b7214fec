"""A process of the live bench: the receiver, or a live run over all lanes; ends with its stdin."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from pathlib import Path
from typing import Any

import orjson

from crm_integration.sandbox.loopback import listening_socket
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration.sync.engines import Engines
from crm_integration.sync.path import House
from crm_integration.tenancy.scope import Tenancy


def _receive(told: dict[str, Any], master: MasterKey) -> None:
    from crm_integration.intake.receiver_app import Limits, receiver_app
    from crm_integration.intake.receiver_door import Door
    from crm_integration.intake.receiver_opening import in_short
    from crm_integration.intake.receiver_server import server_for

    app = receiver_app(engine_for(in_short(told["intake"]), pool_size=4), master, Limits())
    server = server_for(app, "127.0.0.1", 0, Door())
    threading.Thread(target=_with_stdin, args=(server,), daemon=True).start()
    listening = listening_socket()
    print(listening.getsockname()[1], flush=True)
    asyncio.run(server.serve(sockets=[listening]))


def _with_stdin(server: Any) -> None:
    sys.stdin.read()
    server.should_exit = True


def _drain(told: dict[str, Any], master: MasterKey) -> None:
    from crm_integration.intake.lanes import ALL_LANES, Lanes
    from crm_integration.sync.live_pass import LivePass
    from crm_integration.sync.live_run import LiveRun
    from crm_integration.sync.opening import CONNECTIONS

    ops, app = (engine_for(told[role], pool_size=CONNECTIONS) for role in ("ops", "app"))
    tenancy = Tenancy(app, master)
    house = House(Engines(tenancy, ops), Path(told["mappings"]))
    one_pass = LivePass(house, "bench")
    with Lanes(ops, "bench", 3_600.0) as lanes:
        lanes.take(ALL_LANES)
        run = LiveRun(lanes, one_pass)
        threading.Thread(target=lambda: (sys.stdin.read(), run.stopped.set()), daemon=True).start()
        print("ready", flush=True)
        done = run.run()
    one_pass.close()
    print(orjson.dumps(dict(done)).decode(), flush=True)


def main() -> None:
    """Reads `{what, app, ops, intake, mappings}` from the first line of stdin."""
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    told = orjson.loads(sys.stdin.readline())
    {"receiver": _receive, "run": _drain}[told["what"]](told, MasterKey(b"b" * 32))


if __name__ == "__main__":
    main()
