"""Makes nodes whole: further pages of what is nested in them, and the lines of partial parcels.

Prevents the order of 2,600 lines that arrives with ten: a nested connection has pages of its
own. An order that is edited between two of them is read again from its start, so that no record
is made of two versions.

What lies in a parcel is asked for only where it cannot be known without: a parcel that holds as
many items as the order has holds every line in full (Shopify lets nobody ship more of a line than
was ordered). A bulk file could not state it at all: it refuses connections within lists.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from crm_integration.errors import Permanent, Transient
from crm_integration.stores._contract import Gone, JsonObject, SourceObject, Unsplittable
from crm_integration.stores._cutting import cut_elements, cut_value
from crm_integration.stores._payload import block_if_any
from crm_integration.stores.shopify import documents as gql
from crm_integration.stores.shopify.client import Client
from crm_integration.stores.shopify.fields import items_in
from crm_integration.stores.shopify.objects import PIECES, ObjectType, source_object, tail

_READS = 3
"""Times an object is read from its start because it was edited meanwhile."""
_PARCEL_LINES = "fulfillmentLineItems"


@dataclass
class Draft:
    """One node with the pieces that make it whole; `rows` are the decoded nested objects."""

    value: JsonObject
    pieces: list[bytes]
    rows: list[JsonObject] = field(default_factory=list[JsonObject])


class _Edited(Exception):  # noqa: N818 - caught here, no error for callers
    """The object changed between two pages."""


class _Vanished(Exception):  # noqa: N818
    """The object is not there any more."""


def completed(
    client: Client, kind: ObjectType, nodes: Iterable[tuple[Any, bytes]]
) -> list[SourceObject | Gone | Unsplittable]:
    """Every node as it is kept, whole; Gone for what was deleted in between.

    Raises what `Client.query` raises, and Transient for an object that never stands still.
    """
    found = [_draft(client, kind, value, payload) for value, payload in nodes]
    drafts = [item for item in found if isinstance(item, Draft)]
    parcels = parcel_pieces(client, drafts)
    return [_kept(kind, item, parcels) if isinstance(item, Draft) else item for item in found]


def parcel_pieces(client: Client, drafts: Sequence[Draft]) -> dict[str, list[bytes]]:
    """Gid of a partial parcel -> the pieces that hold its lines, over all orders of a page."""
    wanted = [gid for draft in drafts for gid in partial_parcels(draft.value, draft.rows)]
    pieces: dict[str, list[bytes]] = {}
    size = gql.PARCEL_LINES.size
    for start in range(0, len(wanted), size):
        answer = client.query(gql.PARCEL_LINES, {"ids": wanted[start : start + size]})
        for value, payload in cut_elements(answer.body, ("data", "nodes")):
            if isinstance(value, dict):
                node = cast(JsonObject, value)
                pieces[str(node.get("id"))] = [payload, *_more_of_parcel(client, node)]
    return pieces


def partial_parcels(order: JsonObject, rows: Iterable[JsonObject]) -> list[str]:
    """Gids of the order's parcels whose lines are not told by their number alone."""
    listed: Any = order.get("fulfillments")
    if not isinstance(listed, list):
        return []
    ordered = items_in(rows)
    return [
        parcel["id"]
        for parcel in cast(list[Any], listed)
        if isinstance(parcel, dict) and _is_partial(cast(JsonObject, parcel), ordered)
    ]


def _is_partial(parcel: JsonObject, ordered: int) -> bool:
    readable = tail(parcel.get("id")) is not None
    return (
        readable
        and parcel.get("status") != "CANCELLED"
        and parcel.get("totalQuantity") not in (0, ordered)
    )


