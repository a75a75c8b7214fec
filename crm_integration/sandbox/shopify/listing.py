"""Connections: pages by cursor over things in order.

Prevents the failure of an emulator kinder than the shop: a cursor says after which value and id
to go on, not at which row, so what is edited during a scan moves behind or before the reader.
"""

from __future__ import annotations

import base64
import binascii
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, cast

import orjson

MAX_PAGE = 250


class BadPage(ValueError):
    """The page asked for cannot be: its size or its cursor."""


@dataclass(frozen=True, slots=True)
class Page:
    """first/after or last/before, and whether the order is turned round."""

    first: int | None
    after: str | None
    last: int | None
    before: str | None
    reverse: bool

    @classmethod
    def of(cls, args: Mapping[str, Any]) -> Page:
        """The page that a connection's arguments ask for.

        Raises:
            BadPage: with Shopify's words, where there is no size, two, or one beyond 250.
        """
        first, last = args.get("first"), args.get("last")
        if first is None and last is None:
            raise BadPage("you must provide one of first or last")
        if first is not None and last is not None:
            raise BadPage("providing both first and last is not supported")
        size = first if first is not None else last
        if not isinstance(size, int) or not 0 <= size <= MAX_PAGE:
            raise BadPage(f"The page size must be between 0 and {MAX_PAGE}, and was {size}.")
        return cls(first, args.get("after"), last, args.get("before"), bool(args.get("reverse")))

    @property
    def size(self) -> int:
        return self.first if self.first is not None else self.last or 0


@dataclass(frozen=True, slots=True)
class Window:
    """One page: its things and where it lies."""

    nodes: list[Any]
    places: Sequence[tuple[int, int]]
    has_next: bool
    has_previous: bool

    def cursor(self, position: int) -> str | None:
        return write_cursor(self.places[position]) if self.places else None

    def edges(self) -> list[tuple[str, Any]]:
        return [
            (write_cursor(place), node) for place, node in zip(self.places, self.nodes, strict=True)
        ]


class Listing(Protocol):
    """Something a connection can page through, and a bulk operation can read whole."""

    def window(self, page: Page) -> Window: ...

    def everything(self) -> Iterator[Any]: ...


def write_cursor(place: tuple[int, int]) -> str:
    """Opaque to the caller; inside are the last value and the last id, as in Shopify's."""
    value, key = place
    return base64.b64encode(orjson.dumps({"last_id": key, "last_value": str(value)})).decode()


def read_cursor(text: str) -> tuple[int, int]:
    """Raises: BadPage with Shopify's words for what is no cursor."""
    try:
        held = cast(dict[str, Any], orjson.loads(base64.b64decode(text, validate=True)))
        return int(held["last_value"]), int(held["last_id"])
    except (binascii.Error, ValueError, KeyError, TypeError) as wrong:
        raise BadPage("Invalid cursor for current pagination sort.") from wrong


@dataclass(frozen=True, slots=True)
class Sorted:
    """Things by (sort value, id), ascending; `load` gives None for what is gone or filtered out."""

    pairs: Sequence[tuple[int, int]]
    load: Callable[[int], Any]
    turned: bool = False

    def everything(self) -> Iterator[Any]:
        for _, key in reversed(self.pairs) if self.turned else self.pairs:
            held = self.load(key)
            if held is not None:
                yield held

    def count(self, limit: int | None) -> int:
        """How many there are; stops at `limit`."""
        found = 0
        for _ in self.everything():
            found += 1
            if limit is not None and found >= limit:
                break
        return found

    def window(self, page: Page) -> Window:
        low, high = self._stretch(page)
        upwards = (page.first is not None) != self.turned
        found, more = self._walk(low, high, page.size, upwards=upwards)
        if not upwards:
            found.reverse()
        below, above = self._any_below(low), self._any_above(high)
        below, above = (below, above or more) if upwards else (below or more, above)
        if self.turned:
            found.reverse()
            below, above = above, below
        return Window([node for _, node in found], [place for place, _ in found], above, below)

    def _stretch(self, page: Page) -> tuple[int, int]:
        """Positions between the cursors; a turned list's `after` bounds it from above."""
        lower, upper = (page.before, page.after) if self.turned else (page.after, page.before)
        low, high = 0, len(self.pairs)
        if lower is not None:
            low = bisect_right(self.pairs, read_cursor(lower))
        if upper is not None:
            high = max(low, bisect_left(self.pairs, read_cursor(upper)))
        return low, high

    def _walk(
        self, low: int, high: int, size: int, *, upwards: bool
    ) -> tuple[list[tuple[tuple[int, int], Any]], bool]:
        """Up to `size` things from one end of the stretch, and whether there are more in it."""
        found: list[tuple[tuple[int, int], Any]] = []
        for position in range(low, high) if upwards else range(high - 1, low - 1, -1):
            held = self.load(self.pairs[position][1])
            if held is None:
                continue
            if len(found) == size:
                return found, True
            found.append((self.pairs[position], held))
        return found, False

    def _any_below(self, low: int) -> bool:
        return any(self.load(self.pairs[n][1]) is not None for n in range(low - 1, -1, -1))

    def _any_above(self, high: int) -> bool:
        return any(self.load(self.pairs[n][1]) is not None for n in range(high, len(self.pairs)))


@dataclass(frozen=True, slots=True)
class Few:
    """A short list inside one object, such as an order's lines; the cursor is place and id."""

    things: list[Any]
    id_of: Callable[[Any], int]

    def everything(self) -> Iterator[Any]:
        return iter(self.things)

    def window(self, page: Page) -> Window:
        if page.first is not None and page.after is None and not page.reverse:
            nodes = self.things[: page.first]
            return Window(nodes, self._places(nodes), len(self.things) > page.first, False)
        held = {n: thing for n, thing in enumerate(self.things)}
        pairs = [(n, self.id_of(thing)) for n, thing in held.items()]
        by_id = {key: held[n] for n, key in pairs}
        return Sorted(pairs, by_id.get, page.reverse).window(page)

    def _places(self, nodes: list[Any]) -> _Places:
        return _Places(nodes, self.id_of)


class _Places(Sequence[tuple[int, int]]):
    """Cursors' places made only when somebody looks at one."""

    def __init__(self, nodes: list[Any], id_of: Callable[[Any], int]) -> None:
        self._nodes, self._id_of = nodes, id_of

    def __len__(self) -> int:
        return len(self._nodes)

    def __getitem__(self, position: Any) -> Any:
        at = position if position >= 0 else position + len(self._nodes)
        return at, self._id_of(self._nodes[at])
