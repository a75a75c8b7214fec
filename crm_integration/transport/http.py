"""The only place that makes HTTP clients.

Prevents calls that leave their host, hang for ever or run without TLS: no redirects are
followed, every request has a bound, plain http is for loopback alone, and a client can only
call the host it was made for.
"""

from __future__ import annotations

import logging
import ssl
import time
from email.utils import parsedate_to_datetime
from functools import cache
from ipaddress import ip_address
from urllib.parse import urlsplit

import httpx

from crm_integration.errors import BadInput, Permanent, Transient
from crm_integration.transport.retry import tell_by_logging
from crm_integration.transport.slots import given_back

# At INFO httpx logs whole addresses, and OAuth 1.0a puts the consumer key into them.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)

tell_by_logging()

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes of one answer, unpacked. A hundred orders of 700 lines have 25 MB; what is larger would
take the process with it, and comes again with every try."""

TOO_LARGE = "answer_too_large"
_OF_THE_WIRE = ("content-encoding", "content-length", "transfer-encoding")

TIMEOUT = httpx.Timeout(30.0, connect=10.0)
"""Bounds each silence of the other side, not the whole call: see LONGEST_CALL."""

LONGEST_CALL = 30.0
"""Seconds from a request to the end of its answer where a claim waits for it (a CRM). With the last
silence (30 s) and connecting (10 s) it is over before a claim made 50 s before it (ledger: 120
s)."""

LONGEST_ANSWER = 300.0
"""Seconds that an answer may take which nobody's claim waits for: a large page of a slow shop."""


def is_loopback(host: str) -> bool:
    """True for localhost and loopback addresses, where plain http is allowed."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def http_client(base_url: str, *, auth: httpx.Auth | None = None) -> httpx.Client:
    """A client bound to one host. Raises BadInput for plain http off loopback."""
    parts = urlsplit(base_url)
    host = parts.hostname or ""
    if parts.scheme not in ("https", "http") or not host:
        raise BadInput(f"{parts.scheme}://{host} is no web address: give https://host/path")
    if parts.scheme == "http" and not is_loopback(host):
        raise BadInput(f"http://{host} would send credentials in the clear: use https")
    return httpx.Client(
        base_url=base_url.rstrip("/") + "/", auth=auth, timeout=TIMEOUT, verify=_trusted()
    )


@cache
def _trusted() -> ssl.SSLContext:
    """Whom we trust, read once: each reading of the certificates takes 19 ms."""
    return httpx.create_ssl_context()


def send(
    client: httpx.Client, request: httpx.Request, *, within: float | None = None
) -> httpx.Response:
    """Send once, to the client's own host only, `within` so many seconds (LONGEST_ANSWER).

    Raises Transient when no answer came, or not all of it in time, Permanent `answer_too_large`
    for one beyond all measure.
    """
    if request.url.host != client.base_url.host:
        raise Permanent(f"a call to {request.url.host} was refused: not this connection's host")
    until = time.monotonic() + (LONGEST_ANSWER if within is None else within)
    try:
        with given_back():
            answer = client.send(request, stream=True)
            try:
                return _whole(answer, until)
            finally:
                answer.close()
    except httpx.TimeoutException as error:
        raise Transient(f"{request.url.host} did not answer in time", code="timeout") from error
    except httpx.RequestError as error:
        raise Transient(
            f"{request.url.host} could not be reached ({type(error).__name__})", code="unreachable"
        ) from error


def _whole(answer: httpx.Response, until: float) -> httpx.Response:
    """The answer with its body, read piece by piece: a small packed one may unpack to anything,
    and one that drips never runs into the client's timeout."""
    pieces: list[bytes] = []
    size = 0
    for piece in answer.iter_bytes():
        pieces.append(piece)
        size += len(piece)
        if time.monotonic() > until:
            raise httpx.ReadTimeout("the answer did not end in time", request=answer.request)
        if size > LARGEST_ANSWER:
            raise Permanent(
                f"{answer.url.host} sent more than {LARGEST_ANSWER} bytes in one answer: it was "
                "not read to its end; find the huge object in the store and make it smaller",
                status=answer.status_code,
                code=TOO_LARGE,
            )
    headers = [one for one in answer.headers.multi_items() if one[0].lower() not in _OF_THE_WIRE]
    return httpx.Response(
        answer.status_code, headers=headers, content=b"".join(pieces), request=answer.request
    )


def retry_after(response: httpx.Response) -> float | None:
    """Seconds of a Retry-After header, given as a number or as a date; None without one."""
    value = response.headers.get("retry-after")
    if value is None:
        return None
    if value.strip().isdigit():
        return float(value)
    try:
        when = parsedate_to_datetime(value)
        sent = parsedate_to_datetime(response.headers["date"])
    except (ValueError, KeyError):
        return None
    return max(0.0, (when - sent).total_seconds())