def _draft(
    client: Client, kind: ObjectType, value: Any, payload: bytes
) -> Draft | Gone | Unsplittable:
    seen = source_object(kind, value, payload)
    if isinstance(seen, Unsplittable):
        return seen
    for _ in range(_READS):
        if value is None:
            return Gone(kind.name, seen.source_id)
        try:
            return _read_on(client, kind, value, payload)
        except _Edited:
            value, payload = _again(client, kind, seen.source_id)
        except _Vanished:
            return Gone(kind.name, seen.source_id)
    raise Transient(
        f"{kind.name} {seen.source_id} was edited at every attempt to read it whole",
        retry_after=60.0,
        code="never_still",
    )


def _read_on(client: Client, kind: ObjectType, value: JsonObject, payload: bytes) -> Draft:
    draft = Draft(value, [payload])
    if kind.more is None:
        return draft
    connection = block_if_any(value, kind.nested)
    draft.rows.extend(_nodes(connection))
    while (after := next_cursor(connection)) is not None:
        asked = {"id": value["id"], "after": after, "first": kind.more.size}
        node, piece = cut_value(client.query(kind.more, asked).body, ("data", "node"))
        if node is None:
            raise _Vanished
        if node.get("updatedAt") != value.get("updatedAt"):
            raise _Edited
        connection = _advanced(node, kind.nested, after)
        draft.pieces.append(piece)
        draft.rows.extend(_nodes(connection))
    return draft


def _more_of_parcel(client: Client, parcel: JsonObject) -> list[bytes]:
    pieces: list[bytes] = []
    document = gql.MORE_PARCEL_LINES
    connection = block_if_any(parcel, _PARCEL_LINES)
    while (after := next_cursor(connection)) is not None:
        asked = {"id": parcel["id"], "after": after, "first": document.size}
        node, piece = cut_value(client.query(document, asked).body, ("data", "node"))
        if node is None:
            break
        connection = _advanced(node, _PARCEL_LINES, after)
        pieces.append(piece)
    return pieces


def _again(client: Client, kind: ObjectType, source_id: str) -> tuple[Any, bytes]:
    answer = client.query(kind.direct, {"ids": [kind.gid(source_id)]})
    return next(cut_elements(answer.body, ("data", "nodes")), (None, b""))


def _kept(kind: ObjectType, draft: Draft, parcels: dict[str, list[bytes]]) -> Any:
    pieces = [*draft.pieces, *own_parcels(draft, parcels)]
    if len(pieces) == 1:
        return source_object(kind, draft.value, pieces[0])
    return source_object(kind, draft.value, envelope(pieces=pieces), PIECES)


def own_parcels(draft: Draft, parcels: dict[str, list[bytes]]) -> list[bytes]:
    """The pieces of this order's partial parcels, in the order of the parcels."""
    own = partial_parcels(draft.value, draft.rows)
    return [piece for gid in own for piece in parcels.get(gid, [])]


def envelope(**parts: Sequence[bytes]) -> bytes:
    """`{"pieces":[…]}` around bytes that are JSON already, each verbatim."""
    members = (b'"%s":[%s]' % (name.encode(), b",".join(own)) for name, own in parts.items())
    return b"{" + b",".join(members) + b"}"


def next_cursor(connection: JsonObject) -> str | None:
    """Where the next page begins; None behind the last. Raises Permanent where it is not told."""
    stated = block_if_any(connection, "pageInfo")
    if not stated.get("hasNextPage"):
        return None
    cursor = stated.get("endCursor")
    if not isinstance(cursor, str) or not cursor:
        raise Permanent("the shop says that there is a next page, but not where", code="no_cursor")
    return cursor


def _advanced(node: JsonObject, name: str, after: str) -> JsonObject:
    connection = block_if_any(node, name)
    if next_cursor(connection) == after:
        raise Permanent(f"the pages of {name} do not advance", code="no_advance")
    return connection


def _nodes(connection: JsonObject) -> list[JsonObject]:
    value: Any = connection.get("nodes")
    listed = cast(list[Any], value) if isinstance(value, list) else []
    return [row for row in listed if isinstance(row, dict)]
