"""Searches dumps and logs for personal data and secrets in every form it may hide in.

Prevents a promise without proof ("a dump shows no personal data"). It takes seconds for a hundred
megabytes and ten thousand needles, so that it runs with the tests. A hit never holds the text.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

from crm_integration_tests.leaks.bytea import Layer, blocks_of, layers_of
from crm_integration_tests.leaks.forms import Encoding, exact_forms, folded_forms
from crm_integration_tests.leaks.needles import Needle
from crm_integration_tests.leaks.scan import PatternTable

_CHUNK = 4_000_000  # bytes looked at together
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")


@dataclass(frozen=True, slots=True)
class Hit:
    """A needle that was found; `number` is its place among the needles given."""

    needle_kind: str
    encoding: str
    where: str
    number: int


def search_for(needles: Iterable[Needle], haystacks: Iterable[Path | bytes]) -> list[Hit]:
    """One hit for each needle, encoding and place (a table of a dump, or the whole haystack).

    Encodings end in " in bytea" where the bytes of a dumped bytea were decoded first.
    """
    given = tuple(needles)
    folded, exact = _Forms(given, folded_forms), _Forms(given, exact_forms)
    hits = dict[Hit, None]()
    for place, haystack in enumerate(haystacks):
        named = haystack.name if isinstance(haystack, Path) else f"bytes {place}"
        for layer in _layers(haystack):
            for start, piece in _pieces(layer.content, max(folded.longest, exact.longest)):
                hits |= dict.fromkeys(folded.hits(layer, named, start, piece.lower()))
                hits |= dict.fromkeys(exact.hits(layer, named, start, piece))
    return list(hits)


def _layers(haystack: Path | bytes) -> Iterator[Layer]:
    table = ""
    with haystack.open("rb") if isinstance(haystack, Path) else BytesIO(haystack) as stream:
        for block in blocks_of(stream):
            for layer in layers_of(block, table):
                yield layer
                table = layer.names[-1] if layer.names and not layer.suffix else table


def _pieces(content: bytes, overlap: int) -> Iterator[tuple[int, bytes]]:
    for start in range(0, len(content), _CHUNK):
        yield start, content[start : start + _CHUNK + overlap]


class _Forms:
    """All forms of one sort of all needles, and whose they are."""

    def __init__(
        self, needles: Sequence[Needle], forms_of: Callable[[str], Iterator[tuple[Encoding, bytes]]]
    ) -> None:
        self._needles = needles
        self._owners = defaultdict[bytes, list[tuple[int, Encoding]]](list)
        for number, needle in enumerate(needles):
            encodings = dict[bytes, Encoding]()
            for encoding, form in forms_of(needle.text):
                encodings.setdefault(form, encoding)  # the plainest name of equal forms
            for form, encoding in encodings.items():
                self._owners[form].append((number, encoding))
        self._table = PatternTable(self._owners)
        self.longest = self._table.longest

    def hits(self, layer: Layer, named: str, start: int, piece: bytes) -> Iterator[Hit]:
        """`piece` begins at `start` of the layer and has the letter case of these forms."""
        for position, form in self._table.find(piece):
            at, end = start + position, start + position + len(form)
            if form.isdigit() and _among_hex_digits(layer.content, at, end):
                continue
            where, seen = f"{named}{layer.region(at)}", layer.content[at:end]
            for number, encoding in self._owners[form]:
                needle = self._needles[number]
                if encoding == "case-folded" and seen == needle.text.encode():
                    encoding = "plain"
                yield Hit(needle.kind, encoding + layer.suffix, where, number)


def _among_hex_digits(content: bytes, at: int, end: int) -> bool:
    """A phone's bare digits stand in hex text by chance; as data they have another neighbour."""
    neighbours = content[max(0, at - 1) : at] + content[end : end + 1]
    return any(byte in _HEX_DIGITS for byte in neighbours)
