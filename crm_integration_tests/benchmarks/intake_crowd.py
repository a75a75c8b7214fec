"""A crowd of WooCommerce shops on kept connections, in a process of its own; ends with its stdin.

Prevents a slow client from being measured as a slow receiver: what is sent is made beforehand,
and between two requests there is nothing but reading an answer's first line and a clock.
"""

from __future__ import annotations

import asyncio
import base64
import hmac
import sys
import time
from collections import Counter, deque
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any

import orjson

BODY_BYTES = 2_048
AGAIN_SECONDS = 0.1
"""After a refusal; a shop waits longer."""


def body_of(number: int) -> bytes:
    """An order of 2 KB, like no other."""
    start = b'{"id":%d,"date_modified_gmt":"2026-01-01T12:00:00","status":"new",' % (number + 1)
    filled = b"".join(
        b'{"id":%d,"name":"Line %d","quantity":1,"total":"%d.00"},' % (one, one, number % 997)
        for one in range(1, 34)
    )
    lines = b'"line_items":[' + filled[:-1] + b"]"
    room = BODY_BYTES - len(start) - len(lines) - len(b',"note":""}')
    return start + lines + b',"note":"' + b"n" * room + b'"}'


def delivery_id(number: int) -> str:
    """As WooCommerce writes one: 32 hexadecimal digits."""
    return f"{number:032x}"


def request_of(number: int, path: str, secret: bytes) -> bytes:
    """All bytes of one delivery, with the header lines of the recorded ones."""
    body = body_of(number)
    signature = base64.b64encode(hmac.digest(secret, body, sha256)).decode()
    head = (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n"
        "User-Agent: WooCommerce/11.0.1 Hookshot (WordPress/7.1)\r\nAccept: */*\r\n"
        "Accept-Encoding: deflate, gzip, br, zstd\r\nContent-Type: application/json\r\n"
        "X-WC-Webhook-Source: http://127.0.0.1:8150/\r\nX-WC-Webhook-Topic: order.updated\r\n"
        "X-WC-Webhook-Resource: order\r\nX-WC-Webhook-Event: updated\r\n"
        f"X-WC-Webhook-Signature: {signature}\r\nX-WC-Webhook-ID: 8\r\n"
        f"X-WC-Webhook-Delivery-ID: {delivery_id(number)}\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


@dataclass
class Crowd:
    """Requests that wait to be sent, and what became of those that were."""

    waiting: deque[tuple[int, bytes]]
    finished: asyncio.Event = field(default_factory=asyncio.Event)
    acknowledged: list[int] = field(default_factory=list[int])
    seconds: list[float] = field(default_factory=list[float])
    """From the first byte sent to the 2xx, of each that was acknowledged."""
    answers: Counter[str] = field(default_factory=Counter[str])
    out: int = 0

    def refused(self, request: tuple[int, bytes], why: str) -> None:
        """It is sent again, by whoever is free."""
        self.answers[why] += 1
        self.waiting.append(request)

    def took(self, number: int, seconds: float) -> None:
        """A 2xx."""
        self.answers["2xx"] += 1
        self.acknowledged.append(number)
        self.seconds.append(seconds)


class Sender(asyncio.Protocol):
    """One kept connection, one request at a time."""

    def __init__(self, crowd: Crowd) -> None:
        self._crowd = crowd
        self._loop = asyncio.get_running_loop()
        self._now: tuple[int, bytes] | None = None
        self._sent_at = 0.0
        self._answer = b""
        self.closed = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Send the first one."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        """A whole answer, then the next request."""
        self._answer = self._answer + data if self._answer else data
        head, found, body = self._answer.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._answer = b""
        request, self._now = self._now, None
        assert request is not None
        self._crowd.out -= 1
        if head[9:10] == b"2":
            self._crowd.took(request[0], time.monotonic() - self._sent_at)
            self._next()
        else:
            self._crowd.refused(request, head[9:12].decode("latin-1"))
            self._loop.call_later(AGAIN_SECONDS, self._next)

    def connection_lost(self, exc: Exception | None) -> None:
        """What was on its way is sent again, on another connection."""
        if self._now is not None:
            self._crowd.out -= 1
            self._crowd.refused(self._now, "broken")
            self._now = None
        self.closed.set()

    def _next(self) -> None:
        if self._transport.is_closing():
            return
        if not self._crowd.waiting:
            if not self._crowd.out:
                self._crowd.finished.set()
            # Another one's request may still be refused, and then wait for somebody.
            self._loop.call_later(AGAIN_SECONDS, self._next)
            return
        self._now = self._crowd.waiting.popleft()
        self._crowd.out += 1
        self._sent_at = time.monotonic()
        self._transport.write(self._now[1])


def _length(head: bytes) -> int:
    told = head.lower().partition(b"content-length:")[2]
    return int(told.partition(b"\r\n")[0] or 0)


async def _keep_connected(crowd: Crowd, port: int) -> None:
    while True:
        try:
            _, sender = await asyncio.get_running_loop().create_connection(
                lambda: Sender(crowd), "127.0.0.1", port
            )
        except OSError:
            crowd.answers["no connection"] += 1
            await asyncio.sleep(AGAIN_SECONDS)
            continue
        await sender.closed.wait()


async def _send(told: dict[str, Any], requests: list[tuple[int, bytes]]) -> dict[str, Any]:
    crowd = Crowd(deque(requests))
    cpu, began = time.process_time(), time.monotonic()
    senders = [
        asyncio.create_task(_keep_connected(crowd, told["port"])) for _ in range(told["senders"])
    ]
    async with asyncio.timeout(told["patience"]):
        await crowd.finished.wait()
    took = time.monotonic() - began
    for one in senders:
        one.cancel()
    return {
        "took": took,
        "acknowledged": crowd.acknowledged,
        "seconds": crowd.seconds,
        "answers": dict(crowd.answers),
        "cpu_s": time.process_time() - cpu,
    }


def main() -> None:
    """Reads `{port, paths, secret, first, count, senders, patience}`; writes `ready`, sends when
    it is told so by a second line, and writes what came of it."""
    told = orjson.loads(sys.stdin.readline())
    paths, secret = told["paths"], told["secret"].encode()
    numbers = range(told["first"], told["first"] + told["count"])
    requests = [(one, request_of(one, paths[one % len(paths)], secret)) for one in numbers]
    print("ready", flush=True)
    sys.stdin.readline()
    sys.stdout.write(orjson.dumps(asyncio.run(_send(told, requests))).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
