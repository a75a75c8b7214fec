"""Where servers for tests, benches and the sandbox listen.

Prevents answers that wait 40 ms for nothing: asyncio switches Nagle's algorithm off only where a
socket says that it is TCP, and Python's `socket.create_server` leaves that out. Head and body of an
answer are two packets then, and the second waits for the client's delayed ACK.
"""

from __future__ import annotations

import socket


def listening_socket(backlog: int = 128) -> socket.socket:
    """A free port on loopback, already listening."""
    made = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    made.bind(("127.0.0.1", 0))
    made.listen(backlog)
    return made
