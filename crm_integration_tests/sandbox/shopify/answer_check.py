"""Compares an answer with Shopify's schema: every value of the right type, no null but where one
may be, and nothing that was not asked for.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLEnumType,
    GraphQLList,
    GraphQLNonNull,
    GraphQLScalarType,
    OperationDefinitionNode,
)

_SCALARS = {
    "ID": r"gid://shopify/[A-Za-z]+/\d+(\?.*)?",
    "DateTime": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "Decimal": r"-?\d+\.\d+",
    "Money": r"-?\d+\.\d\d+",
    "UnsignedInt64": r"\d+",
    "URL": r"https?://\S+",
    "HTML": r".*",
    "String": r"(?s).*",
}


class AnswerCheck:
    """Checks the answer to one document."""

    def __init__(self, schema: Any, document: DocumentNode) -> None:
        self._schema = schema
        self._fragments = {one.name.value: one for one in document.definitions
                           if isinstance(one, FragmentDefinitionNode)}  # fmt: skip
        self._operation = next(
            one for one in document.definitions if isinstance(one, OperationDefinitionNode)
        )
        self.checked = 0

    def problems(self, data: dict[str, Any]) -> list[str]:
        """What is wrong with the data, by path."""
        root = self._schema.get_root_type(self._operation.operation)
        return list(self._object(root, [self._operation.selection_set], data, "data"))

    def _fields(self, kind: Any, sets: list[Any]) -> dict[str, list[FieldNode]]:
        found: dict[str, list[FieldNode]] = {}
        for one in (held for selection in sets for held in selection.selections):
            if isinstance(one, FieldNode):
                key = one.alias.value if one.alias else one.name.value
                found.setdefault(key, []).append(one)
                continue
            held = self._fragments[one.name.value] if isinstance(one, FragmentSpreadNode) else one
            if held.type_condition is None or held.type_condition.name.value in self._names(kind):
                for key, nodes in self._fields(kind, [held.selection_set]).items():
                    found.setdefault(key, []).extend(nodes)
        return found

    def _names(self, kind: Any) -> set[str]:
        return {kind.name, *(one.name for one in getattr(kind, "interfaces", ()))}

    def _object(self, kind: Any, sets: list[Any], value: Any, path: str) -> Iterator[str]:
        if not isinstance(value, dict):
            yield f"{path}: {value!r} is no {kind}"
            return
        kind = self._schema.type_map[value.get("__typename", kind.name)]
        fields = self._fields(kind, sets)
        if fields.keys() != value.keys():
            yield f"{path}: {sorted(fields.keys() ^ value.keys())} are missing or too many"
        for key, nodes in fields.items():
            if nodes[0].name.value != "__typename" and key in value:
                declared = kind.fields[nodes[0].name.value].type
                inner = [node.selection_set for node in nodes if node.selection_set]
                yield from self._value(declared, inner, value[key], f"{path}.{key}")

    def _value(self, kind: Any, sets: list[Any], value: Any, path: str) -> Iterator[str]:
        self.checked += 1
        if isinstance(kind, GraphQLNonNull):
            if value is None:
                yield f"{path}: null where {kind} may not be"
                return
            kind = kind.of_type
        if value is None:
            return
        if isinstance(kind, GraphQLList):
            if not isinstance(value, list):
                yield f"{path}: no list"
                return
            for n, one in enumerate(value):
                yield from self._value(kind.of_type, sets, one, f"{path}[{n}]")
        elif isinstance(kind, GraphQLEnumType):
            if value not in kind.values:
                yield f"{path}: {value!r} is not in {kind}"
        elif isinstance(kind, GraphQLScalarType):
            yield from self._scalar(kind.name, value, path)
        else:
            yield from self._object(kind, sets, value, path)

    def _scalar(self, name: str, value: Any, path: str) -> Iterator[str]:
        if name == "Int":
            fits = isinstance(value, int) and -(2**31) <= value < 2**31
        elif name in {"Boolean", "Float"}:
            fits = isinstance(value, bool if name == "Boolean" else float)
        else:
            pattern = _SCALARS[name]
            fits = isinstance(value, str) and re.fullmatch(pattern, value) is not None
        if not fits:
            yield f"{path}: {value!r} is no {name}"
