"""Which fields an answer shows: `params` with its poor default, `exclude`, `response_fields`.

Prevents the connector that takes the default fields for all: an order without currency, dates
and refunds looks complete until the first sum is wrong.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, cast

from crm_integration.sandbox.api2cart.envelope import Failure, wrong
from crm_integration.sandbox.api2cart.methods import Method
from crm_integration.sandbox.api2cart.parameters import Given
from crm_integration.sandbox.shop_state import Json

T = TypeVar("T")
#: A node of response_fields: None is "all of it".
Tree = dict[str, "Tree | None"]
_WORD = re.compile(r"[A-Za-z0-9_-]+|[{},*]")
_NOTHING: Tree = {}


@dataclass(frozen=True)
class Entity(Generic[T]):
    """How one kind of object is written: a builder for each field, and `params`' own words."""

    fields: Mapping[str, Callable[[T], Any]]
    aliases: Mapping[str, tuple[str, ...]] = field(default_factory=dict[str, tuple[str, ...]])


@dataclass(frozen=True, slots=True)
class Selection:
    """`tree` of response_fields wins; else `names` (None: all) less `without`."""

    tree: Tree | None
    chosen_by_tree: bool
    names: frozenset[str] | None
    without: frozenset[str]

    @classmethod
    def of(cls, method: Method, given: Given) -> Selection:
        """Raises: Failure (109) where response_fields is no list in braces."""
        text = given.text("response_fields")
        names = given.several("params") or frozenset(method.fields.split(","))
        all_fields = "force_all" in names
        without = given.several("exclude") if all_fields else None
        return cls(
            tree=read_tree(text) if text else None,
            chosen_by_tree=text is not None,
            names=None if all_fields else names,
            without=without or frozenset(),
        )

    def shows(self, name: str) -> bool:
        """Whether a block of the envelope is shown; params never takes one away."""
        return self.tree is None or name in self.tree

    def rows(self, entity: Entity[T], ones: Iterable[T], *path: str) -> list[Json]:
        """The objects with the chosen fields; only these are built."""
        node = self._node(path)
        builders = [(name, entity.fields[name]) for name in self._names(entity, node)]
        rows = [{name: build(one) for name, build in builders} for one in ones]
        return cast("list[Json]", pruned(rows, node)) if node else rows

    def one(self, entity: Entity[T], held: T) -> Any:
        """An object that is itself the result; [] where nothing of it was asked, as recorded."""
        return self.rows(entity, [held], "result")[0] or []

    def cut(self, result: Json) -> Any:
        """The result's own fields (counts and the list), [] where none was asked."""
        node = self._node(("result",))
        if node is None:
            return result
        return {name: value for name, value in result.items() if name in node} or []

    def _node(self, path: tuple[str, ...]) -> Tree | None:
        node = self.tree
        for name in path:
            if node is None:
                return None
            node = node.get(name, _NOTHING)
        return node

    def _names(self, entity: Entity[T], node: Tree | None) -> list[str]:
        if self.chosen_by_tree:
            return [name for name in entity.fields if node is None or name in node]
        if self.names is None:
            hidden = _spelled_out(entity, self.without)
            return [name for name in entity.fields if name not in hidden]
        wanted = _spelled_out(entity, self.names)
        return [name for name in entity.fields if name in wanted]


def _spelled_out(entity: Entity[T], names: frozenset[str]) -> set[str]:
    return {real for name in names for real in entity.aliases.get(name, (name,))}


def pruned(value: Any, node: Tree | None) -> Any:
    """A value with the named fields only, at every depth."""
    if node is None:
        return value
    if isinstance(value, list):
        return [pruned(item, node) for item in cast("list[Any]", value)]
    if isinstance(value, dict):
        held = cast(Json, value)
        return {name: pruned(held[name], node[name]) for name in held if name in node}
    return value


def read_tree(text: str) -> Tree | None:
    """`{return_code,result{order{id,total{total}}}}`; `{*}` is None, all of it.

    Raises:
        Failure: 109.
    """
    words = _WORD.findall(text)
    if "".join(words) != re.sub(r"\s", "", text):
        raise _no_tree()
    tree, end = _braces(words, 0)
    if end != len(words):
        raise _no_tree()
    return tree


def _no_tree() -> Failure:
    return wrong("response_fields", "a list of fields in braces like {result{order{id}}}")


def _braces(words: list[str], at: int) -> tuple[Tree | None, int]:
    if at >= len(words) or words[at] != "{":
        raise _no_tree()
    tree: Tree = {}
    everything = False
    at += 1
    while True:
        name = words[at] if at < len(words) else ""
        if name in {"", "{", "}", ","}:
            raise _no_tree()
        at += 1
        everything = everything or name == "*"
        inner: Tree | None = None
        if at < len(words) and words[at] == "{":
            inner, at = _braces(words, at)
        tree[name] = inner
        if at < len(words) and words[at] == ",":
            at += 1
        elif at < len(words) and words[at] == "}":
            return (None if everything else tree), at + 1
        else:
            raise _no_tree()
