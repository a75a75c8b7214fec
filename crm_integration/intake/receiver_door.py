"""Connections before they are requests: who may come, for how long, with how large a header.

Prevents ten thousand idle connections from taking every place: uvicorn waits for a header for
ever, and httptools gathers one of any size. Here a header has a time and a size, and where all
places are taken the connection that has waited longest makes room.
"""

from __future__ import annotations

import asyncio
import resource
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, ip_address

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

HEADER_SECONDS = 10.0
LARGEST_HEADER = 32 * 1024
"""Bytes; the largest header of a recorded delivery has 1 KB."""

MOST_CONNECTIONS = 2_000
_OTHER_FILES = 200
"""Open files that are no connections: the database, modules, logs."""

_TIMED_OUT = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
_TOO_LARGE = (
    b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)

Network = IPv4Network | IPv6Network


@dataclass
class Door:
    """What the connections of one server share. `peers`: who may connect; none named: anybody
    who reaches the port."""

    peers: Sequence[Network] = ()
    header_seconds: float = HEADER_SECONDS
    most_connections: int = MOST_CONNECTIONS
    inside: int = 0
    idle: OrderedDict[WatchedProtocol, None] = field(
        default_factory=lambda: OrderedDict[WatchedProtocol, None]()
    )
    """Those that have no request on its way, longest waiting first."""

    def admits(self, client: tuple[str, int] | None) -> bool:
        """Whether this peer may talk to us."""
        if not self.peers:
            return True
        if client is None:
            return False
        address = ip_address(client[0].partition("%")[0])
        return any(address in network for network in self.peers)

    def enter(self, one: WatchedProtocol) -> None:
        """Count it, and send the longest waiting one away where there are too many."""
        self.inside += 1
        self.idle[one] = None
        if self.inside > self.most_connections:
            longest, _ = self.idle.popitem(last=False)
            longest.transport.abort()

    def leave(self, one: WatchedProtocol) -> None:
        """It is gone."""
        self.inside -= 1
        self.idle.pop(one, None)

    def protocol(self) -> type[WatchedProtocol]:
        """The class that uvicorn makes one of for each connection."""
        door = self

        class Watched(WatchedProtocol):
            _door = door

        return Watched


def places() -> int:
    """As many connections as the process may open files for, at most `MOST_CONNECTIONS`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = MOST_CONNECTIONS + _OTHER_FILES
    if soft != resource.RLIM_INFINITY and soft < wanted:
        soft = wanted if hard == resource.RLIM_INFINITY else min(wanted, hard)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    unbounded = soft == resource.RLIM_INFINITY
    return MOST_CONNECTIONS if unbounded else max(16, min(MOST_CONNECTIONS, soft - _OTHER_FILES))


class WatchedProtocol(HttpToolsProtocol):
    """uvicorn's protocol with a time and a size for headers."""

    _door: Door
    _timer: asyncio.TimerHandle | None = None
    _head_bytes = 0
    _in_head = True
    _entered = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Refuse a stranger, make room, and begin to wait for a header."""
        super().connection_made(transport)
        if not self._door.admits(self.client):
            transport.abort()
            return
        self._entered = True
        self._door.enter(self)
        self._await_header()

    def connection_lost(self, exc: Exception | None) -> None:
        """Give the place back."""
        self._stop_timer()
        if self._entered:
            self._door.leave(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Count what comes before a header is complete."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._head_bytes += len(data)
            if self._head_bytes > LARGEST_HEADER:
                self._refuse(_TOO_LARGE)

    def on_message_begin(self) -> None:
        """The next request on a kept connection has its time, too."""
        super().on_message_begin()
        self._in_head = True
        if self._timer is None:
            self._await_header()

    def on_headers_complete(self) -> None:
        """A request: it is no longer one that waits."""
        self._stop_timer()
        self._in_head, self._head_bytes = False, 0
        self._door.idle.pop(self, None)
        size = len(self.url) + sum(len(name) + len(value) for name, value in self.headers)
        if size > LARGEST_HEADER:
            self._refuse(_TOO_LARGE)
            return
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Nothing more is read of what was refused."""
        if not self.transport.is_closing():
            super().on_body(body)

    def on_message_complete(self) -> None:
        """Nor is it complete."""
        if not self.transport.is_closing():
            super().on_message_complete()

    def on_response_complete(self) -> None:
        """It waits again: also the rest of a body that nobody reads has its time."""
        super().on_response_complete()
        if not self.transport.is_closing() and not self.pipeline:
            self._door.idle[self] = None
            if self._timer is None:
                self._await_header()

    def _await_header(self) -> None:
        self._head_bytes = 0
        self._timer = self.loop.call_later(self._door.header_seconds, self._header_is_late)

    def _header_is_late(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._refuse(_TIMED_OUT)

    def _refuse(self, answer: bytes) -> None:
        self._stop_timer()
        self.transport.write(answer)
        self.transport.close()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
