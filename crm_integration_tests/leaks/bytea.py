"""The bytes inside a dump: every bytea unescaped, so that they can be searched as they are.

Prevents the search of a dump that sees only `\\x6a6f…` where a customer's name stands
(`pg_dump` writes bytea as hex, or, under `bytea_output = escape`, as octal escapes).
"""

from __future__ import annotations

import re
import zlib
from binascii import unhexlify
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import BinaryIO

BLOCK = 64_000_000  # bytes in memory at once; a dump may have gigabytes
_COPY = re.compile(rb"^COPY (\S+) \(", re.MULTILINE)
_HEX_BYTEA = re.compile(rb"\\x((?:[0-9a-fA-F]{2}){8,})")  # shorter ones hold no needle
# A backslash is doubled by bytea_output = escape and once more by COPY.
_ESCAPED = re.compile(rb"\\\\([0-3][0-7]{2})|\\{4}")
_ZLIB_OR_GZIP = (b"\x78", b"\x1f\x8b")
_MOST_INFLATED = 16_000_000


@dataclass(frozen=True, slots=True)
class Layer:
    """One reading of a haystack; `starts` and `names` say which table a position belongs to."""

    content: bytes
    suffix: str = ""
    starts: list[int] = field(default_factory=list[int])
    names: list[str] = field(default_factory=list[str])

    def region(self, position: int) -> str:
        """`, table public.customers`; empty before the first table."""
        index = bisect_right(self.starts, position) - 1
        return f", table {self.names[index]}" if index >= 0 else ""


def blocks_of(stream: BinaryIO) -> Iterator[bytes]:
    """A haystack piece by piece, each ending with a line: no row of a dump is cut in two."""
    while block := stream.read(BLOCK):
        yield block + stream.readline()


def layers_of(content: bytes, table: str = "") -> Iterator[Layer]:
    """The haystack as it is; then, where there are any, its bytea decoded from hex and octal.

    `table` is the one whose rows it begins with.
    """
    plain = Layer(content, "", *_tables(content, table))
    yield plain
    decoded = _decoded(plain)
    if decoded.content:
        yield decoded
    if _ESCAPED.search(content):
        unescaped = _ESCAPED.sub(_unescaped, content)
        yield Layer(unescaped, " in escaped bytea", *_tables(unescaped, table))


def _tables(content: bytes, first: str) -> tuple[list[int], list[str]]:
    starts, names = ([0], [first]) if first else ([], [])
    for found in _COPY.finditer(content):
        starts.append(found.start())
        names.append(found[1].decode(errors="replace"))
    return starts, names


def _decoded(dump: Layer) -> Layer:
    """Every hex bytea, one after the other, compressed ones once more inflated."""
    parts = list[bytes]()
    starts, names = list[int](), list[str]()
    length = 0
    for found in _HEX_BYTEA.finditer(dump.content):
        value = unhexlify(found[1])
        table = dump.region(found.start()).removeprefix(", table ")
        if table and (not names or names[-1] != table):
            starts.append(length)
            names.append(table)
        for part in (value, b"\n", _inflated(value), b"\n"):
            parts.append(part)
            length += len(part)
    return Layer(b"".join(parts), " in bytea", starts, names)


def _inflated(value: bytes) -> bytes:
    if not value.startswith(_ZLIB_OR_GZIP):
        return b""
    try:
        return zlib.decompressobj(wbits=47).decompress(value, _MOST_INFLATED)  # 47: either header
    except zlib.error:
        return b""  # ciphertext may begin like that


def _unescaped(found: re.Match[bytes]) -> bytes:
    return bytes([int(found[1], 8)]) if found[1] else b"\\"
