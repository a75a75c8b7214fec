"""Finds many byte strings at once: a table of their first 8 bytes, looked up at every position.

Prevents the choice between a slow search and none: an alternation of 100,000 patterns in `re`
tries each at each position.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

import numpy as np
import numpy.typing as npt

GRAM = 8  # bytes compared at first; every pattern has as many
_BITS = 22  # 4 MB of table; 200,000 patterns fill a twentieth of it
_SPREAD = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: Fibonacci hashing
_DROP = np.uint64(64 - _BITS)


class PatternTable:
    """Byte strings of at least `GRAM` bytes, ready to be found."""

    def __init__(self, patterns: Iterable[bytes]) -> None:
        lengths = defaultdict[int, set[int]](set)
        self._patterns = frozenset(patterns)
        for pattern in self._patterns:
            lengths[int.from_bytes(pattern[:GRAM], "little")].add(len(pattern))
        self._lengths = {gram: sorted(found) for gram, found in lengths.items()}
        self._grams = np.array(sorted(lengths), dtype=np.uint64)
        self._table = np.zeros(2**_BITS, dtype=np.bool_)
        self._table[_slots(self._grams)] = True
        self.longest = max(map(len, self._patterns), default=0)

    def find(self, content: bytes) -> Iterator[tuple[int, bytes]]:
        """Position and pattern of every occurrence, overlapping ones too; in no set order."""
        if not self._patterns:
            return
        for position in self._candidates(content):
            gram = int.from_bytes(content[position : position + GRAM], "little")
            for length in self._lengths.get(gram, ()):
                piece = content[position : position + length]
                if piece in self._patterns:
                    yield position, piece

    def _candidates(self, content: bytes) -> Iterator[int]:
        for shift in range(min(GRAM, max(0, len(content) - GRAM + 1))):
            count = (len(content) - shift) // GRAM
            grams = np.frombuffer(content, dtype="<u8", count=count, offset=shift)
            maybe = np.flatnonzero(self._table[_slots(grams)])
            sure = maybe[np.isin(grams[maybe], self._grams)]
            yield from (sure * GRAM + shift).tolist()


def _slots(grams: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    return (grams * _SPREAD) >> _DROP
