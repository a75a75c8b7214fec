"""The world's own process: three shops, three CRM accounts and a control path, on one port.

Prevents a world that outlives its run: the process ends when its parent's end of the pipe closes,
or after its longest life. `GET /world/state` is all that the oracle reads of the stores.
"""

from __future__ import annotations

import asyncio
import random
import sys
import threading
from collections import Counter
from dataclasses import asdict
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from crm_integration.sandbox.faults import FaultPlan, FaultyApp
from crm_integration.sandbox.hosting import CountedApp
from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.loopback import listening_socket
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration_tests.certificate.deliveries import Sent
from crm_integration_tests.certificate.export import exported
from crm_integration_tests.certificate.sales import Sales
from crm_integration_tests.certificate.world import World
from crm_integration_tests.served import Street

LONGEST_LIFE = 1_800.0


class Town:
    """The world on a street: each shop is `/<tenant>`, each CRM `/<tenant>-crm`."""

    def __init__(self, seed: int, events: int) -> None:
        self.world = World.made(seed, events)
        self.sales = Sales(self.world, random.Random(f"{seed}/sales"))
        self.sales.enter(min(300, 20 + events // 8))
        self.street = Street()
        self.faulty: dict[str, FaultyApp] = {}
        self.counted: dict[str, CountedApp] = {}
        for one in self.world.merchants:
            self._open(one.name, SHOP_KINDS[one.platform].app(one.shop))
            self._open(f"{one.name}-crm", HubSpotApp(one.portal).app)
        self.street.open("world", self._control())

    def _open(self, name: str, app: Any) -> None:
        self.faulty[name] = FaultyApp(app)
        self.counted[name] = CountedApp(self.faulty[name])
        self.street.open(name, self.counted[name])

    def _control(self) -> Starlette:
        return Starlette(routes=[
            Route("/advance", self._advance, methods=["POST"]),
            Route("/expect", self._expect, methods=["POST"]),
            Route("/calm", self._calm, methods=["POST"]),
            Route("/login", self._login, methods=["POST"]),
            Route("/counts", self._counts),
            Route("/state", self._state),
        ])  # fmt: skip

    async def _advance(self, request: Request) -> Response:
        """`{events, sales}`: how many of each; `again`: new versions of named objects of a tenant;
        `finale`. Answers with what shops send."""
        asked = orjson.loads(await request.body())
        sent: list[Sent] = []
        if asked.get("events"):
            sent += self.world.advance(asked["events"])
        if asked.get("again"):
            sent += self.world.again(**asked["again"])
        if asked.get("sales"):
            sent += self.sales.work(asked["sales"])
        if asked.get("finale"):
            # Of an opt-out that no shop has contradicted so far nobody could say how it shows.
            sent += self.sales.speak_again()
            sent += self.world.finale()
        return _json([asdict(one) for one in sent])

    async def _expect(self, request: Request) -> Response:
        for name, rules in orjson.loads(await request.body()).items():
            self.faulty[name].expect(FaultPlan.from_json(rules).rules)
        return _json({})

    async def _calm(self, request: Request) -> Response:
        """End what is planned under a name, or all."""
        name = orjson.loads(await request.body()).get("name", "")
        for one in self.faulty.values():
            one.forget(name) if name else one.follow(FaultPlan())
        return _json({})

    async def _login(self, request: Request) -> Response:
        """`{tenant}`: its CRM's owner consents once more, what a connection then holds; with `end`
        they take all access back."""
        asked = orjson.loads(await request.body())
        (desk,) = (one.portal.desk for one in self.world.merchants if one.name == asked["tenant"])
        assert desk is not None
        if asked.get("end"):
            desk.end()
            return _json({})
        app = {"client_id": desk.client_id, "client_secret": desk.client_secret}
        return _json({"secrets": {**app, **desk.first()}, "lives": desk.seconds})

    async def _counts(self, request: Request) -> Response:
        acted = sum((one.acted for one in self.faulty.values()), Counter[str]())
        return _json({
            "acted": acted,
            "happened": self.world.happened,
            "crm_calls": sum(
                sum(one.calls.values())
                for name, one in self.counted.items() if name.endswith("-crm")
            ),
            "sales_edits": len(self.sales.edits),
            "token_renewed": sum(
                one.portal.desk.renewals for one in self.world.merchants if one.portal.desk
            ),
        })  # fmt: skip

    async def _state(self, request: Request) -> Response:
        base = str(request.base_url).rstrip("/").removesuffix("/world")
        return _json(exported(self.world.merchants, self.sales, base))


def _json(body: Any) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")


def _serve(town: Town) -> None:
    listening = listening_socket()
    config = uvicorn.Config(
        town.street, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)

    def ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=ends, daemon=True).start()
    timer = threading.Timer(LONGEST_LIFE, lambda: setattr(server, "should_exit", True))
    timer.daemon = True
    timer.start()
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listening]))


def main() -> None:
    """Reads `{seed, events}` from the first line of stdin, writes its port, ends with stdin."""
    told = orjson.loads(sys.stdin.readline())
    _serve(Town(told["seed"], told["events"]))


if __name__ == "__main__":
    main()
