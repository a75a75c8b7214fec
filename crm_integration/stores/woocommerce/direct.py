"""Reads objects by id, and says which of them do not exist any more.

Prevents a deletion that never happened: a list that leaves an id out (trash, another role, a
search index that lags) proves nothing; only a read by id that says so does.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Gone, SourceObject
from crm_integration.stores._cutting import NotSplittable, whole
from crm_integration.stores.woocommerce.answers import is_gone
from crm_integration.stores.woocommerce.client import Client
from crm_integration.stores.woocommerce.cutting import source_object, split

PATHS = {"customer": "customers", "product": "products", "order": "orders", "refund": "refunds"}
_BATCH = 100


def fetch(
    client: Client, object_type: str, source_ids: Sequence[str]
) -> Iterator[SourceObject | Gone]:
    """Each id answered once, in batches of 100. Trash is an object, with status `trash`.

    Raises Permanent for an answer that is no JSON object.
    """
    wanted = list(dict.fromkeys(source_ids))
    for start in range(0, len(wanted), _BATCH):
        batch = wanted[start : start + _BATCH]
        found = _listed(client, object_type, [name for name in batch if _is_id(name)])
        yield from found.values()
        for source_id in batch:
            if source_id not in found:
                yield _one(client, object_type, source_id)


def _listed(client: Client, object_type: str, ids: list[str]) -> dict[str, SourceObject]:
    """What `include=` answers; an unreadable list counts as nothing, ids are then read singly."""
    if not ids or (len(ids) == 1 and object_type != "refund"):
        return {}
    params = {"include": ",".join(ids), "per_page": str(_BATCH)}
    if object_type == "customer":
        params["role"] = "all"
    try:
        objects, _ = split(object_type, client.get(PATHS[object_type], params).content)
    except NotSplittable:
        return {}
    return {item.source_id: item for item in objects if item.source_id in ids}


def _one(client: Client, object_type: str, source_id: str) -> SourceObject | Gone:
    if not _is_id(source_id):
        return Gone(object_type, source_id)
    if object_type == "refund":
        return _one_refund(client, source_id)
    try:
        response = client.get(f"{PATHS[object_type]}/{source_id}")
    except Permanent as error:
        if is_gone(error):
            return Gone(object_type, source_id)
        raise
    return _object(object_type, source_id, response.content)


def _one_refund(client: Client, source_id: str) -> SourceObject | Gone:
    """A refund can be read by id only below its order, so it is asked for alone in the list."""
    response = client.get("refunds", {"include": source_id, "per_page": "1"})
    try:
        objects, strange = split("refund", response.content)
    except NotSplittable as error:
        raise _not_json(f"refund {source_id}", error) from error
    for item in objects:
        if item.source_id == source_id:
            return item
    if objects or strange:
        raise Permanent(f"the shop answered something else than refund {source_id}")
    return Gone("refund", source_id)


def _object(object_type: str, source_id: str, body: bytes) -> SourceObject:
    try:
        made = source_object(object_type, whole(body), body)
    except NotSplittable as error:
        raise _not_json(f"{object_type} {source_id}", error) from error
    if not isinstance(made, SourceObject) or made.source_id != source_id:
        raise Permanent(f"the shop answered something else than {object_type} {source_id}")
    return made


def _is_id(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 20


def _not_json(what: str, error: NotSplittable) -> Permanent:
    return Permanent(
        f"the answer for {what} is unreadable ({error.reason}): look at it in the shop",
        code=error.reason,
    )
