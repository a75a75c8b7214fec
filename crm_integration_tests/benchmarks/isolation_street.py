"""CRM accounts, each of which can be dead for a while, in a process that ends with its stdin.

Prevents a dead CRM that is only slow for whoever asks it: its neighbours in this process answer
as before, and note when they were told.
"""

from __future__ import annotations

import asyncio
import socket
import sys
import threading

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.sandbox.faults import FaultRule
from crm_integration_tests.benchmarks.live_street import Noting
from crm_integration_tests.served import Portal, Street

FATES = {
    "hangs": FaultRule("hang", seconds=120.0, count=0),
    "refuses": FaultRule("status", status=503, count=0),
}
"""What becomes of every call to an account that is dead."""


def _control(portals: list[Portal], seen: dict[int, float]) -> Starlette:
    async def told(_: Request) -> Response:
        return Response(orjson.dumps(list(seen.items())), media_type="application/json")

    async def fate(request: Request) -> Response:
        chosen = FATES.get(request.path_params["fate"])
        portals[int(request.path_params["number"])].follow(*([chosen] if chosen else []))
        return Response()

    return Starlette(
        routes=[Route("/seen", told), Route("/fate/{number}/{fate}", fate, methods=["POST"])]
    )


def main() -> None:
    """Reads the number of accounts; writes `{port, accounts}`, as `live_street` does."""
    count = int(sys.stdin.readline())
    street, seen = Street(), dict[int, float]()
    portals = [Portal(43_000_000 + number) for number in range(count)]
    for number, portal in enumerate(portals):
        street.open(f"crm{number}", Noting(portal.app, seen))
    street.open("control", _control(portals, seen))
    listening = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(uvicorn.Config(street, log_level="critical", lifespan="off", ws="none"))

    def ends() -> None:
        sys.stdin.read()
        # Whoever is kept waiting by a dead account is waiting for good.
        server.should_exit = server.force_exit = True

    threading.Thread(target=ends, daemon=True).start()
    accounts = [[one.token, one.state.settings.portal_id] for one in portals]
    line = {"port": listening.getsockname()[1], "accounts": accounts}
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    main()
