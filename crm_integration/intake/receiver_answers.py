"""What the receiver answers, and after which status a store does what.

Prevents the wrong word to a store: after 503 and 429 it sends again (Shopify for hours), after
4xx it knows that the address, the secret or the body is wrong. Answers are the same for everybody
and tell nothing of the house.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from starlette.types import Scope, Send

SMALL_ENOUGH_TO_SKIP = 64 * 1024
"""Bytes of an unread body for which a connection is worth keeping."""


@dataclass(frozen=True)
class Answer:
    """One answer; `outcome` is its name in the metrics."""

    outcome: str
    status: int
    text: str
    retry_after: int = 0
    unread: bool = False
    """Whether the body may not have been read to its end."""
    ends: bool = False
    """Whether the connection ends with it, however little was left unread."""

    def after(self, seconds: float) -> Answer:
        """The same, to be tried again after so long."""
        return replace(self, retry_after=math.ceil(seconds)) if seconds else self


ACCEPTED = {
    "kept": Answer("kept", 200, "kept"),
    "unsigned": Answer("unsigned", 200, "kept"),
    "duplicate": Answer("duplicate", 200, "kept already"),
}
REFUSALS = {
    "method": Answer("method", 405, "send deliveries by POST", unread=True),
    "unknown": Answer("unknown", 404, "no connection has this address", unread=True),
    "no_secret": Answer(
        "no_secret", 403, "no signing secret is set for this connection", unread=True
    ),
    "Forged": Answer("forged", 401, "the signature is missing or does not fit the raw body"),
    "rate": Answer("rate", 429, "this connection sends too much at once", unread=True),
    "fault": Answer("fault", 500, "this delivery was not kept", unread=True),
    "BodyTooLarge": Answer("too_large", 413, "the body is too large", unread=True),
    "TooLargeOpened": Answer("too_large", 413, "the body is too large once opened"),
    "BodyTooSlow": Answer("too_slow", 408, "the body did not come in time", ends=True),
    "BadLength": Answer("bad_length", 400, "the content-length is no number", unread=True),
    "UnknownCoding": Answer("coding", 415, "send the body plain, or with gzip or deflate"),
    "BrokenCoding": Answer("coding", 400, "the body is not what its content-encoding says"),
    "NoRoom": Answer("no_room", 503, "too much is waiting", retry_after=5, unread=True),
    "Away": Answer("away", 503, "nothing can be kept at the moment", retry_after=30, unread=True),
    "NotKept": Answer("not_kept", 503, "this delivery could not be kept", retry_after=300),
}
"""By the reason's name; an exception is known by its class."""


def read_headers(scope: Scope) -> dict[str, str]:
    """Lower-case names. One that comes twice is joined, as HTTP says, so that no check and no
    later reader sees different ones."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


async def send_answer(send: Send, answer: Answer, headers: Mapping[str, str]) -> None:
    """Send it; the connection ends where a large body was left unread."""
    text = answer.text.encode()
    lines = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", str(len(text)).encode()),
    ]
    if answer.retry_after:
        lines.append((b"retry-after", str(answer.retry_after).encode()))
    if answer.status == 405:
        lines.append((b"allow", b"POST"))
    if answer.ends or (answer.unread and not _soon_over(headers)):
        lines.append((b"connection", b"close"))
    await send({"type": "http.response.start", "status": answer.status, "headers": lines})
    await send({"type": "http.response.body", "body": text})


def _soon_over(headers: Mapping[str, str]) -> bool:
    if "transfer-encoding" in headers:
        return False
    length = headers.get("content-length", "0")
    return length.isdigit() and len(length) < 10 and int(length) <= SMALL_ENOUGH_TO_SKIP
