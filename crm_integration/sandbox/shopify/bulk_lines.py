"""The lines of a bulk operation's file, and what such a query may not be.

Prevents the failure of a backfill that works in the sandbox alone: Shopify takes at most five
connections, two levels deep, none inside a list, and parents must tell their id.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from crm_integration.sandbox.shopify.execute import Named, reader
from crm_integration.sandbox.shopify.plan import Planned

Json = dict[str, Any]
_MOST_CONNECTIONS, _MOST_LEVELS = 5, 2


@dataclass(frozen=True, slots=True)
class _Level:
    """One connection: how its things are listed, written, and which connections hang below."""

    listing: Callable[[Any], Any]
    write: list[tuple[str, Callable[[Any], Any]]]
    below: list[_Level]

    def line(self, source: Any) -> Json:
        return {key: read(source) for key, read in self.write}


class BulkLines:
    """All lines of one planned query."""

    def __init__(self, roots: list[Planned], named: Named) -> None:
        self.denied = any(_denied(root) for root in roots)
        self._levels = [] if self.denied else [_level(root, named) for root in roots]

    def roots_held(self) -> int:
        return sum(1 for level in self._levels for _ in level.listing(None).everything())

    def lines(self, *, grouped: bool) -> Iterator[tuple[bool, Json]]:
        """(is it a root, line); children follow their parent if grouped, else come before it."""
        for level in self._levels:
            for source in level.listing(None).everything():
                line = level.line(source)
                if grouped:
                    yield True, line
                for child in _below(level, source, line["id"] if level.below else None, grouped):
                    yield False, child
                if not grouped:
                    yield True, line


def _below(level: _Level, source: Any, parent: Any, grouped: bool) -> Iterator[Json]:
    for lower in level.below:
        for held in lower.listing(source).everything():
            line = lower.line(held)
            line["__parentId"] = parent
            if grouped:
                yield line
            yield from _below(lower, held, line["id"] if lower.below else None, grouped)
            if not grouped:
                yield line


def problem(roots: list[Planned]) -> str:
    """Why this cannot be run in bulk, in Shopify's words; empty where it can."""
    connections = [one for root in roots for one in _connections(root)]
    if not connections or any(not root.spec.is_connection for root in roots):
        return "Bulk queries must contain at least one connection."
    if len(connections) > _MOST_CONNECTIONS:
        return f"Bulk queries cannot contain more than {_MOST_CONNECTIONS} connections."
    if max(_depth(root) for root in roots) > _MOST_LEVELS + 1:
        return f"Bulk queries cannot contain connections with a nesting depth greater than {_MOST_LEVELS}."  # noqa: E501
    if any(_in_list(root, inside=False) for root in roots):
        return "Queries that contain a connection field within a list field are not currently supported."  # noqa: E501
    for one in connections:
        nodes = _nodes(one)
        nested = [child for child in nodes if child.spec.is_connection]
        if nested and not any(child.key == child.name == "id" for child in nodes):
            return (
                "The parent 'node' field for a nested connection must select the 'id' field without"
                " an alias and must be of 'ID' return type. Connection fields without 'id': "
                f"{one.name}."
            )
    return ""


def _connections(planned: Planned) -> Iterator[Planned]:
    if planned.spec.is_connection:
        yield planned
    for child in planned.children:
        yield from _connections(child)


def _depth(planned: Planned) -> int:
    below = max((_depth(child) for child in planned.children), default=0)
    return below + planned.spec.is_connection


def _in_list(planned: Planned, *, inside: bool) -> bool:
    if inside and planned.spec.is_connection:
        return True
    listed = planned.spec.is_list and planned.name not in {"nodes", "edges"}
    return any(_in_list(child, inside=inside or listed) for child in planned.children)


def _denied(planned: Planned) -> bool:
    return bool(planned.denied) or any(_denied(child) for child in planned.children)


def _nodes(planned: Planned) -> list[Planned]:
    """What is asked of a connection's things, through `nodes` or `edges { node }`."""
    found: dict[str, Planned] = {}
    for one in planned.children:
        held = [one] if one.name == "nodes" else [
            inner for inner in one.children if inner.name == "node"
        ] if one.name == "edges" else []  # fmt: skip
        for part in held:
            found.update({child.key: child for child in part.children})
    return list(found.values())


def _level(planned: Planned, named: Named) -> _Level:
    read, call = planned.spec.read, planned.call
    nodes = _nodes(planned)
    return _Level(
        listing=lambda source: read(source, call),
        write=[(one.key, reader(one, named)) for one in nodes if not one.spec.is_connection],
        below=[_level(one, named) for one in nodes if one.spec.is_connection],
    )
