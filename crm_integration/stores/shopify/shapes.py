"""Brings what was kept in pieces into the one form that `to_canonical` reads.

Prevents a backfilled order from differing from the same order read directly: the lines of a bulk
file and the pages of a long order both become a node with all its nested objects.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from crm_integration.stores._contract import JsonObject, Unreadable, Upcaster
from crm_integration.stores._payload import block_if_any, rows
from crm_integration.stores.shopify.objects import BULK, PIECES, TYPES, ObjectType

NODE = "node"
_PARCEL_LINES = "fulfillmentLineItems"


def from_pieces(kind: ObjectType) -> Upcaster:
    """`{"pieces": [node, further pages and parcels…]}` as one node. Raises Unreadable."""

    def upcast(payload: JsonObject) -> JsonObject:
        first, *others = _parts(payload, "pieces")
        return _with_pieces(dict(first), others, kind)

    return upcast


def from_bulk(kind: ObjectType) -> Upcaster:
    """`{"lines": [object, its children…], "pieces": […]}` as one node. Raises Unreadable."""

    def upcast(payload: JsonObject) -> JsonObject:
        parts = _parts(payload, "lines")
        roots = [part for part in parts if "__parentId" not in part]
        if len(roots) != 1:
            raise Unreadable("no_root", field="lines", fix="expected one line without __parentId")
        node = dict(roots[0])
        if kind.nested:
            children = [part for part in parts if "__parentId" in part]
            node[kind.nested] = {"nodes": [_without_parent(child) for child in children]}
        return _with_pieces(node, rows(payload, "pieces"), kind)

    return upcast


def _parts(payload: JsonObject, name: str) -> list[JsonObject]:
    parts = rows(payload, name)
    if not parts:
        raise Unreadable("no_root", field=name, fix="expected at least one piece")
    return parts


def _without_parent(child: JsonObject) -> JsonObject:
    return {name: value for name, value in child.items() if name != "__parentId"}


def _with_pieces(node: JsonObject, pieces: list[JsonObject], kind: ObjectType) -> JsonObject:
    """The node with the nested objects of each piece that is its own or of one of its parcels."""
    parcels: dict[str, JsonObject] = {}
    if "fulfillments" in node:
        parcels = {str(found.get("id")): dict(found) for found in rows(node, "fulfillments")}
        node["fulfillments"] = list(parcels.values())
    for piece in pieces:
        if piece.get("id") == node.get("id"):
            _append(node, kind.nested, piece)
        elif (parcel := parcels.get(str(piece.get("id")))) is not None:
            _append(parcel, _PARCEL_LINES, piece)
    return node


def _append(holder: JsonObject, name: str, piece: JsonObject) -> None:
    listed = [*_nodes(holder, name), *_nodes(piece, name)]
    holder[name] = {"nodes": listed}


def _nodes(holder: JsonObject, name: str) -> list[JsonObject]:
    return rows(block_if_any(holder, name), "nodes", f"{name}.")


_MAKERS: Mapping[str, Callable[[ObjectType], Upcaster]] = {BULK: from_bulk, PIECES: from_pieces}

UPCASTERS: Mapping[tuple[str, str], tuple[str, Upcaster]] = {
    (kind.name, shape): (NODE, make(kind))
    for kind in TYPES.values()
    for shape, make in _MAKERS.items()
}
"""(object type, shape) -> (the shape that `to_canonical` reads, how to get there)."""
