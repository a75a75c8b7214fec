"""Reads objects by id, and says which of them do not exist any more.

Prevents a deletion that never happened: only a read by id that answers null says so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Gone, SourceObject, Unsplittable
from crm_integration.stores._cutting import cut_elements
from crm_integration.stores.shopify.answers import TOO_COSTLY
from crm_integration.stores.shopify.client import Client
from crm_integration.stores.shopify.objects import ObjectType, is_number, object_type
from crm_integration.stores.shopify.pieces import completed


def fetch(
    client: Client, type_name: str, source_ids: Sequence[str]
) -> Iterator[SourceObject | Gone]:
    """Each id answered once, in batches that fit into one query.

    Raises BadInput for a type unknown here, Permanent for an answer to another question.
    """
    kind = object_type(type_name)
    wanted = list(dict.fromkeys(source_ids))
    numbers = [source_id for source_id in wanted if is_number(source_id)]
    for start in range(0, len(numbers), kind.direct.size):
        yield from _batch(client, kind, numbers[start : start + kind.direct.size])
    for source_id in wanted:
        if not is_number(source_id):
            yield Gone(type_name, source_id)


def _batch(
    client: Client, kind: ObjectType, source_ids: list[str]
) -> Iterator[SourceObject | Gone]:
    try:
        answer = client.query(kind.direct, {"ids": [kind.gid(name) for name in source_ids]})
    except Permanent as error:
        if error.code != TOO_COSTLY or len(source_ids) == 1:
            raise
        half = len(source_ids) // 2
        yield from _batch(client, kind, source_ids[:half])
        yield from _batch(client, kind, source_ids[half:])
        return
    nodes = list(cut_elements(answer.body, ("data", "nodes")))
    if len(nodes) != len(source_ids):
        raise _not_asked()
    there = [node for node in nodes if node[0] is not None]
    found = {item.source_id: item for item in map(_asked_for, completed(client, kind, there))}
    for source_id in source_ids:
        yield found.pop(source_id, Gone(kind.name, source_id))
    if found:
        raise _not_asked()


def _asked_for(item: SourceObject | Gone | Unsplittable) -> SourceObject | Gone:
    if isinstance(item, Unsplittable):
        raise _not_asked()
    return item


def _not_asked() -> Permanent:
    return Permanent("the shop answered something else than the objects that were asked for")
