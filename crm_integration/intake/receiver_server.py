"""The receiver's server: where it listens, and how it ends.

Prevents an open port by accident: beyond this machine it listens only for named proxies, which
bring TLS, and turns everybody else away. Paths are secrets, so there is no access log.
"""

from __future__ import annotations

import gc
import logging
from collections.abc import Sequence
from ipaddress import ip_address, ip_network
from socket import socket

import uvicorn
from starlette.types import ASGIApp

from crm_integration.errors import BadSetting
from crm_integration.intake.receiver_door import Door, Network, places
from crm_integration.settings import PREFIX

KEEP_ALIVE_SECONDS = 5
ENDING_SECONDS = 20
"""For what is on its way when the process is told to stop."""

_COLLECTED_EVERY = 50_000
"""Objects made and kept between two looks for cycles; a delivery leaves none."""


def door_for(host: str, proxies: str | None) -> Door:
    """Who may connect, for this address. Raises BadSetting for an open door."""
    peers = _networks(proxies) if proxies else ()
    if not peers and not _is_loopback(host):
        raise BadSetting(
            f"{host} can be reached from other machines: set {PREFIX}RECEIVER_PROXIES to the "
            "addresses of the proxies that bring TLS (10.0.0.5 or 10.0.0.0/24, with commas), or "
            "listen on 127.0.0.1"
        )
    return Door(peers, most_connections=places())


def server_for(app: ASGIApp, host: str, port: int, door: Door) -> uvicorn.Server:
    """A server that is not running yet; port 0 takes a free one."""
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        http=door.protocol(),
        ws="none",
        lifespan="on",
        access_log=False,
        log_level=logging.ERROR,  # every scanner's broken request would be a line
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=ENDING_SECONDS,
    )
    return uvicorn.Server(config)


def run(server: uvicorn.Server, sockets: list[socket] | None = None) -> None:
    """Serve until the process is told to stop.

    What is loaded by now stays: a collector that looks through it again and again takes a tenth
    of the time of all deliveries, at moments in which some of them wait.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_COLLECTED_EVERY, 20, 20)
    server.run(sockets=sockets)


def _networks(proxies: str) -> Sequence[Network]:
    try:
        return [ip_network(one.strip()) for one in proxies.split(",") if one.strip()]
    except ValueError as error:
        raise BadSetting(
            f"{PREFIX}RECEIVER_PROXIES: {error}. Give addresses or networks, with commas"
        ) from None


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
