"""Bodies that a store sends compressed: opened within bounds, kept as they came.

Prevents the bomb: 1 MB of gzip can stand for 1 GB, so a body is opened piece by piece and given
up where it passes the limit, before that much memory is taken.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping

_WINDOW = {"gzip": 31, "x-gzip": 31, "deflate": 15}
"""zlib's window bits: 16 more mean a gzip header, and 15 is the largest window."""


class TooLargeOpened(ValueError):
    """The body has more bytes than allowed once it is opened."""


class UnknownCoding(ValueError):
    """A coding, or several, that nobody here can open."""


class BrokenCoding(ValueError):
    """The body is not what its content-encoding says."""


def opened(headers: Mapping[str, str], body: bytes, *, limit: int) -> bytes:
    """The body without its content coding.

    Raises TooLargeOpened, UnknownCoding, BrokenCoding.
    """
    coding = headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        if len(body) > limit:
            raise TooLargeOpened
        return body
    if coding not in _WINDOW:
        raise UnknownCoding
    return _inflated(body, _WINDOW[coding], limit)


def _inflated(body: bytes, window: int, limit: int) -> bytes:
    machine = zlib.decompressobj(window)
    try:
        made = machine.decompress(body, limit + 1)
    except zlib.error as error:
        raise BrokenCoding from error
    if len(made) > limit:
        raise TooLargeOpened
    if not machine.eof or machine.unused_data:
        raise BrokenCoding
    return made
