"""How a text may hide in bytes: every form a search must know to be worth anything.

Prevents the search that finds nothing because it looked for the wrong spelling: a bytea stands in
a dump as hex, so that a plain search passes even when nothing is sealed.
"""

from __future__ import annotations

import json
from base64 import b64encode, urlsafe_b64encode
from collections.abc import Iterator
from typing import Literal
from urllib.parse import quote, quote_plus

Encoding = Literal[
    "plain", "case-folded", "hex", "base64", "UTF-16-LE", "UTF-16-BE", "URL-encoded", "JSON-escaped"
]
LEAST_BYTES = 8
"""Shorter needles are refused: they stand in any dump by chance, and a form of 8 bytes is what the
scan looks for first (8 bytes give 8 characters of base64 in each of its three alignments)."""


def folded_forms(text: str) -> Iterator[tuple[Encoding, bytes]]:
    """Forms to look for in bytes whose ASCII letters were made lower case."""
    for spelling in _spellings(text):
        raw = spelling.encode()
        yield "case-folded", raw.lower()
        yield "hex", raw.hex().encode()
        yield "UTF-16-LE", spelling.encode("utf-16-le").lower()
        yield "UTF-16-BE", spelling.encode("utf-16-be").lower()
        yield "URL-encoded", quote(spelling, safe="").lower().encode()
        yield "URL-encoded", quote_plus(spelling).lower().encode()
        escaped = json.dumps(spelling)[1:-1].lower()
        yield "JSON-escaped", escaped.encode()
        yield "JSON-escaped", escaped.replace("/", "\\/").encode()
        yield "JSON-escaped", escaped.replace("\\", "\\\\").encode()  # as COPY writes it


def exact_forms(text: str) -> Iterator[tuple[Encoding, bytes]]:
    """Forms in which the case of letters means something: base64, both alphabets."""
    for spelling in _spellings(text):
        for skipped in range(3):
            # What shares a group of three bytes with the neighbours is left out, at both ends.
            inner = spelling.encode()[skipped:]
            whole = inner[: len(inner) // 3 * 3]
            yield "base64", b64encode(whole)
            yield "base64", urlsafe_b64encode(whole)


def _spellings(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys((text, text.casefold(), text.upper())))
