"""The shape of payloads: which paths they have, and of which JSON types the values are.

Prevents the store's changed API from being found by a merchant: a field that vanished or became
a number is seen in the payload itself, before anybody wonders about empty fields in the CRM.

No value is kept, only paths such as `lines[].price`. Names of keys can be personal too, so what
does not look like a field's name (digits beyond four, an `@`, other than ASCII letters) and every
key of an object with more than 100 keys is one path, `*`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Any

ROOT, ITEM, ANY_KEY = "$", "[]", "*"
MAX_DEPTH = 12
"""Levels that are followed; payloads nested deeper are cut off there, unread."""
MAX_ITEMS = 50
"""Items of a list that are looked at: its first ones."""
MAX_KEYS = 100
"""An object with more keys is a map, of which this many entries are looked at."""
MAX_PATHS = 1_500
"""Paths of a topic; a store that sends more is told so, and what comes on top is not followed."""
MAX_NODES = 10_000
"""Values of one payload that are looked at."""

_NAME = re.compile(r"[A-Za-z_$][A-Za-z_$-]*(?:\d{1,4}[A-Za-z_$-]*)?", re.ASCII)
_MAX_NAME = 60


class Kind(IntFlag):
    """The JSON types; a number may be written with or without decimals."""

    null = 1
    boolean = 2
    number = 4
    string = 8
    array = 16
    object = 32


_ANY = 63
_ARRAY, _OBJECT = 16, 32
_KIND_OF: dict[type, int] = {
    type(None): 1, bool: 2, int: 4, float: 4, str: 8, list: 16, dict: 32,
}  # fmt: skip


def kind_names(kinds: int) -> str:
    """`number or string`; a null beside another type is not named."""
    told = kinds & ~Kind.null or kinds
    return " or ".join(str(one.name) for one in Kind if one & told) or "nothing"


def known_kinds(stored: int) -> int:
    """What may come on a path: of one that only ever was null, anything; 0 is not accepted yet."""
    if not stored:
        return 0
    return _ANY if not stored & ~Kind.null else stored | Kind.null


def collapsed(key: str) -> str:
    """The key if it looks like the name of a field, else `*`."""
    return key if len(key) <= _MAX_NAME and _NAME.fullmatch(key) else ANY_KEY


@dataclass(slots=True)
class Node:
    """One path, and what was seen on it since it was last saved.

    `holders` could have had it, `present` had a value. `known` are the types of before; of
    every other one `odd` holds how often it came and in which raw record first.
    """

    path: str
    known: int = 0
    is_new: bool = True
    holders: int = 0
    present: int = 0
    first_raw_id: int = 0
    last_raw_id: int = 0
    absent_raw_id: int = 0
    odd: dict[int, tuple[int, int]] = field(default_factory=lambda: dict[int, tuple[int, int]]())
    children: dict[str, Node] = field(default_factory=lambda: dict[str, Node]())

    def accept(self, stored: int) -> None:
        """These types are known from now on."""
        self.known |= known_kinds(stored)
        for kind in [kind for kind in self.odd if kind & self.known]:
            del self.odd[kind]

    def forget_counts(self) -> None:
        """What was seen is saved; the types that are not known yet go on being counted."""
        self.holders = self.present = self.absent_raw_id = 0
        self.odd.clear()


@dataclass
class Shape:
    """The paths of one topic as a tree. `learns`: what is new becomes known at once.

    Of the `required` paths and what they lie in each payload is looked at, of all others a
    sample. `broken` names the first unknown path and type of the payload looked at last.
    """

    learns: bool
    known: Mapping[str, int]
    required: Iterable[str] = ()
    root: Node = field(init=False)
    needs: Node = field(init=False)
    paths: int = 0
    capped: bool = False
    broken: tuple[str, int] | None = None
    _raw_id: int = 0
    _left: int = 0

    def __post_init__(self) -> None:
        self.root, self.needs = self._node(ROOT), self._node(ROOT)
        for path in self.required:
            node = self.needs
            for step in re.findall(r"\[\]|[^.\[\]]+", path):
                place = node.children.get(step)
                node = place or node.children.setdefault(step, self._node(_join(node.path, step)))

    def look(self, raw_id: int, payload: Mapping[str, Any], *, whole: bool) -> None:
        """Count a payload's required paths, and with `whole` all of its paths."""
        self._raw_id, self._left, self.broken = raw_id, MAX_NODES, None
        if self.needs.children:
            self._need(self.needs, payload, _OBJECT)
        if whole:
            self._see(self.root, payload)
            self._follow(self.root, payload, _OBJECT, 0)

    def nodes(self) -> Iterable[Node]:
        """Every path seen or required, required ones as each payload showed them."""
        needed = {node.path: node for node in _below(self.needs)}
        yield from needed.values()
        yield from (node for node in (self.root, *_below(self.root)) if node.path not in needed)

    def required_paths(self) -> frozenset[str]:
        """The required paths and everything they lie in."""
        return frozenset(node.path for node in _below(self.needs))

    def _node(self, path: str) -> Node:
        known = self.known.get(path)
        return Node(path) if known is None else Node(path, known_kinds(known), is_new=False)

    def _follow(self, node: Node, value: Any, kind: int, depth: int) -> None:
        if depth >= MAX_DEPTH or self._left <= 0:
            self.capped = True
        elif kind == _OBJECT:
            self._follow_object(node, value, depth + 1)
        elif kind == _ARRAY:
            self.capped |= len(value) > MAX_ITEMS
            for item in value[:MAX_ITEMS]:
                self._enter(node, ITEM, item, depth + 1, 1)

    def _follow_object(self, node: Node, value: dict[str, Any], depth: int) -> None:
        is_map = len(value) > MAX_KEYS
        children = node.children
        for number, (key, one) in enumerate(value.items()):
            if number >= MAX_KEYS:
                self.capped = True
                break
            child = None if is_map else children.get(key)
            if child is None:
                self._enter(node, ANY_KEY if is_map else collapsed(key), one, depth, 0)
                continue
            kind = _KIND_OF[type(one)]
            child.present += kind != 1
            child.last_raw_id = self._raw_id
            if not kind & child.known:
                self._odd(child, kind)
            if kind >= _ARRAY:
                self._follow(child, one, kind, depth)
        self._left -= len(value)
        for child in children.values():
            child.holders += 1

    def _enter(self, node: Node, step: str, value: Any, depth: int, holders: int) -> None:
        """The slow way in: a path not seen in this run, an item, an entry of a map."""
        child = node.children.get(step)
        if child is None:
            if self.paths >= MAX_PATHS:
                self.capped = True
                return
            self.paths += 1
            child = node.children[step] = self._node(_join(node.path, step))
        child.holders += holders
        self._left -= 1
        kind = self._see(child, value)
        if kind >= _ARRAY:
            self._follow(child, value, kind, depth)

    def _see(self, node: Node, value: Any) -> int:
        kind = _KIND_OF[type(value)]
        node.present += kind != 1
        node.last_raw_id = self._raw_id
        if node.path == ROOT:
            node.holders += 1
        if not kind & node.known:
            self._odd(node, kind)
        return kind

    def _odd(self, node: Node, kind: int) -> None:
        node.first_raw_id = node.first_raw_id or self._raw_id
        if node.is_new and self.learns:
            node.known |= kind
            return
        times, first = node.odd.get(kind, (0, self._raw_id))
        node.odd[kind] = (times + 1, first)
        self.broken = self.broken or (node.path, kind)

    def _need(self, node: Node, value: Any, kind: int) -> None:
        for step, child in node.children.items():
            if step == ITEM:
                for item in value[:MAX_ITEMS] if kind == _ARRAY else ():
                    self._have(child, item)
            elif kind == _OBJECT:
                self._have(child, value.get(step))

    def _have(self, node: Node, value: Any) -> None:
        node.holders += 1
        if value is None:
            node.absent_raw_id = node.absent_raw_id or self._raw_id
            return
        node.present += 1
        node.last_raw_id = self._raw_id
        kind = _KIND_OF[type(value)]
        if not kind & node.known:
            self._odd(node, kind)
        if kind >= _ARRAY and node.children:
            self._need(node, value, kind)


def _join(path: str, step: str) -> str:
    if step == ITEM:
        return ITEM if path == ROOT else path + ITEM
    return step if path == ROOT else f"{path}.{step}"


def _below(node: Node) -> Iterable[Node]:
    for child in node.children.values():
        yield child
        yield from _below(child)
