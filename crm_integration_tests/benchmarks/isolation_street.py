"""CRM accounts, each of which can be dead for a while, in a process that ends with its stdin.

Prevents a dead CRM that is only slow for whoever asks it: its neighbours in this process answer
as before, and note when they were told.
"""

from __future__ import annotations

import asyncio
import sys
import threading

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from crm_integration.sandbox.loopback import listening_socket
from crm_integration_tests.benchmarks.live_street import Noting
from crm_integration_tests.served import Portal, Street


class Mortal:
    """An account that lives, refuses every call, or hangs: then whoever asked is answered when it
    lives again."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._fate = "lives"
        self._revived = asyncio.Event()

    def become(self, fate: str) -> None:
        """`lives`, `refuses` or `hangs`."""
        self._fate = fate
        if fate == "hangs":
            self._revived.clear()
        else:
            self._revived.set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._fate == "lives":
            await self._app(scope, receive, send)
            return
        await self._revived.wait()
        await Response(status_code=503)(scope, receive, send)


def _control(accounts: list[Mortal], seen: dict[int, float]) -> Starlette:
    async def told(_: Request) -> Response:
        return Response(orjson.dumps(list(seen.items())), media_type="application/json")

    async def fate(request: Request) -> Response:
        accounts[int(request.path_params["number"])].become(request.path_params["fate"])
        return Response()

    return Starlette(
        routes=[Route("/seen", told), Route("/fate/{number}/{fate}", fate, methods=["POST"])]
    )


def main() -> None:
    """Reads the number of accounts; writes `{port, accounts}`, as `live_street` does."""
    count = int(sys.stdin.readline())
    street, seen = Street(), dict[int, float]()
    portals = [Portal(43_000_000 + number) for number in range(count)]
    mortals = [Mortal(Noting(one.app, seen)) for one in portals]
    for number, account in enumerate(mortals):
        street.open(f"crm{number}", account)
    street.open("control", _control(mortals, seen))
    listening = listening_socket()
    server = uvicorn.Server(uvicorn.Config(street, log_level="critical", lifespan="off", ws="none"))

    def ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=ends, daemon=True).start()
    accounts = [[one.token, one.state.settings.portal_id] for one in portals]
    line = {"port": listening.getsockname()[1], "accounts": accounts}
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    main()
