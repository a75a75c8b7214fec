"""A thousand small shops and their CRM accounts, in a process of their own; ends with its stdin.

Prevents the emulators' work from being counted as the engine's: they share its machine, and
nothing else.
"""

from __future__ import annotations

import asyncio
import sys
import threading
import time
from typing import Any

import orjson
import uvicorn

from crm_integration.sandbox import shop_edits
from crm_integration.sandbox.loopback import listening_socket
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.sandbox.shop_state import ShopSettings, ShopState
from crm_integration_tests.served import Portal, Street

PAST_SECONDS = 3 * 3_600
"""What is this old is behind the settle time: a look proves it."""

KEYS = "key-of-the-bench", "secret-of-the-bench"


class _Clock:
    """Behind the world's by so many seconds."""

    def __init__(self) -> None:
        self.behind = PAST_SECONDS

    def __call__(self) -> int:
        return int(time.time()) - self.behind


def _shop(name: str, orders: int) -> ShopState:
    """A shop whose last order is three hours old."""
    clock = _Clock()
    shop = ShopState(ShopSettings(name, *KEYS, f"https://{name}.shop.example"), clock=clock)
    for number in range(orders):
        line = {"name": "Mug", "sku": "MUG", "quantity": 1, "total": "10.00"}
        email = f"buyer{number}@{name}.example.com"
        billing = {"email": email, "first_name": "Gus", "last_name": "Guest"}
        body = {"customer_id": 0, "set_paid": True, "line_items": [line], "billing": billing}
        shop_edits.create_order(shop, body)
    clock.behind = 0
    return shop


def _opened(street: Street, told: dict[str, Any]) -> list[dict[str, Any]]:
    kinds = list(SHOP_KINDS)
    opened: list[dict[str, Any]] = []
    for number in range(told["tenants"]):
        name, platform = f"t{number}", kinds[number % len(kinds)]
        kind = SHOP_KINDS[platform]
        shop = _shop(name, told["orders"] if number < told["selling"] else 0)
        portal = Portal(44_000_000 + number)
        street.open(name, kind.app(shop))
        street.open(f"{name}-crm", portal.app)
        opened.append({
            "name": name, "platform": platform, "secrets": kind.secrets(shop.settings),
            "token": portal.token, "portal": str(portal.state.settings.portal_id),
        })  # fmt: skip
    return opened


def main() -> None:
    """Reads `{tenants, selling, orders}`: the first `selling` shops have so many orders."""
    told = orjson.loads(sys.stdin.readline())
    street = Street()
    opened = _opened(street, told)
    listening = listening_socket(256)
    server = uvicorn.Server(uvicorn.Config(street, log_level="critical", lifespan="off", ws="none"))

    def ends() -> None:
        sys.stdin.read()
        server.should_exit = True

    threading.Thread(target=ends, daemon=True).start()
    line = {"port": listening.getsockname()[1], "shops": opened}
    sys.stdout.write(orjson.dumps(line).decode() + "\n")
    sys.stdout.flush()
    asyncio.run(server.serve(sockets=[listening]))


if __name__ == "__main__":
    main()
