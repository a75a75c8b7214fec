"""What a type of this API is made of: fields with their GraphQL type and what they read.

Prevents the failure of two truths: the table that answers a query is the one it is checked
against, and every entry of it is compared with Shopify's own schema by a test.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from crm_integration.sandbox.shopify.call import Call

#: The arguments that every connection takes.
PAGE_ARGS: Mapping[str, str] = {
    "first": "Int",
    "after": "String",
    "last": "Int",
    "before": "String",
    "reverse": "Boolean",
}


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `type` in GraphQL's notation; `read` gets the object, or with `asks` the call too.

    `scope` is the access scope without which the field is denied.
    """

    type: str
    read: Callable[..., Any]
    asks: bool = False
    args: Mapping[str, str] = field(default_factory=dict[str, str])
    scope: str = ""

    @property
    def base(self) -> str:
        """The type's name without list and non-null marks."""
        return self.type.strip("[]!")

    @property
    def is_list(self) -> bool:
        return self.type.startswith("[")

    @property
    def nullable(self) -> bool:
        return not self.type.endswith("!")

    @property
    def is_connection(self) -> bool:
        return self.base.endswith("Connection")


FieldTable = Mapping[str, Field]


def plain(kind: str, read: Callable[[Any], Any], *, scope: str = "") -> Field:
    """A field that needs nothing but its object."""
    return Field(kind, read, scope=scope)


def asked(
    kind: str,
    read: Callable[[Any, Call], Any],
    args: Mapping[str, str] | None = None,
    *,
    scope: str = "",
) -> Field:
    """A field that needs the shop or its own arguments."""
    return Field(kind, read, asks=True, args=args or {}, scope=scope)


def connection(
    kind: str,
    read: Callable[[Any, Call], Any],
    args: Mapping[str, str] | None = None,
    *,
    scope: str = "",
) -> Field:
    """A connection (`kind` is its type, `OrderConnection!`); `read` gives a listing."""
    return Field(kind, read, asks=True, args={**PAGE_ARGS, **(args or {})}, scope=scope)


def _page_info() -> FieldTable:
    return {
        "hasNextPage": plain("Boolean!", lambda window: window.has_next),
        "hasPreviousPage": plain("Boolean!", lambda window: window.has_previous),
        "startCursor": plain("String", lambda window: window.cursor(0)),
        "endCursor": plain("String", lambda window: window.cursor(-1)),
    }


def _connection_fields(node: str) -> FieldTable:
    return {
        "nodes": plain(f"[{node}!]!", lambda window: window.nodes),
        "edges": plain(f"[{node}Edge!]!", lambda window: window.edges()),
        "pageInfo": plain("PageInfo!", lambda window: window),
    }


def _edge_fields(node: str) -> FieldTable:
    return {
        "cursor": plain("String!", lambda edge: edge[0]),
        "node": plain(f"{node}!", lambda edge: edge[1]),
    }


def with_connections(tables: Mapping[str, FieldTable]) -> dict[str, FieldTable]:
    """The tables and, for every connection named in them, its own, its edge's and PageInfo."""
    made: dict[str, FieldTable] = {**tables, "PageInfo": _page_info()}
    for table in tables.values():
        for one in table.values():
            if one.is_connection:
                node = one.base.removesuffix("Connection")
                made[one.base] = _connection_fields(node)
                made[f"{node}Edge"] = _edge_fields(node)
    return made
