"""The CRM accounts of the live bench, in a process of their own, that note when they were told.

Prevents a latency that ends where the engine believes it ends: what counts is the moment in which
a CRM holds the value, by the one monotonic clock of the machine.
"""

from __future__ import annotations

import asyncio
import re
import sys
import threading
import time

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from crm_integration.sandbox.loopback import listening_socket
from crm_integration_tests.served import Portal, Street

LONGEST_LIFE = 900.0
_EVENT = re.compile(rb'"firstname"\s*:\s*"E(\d+)"')


class Noting:
    """Notes the events that a batch write told of, once the account has answered it."""

    def __init__(self, app: ASGIApp, seen: dict[int, float]) -> None:
        self._app, self._seen = app, seen

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not re.search(r"/batch/(upsert|update)", scope["path"]):
            await self._app(scope, receive, send)
            return
        parts: list[bytes] = []

        async def read() -> Message:
            message = await receive()
            parts.append(message.get("body", b""))
            return message

        await self._app(scope, read, send)
        for number in _EVENT.findall(b"".join(parts)):
            self._seen.setdefault(int(number), time.monotonic())


def main() -> None:
    """Reads the number of accounts from stdin, writes port and tokens, ends with stdin."""
    count = int(sys.stdin.readline())
    street, seen = Street(), dict[int, float]()
    portals = [Portal(43_000_000 + number) for number in range(count)]
    for number, portal in enumerate(portals):
        street.open(f"crm{number}", Noting(portal.app, seen))

    async def told(request: Request) -> Response:
        _ = request
        return Response(orjson.dumps(list(seen.items())), media_type="application/json")

    street.open("seen", Starlette(routes=[Route("/", told)]))
    listening = listening_socket()
    server = uvicorn.Server(uvicorn.Config(street, log_level="critical", lifespan="off", ws="none"))

    def ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=ends, daemon=True).start()
    timer = threading.Timer(LONGEST_LIFE, lambda: setattr(server, "should_exit", True))
    timer.daemon = True
    timer.start()
    accounts = [[one.token, one.state.settings.portal_id] for one in portals]
    sys.stdout.write(
        orjson.dumps({"port": listening.getsockname()[1], "accounts": accounts}).decode() + "\n"
    )
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    main()
