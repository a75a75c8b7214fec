"""A request's body, read within bounds of size, time and memory.

Prevents the process from being filled: a body that says how large it is is refused before a byte
of it is read, one that does not (chunked) as soon as it passes the limit, and one that trickles
when its time is over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

from starlette.types import Receive

LARGEST_BODY = 16 * 1024 * 1024
"""Bytes, as sent and once opened. An order of 10,000 lines has 5 to 9 MB (`limits.py`)."""

BODY_SECONDS = 15.0
"""From the end of the header to the end of the body; a store sends its 9 MB in one or two."""


class BodyTooLarge(Exception):
    """More bytes than `LARGEST_BODY`."""


class BodyTooSlow(Exception):
    """It did not come within its time."""


class Hung(Exception):
    """The sender left before the end; nobody waits for an answer."""


class BadLength(ValueError):
    """The content-length is no number."""


async def read_body(
    receive: Receive,
    headers: Mapping[str, str],
    *,
    take: Callable[[int], None],
    limit: int = LARGEST_BODY,
    seconds: float,
) -> bytes:
    """The raw bytes. `take` is asked for room before bytes are kept, and may refuse (NoRoom).

    Raises BodyTooLarge, BodyTooSlow, Hung, BadLength.
    """
    if _length(headers) > limit:
        raise BodyTooLarge
    try:
        async with asyncio.timeout(seconds):
            return await _read(receive, take, limit)
    except TimeoutError:
        raise BodyTooSlow from None


async def _read(receive: Receive, take: Callable[[int], None], limit: int) -> bytes:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise Hung
        piece: bytes = message.get("body", b"")
        if len(body) + len(piece) > limit:
            raise BodyTooLarge
        if piece:
            take(len(piece))
            body += piece
        if not message.get("more_body", False):
            return bytes(body)


def _length(headers: Mapping[str, str]) -> int:
    told = headers.get("content-length", "0")
    if not (told.isascii() and told.isdigit() and len(told) < 20):
        raise BadLength
    return int(told)
