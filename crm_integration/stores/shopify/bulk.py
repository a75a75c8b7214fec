"""Lists a whole shop, or months of it, by a bulk operation.

Prevents a backfill from eating the points that live reads need: Shopify runs the query on its
side and gives a file. An operation outlives the process that started it, so the checkpoint names
it from its first moment, and the next process waits for the same one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from itertools import islice

from crm_integration.errors import Transient
from crm_integration.stores._checkpoint import place_in, values_in
from crm_integration.stores._contract import Page, SourceObject, Unsplittable, Window
from crm_integration.stores.shopify.bulk_file import Counted, Group, groups
from crm_integration.stores.shopify.client import Client, lines
from crm_integration.stores.shopify.objects import BULK, ObjectType, source_object
from crm_integration.stores.shopify.operations import Operation, finished, look, start
from crm_integration.stores.shopify.paging import search_in
from crm_integration.stores.shopify.pieces import Draft, envelope, own_parcels, parcel_pieces

PER_PAGE = 250
"""Objects handed on, and kept in one transaction, at a time."""


@dataclass(frozen=True)
class BulkPlace:
    """Where the listing stands; as JSON it is the checkpoint. `done` objects are handed on."""

    operation: str
    done: int = 0
    finished: bool = False


def bulk_pages(
    client: Client, kind: ObjectType, window: Window | None, resume: str | None
) -> Iterator[Page]:
    """Everything of a type in the window. The first page is empty: it carries the checkpoint.

    Raises BadInput for a checkpoint of another making, and what `operations` raises.
    """
    place = _resumed(client, resume) or BulkPlace(start(client, kind, search_in(kind, window)))
    if place.finished:
        return
    yield Page(objects=(), checkpoint=_text(place))
    operation = finished(client, kind, place.operation)
    if operation.url is None:
        if operation.objects:
            raise Transient(
                f"the bulk operation counted {operation.objects} objects and gave no file",
                retry_after=60.0,
                code="bulk_incomplete",
            )
        yield Page(objects=(), checkpoint=_text(replace(place, finished=True)), listed=0)
        return
    yield from _file_pages(client, kind, operation, place)


def _file_pages(
    client: Client, kind: ObjectType, operation: Operation, place: BulkPlace
) -> Iterator[Page]:
    url = operation.url or ""
    whole = groups(lambda: lines(url), Counted(operation.objects, operation.roots))
    ready = islice(whole, place.done, None)
    while batch := list(islice(ready, PER_PAGE)):
        place = replace(place, done=place.done + len(batch))
        place = replace(place, finished=place.done >= operation.roots)
        found = _kept(client, kind, batch)
        yield Page(
            objects=tuple(item for item in found if isinstance(item, SourceObject)),
            checkpoint=_text(place),
            listed=operation.roots,
            unreadable=tuple(item for item in found if isinstance(item, Unsplittable)),
        )


def _kept(
    client: Client, kind: ObjectType, batch: list[Group]
) -> list[SourceObject | Unsplittable]:
    """The lines verbatim, and for partial parcels, which no bulk file holds, what is read here."""
    drafts = [_draft(group) for group in batch]
    parcels = parcel_pieces(client, drafts)
    kept: list[SourceObject | Unsplittable] = []
    for draft in drafts:
        parts = {"lines": draft.pieces}
        if own := own_parcels(draft, parcels):
            parts["pieces"] = own
        kept.append(source_object(kind, draft.value, envelope(**parts), BULK))
    return kept


def _draft(group: Group) -> Draft:
    value, line = group.root or ({}, b"{}")
    rows = [child for child, _ in group.children]
    return Draft(value, [line, *(own for _, own in group.children)], rows)


def is_bulk(resume: str) -> bool:
    """True for a checkpoint of this kind of listing. Raises BadInput for what is none at all."""
    return "operation" in values_in(resume)


def _resumed(client: Client, resume: str | None) -> BulkPlace | None:
    """The place, if its operation can still be used; None to start anew."""
    if resume is None:
        return None
    place = place_in(resume, BulkPlace)
    operation = look(client, place.operation)
    return place if operation is not None and operation.usable else None


def _text(place: BulkPlace) -> str:
    return json.dumps(asdict(place))
