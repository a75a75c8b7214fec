"""Lists what changed within a few days, page by page.

Prevents rows lost in paging: cursors are places in the sorted set and not page numbers, and the
set is sorted by change, so that what is edited in mid-scan moves behind the cursor's reach and is
seen again. Abandoned checkouts can only be sorted by id: one that is edited after the cursor
passed it would be missed, so a second pass lists what changed since the first began.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from crm_integration.errors import Permanent
from crm_integration.stores._checkpoint import place_in
from crm_integration.stores._contract import Page, SourceObject, Unsplittable, Window
from crm_integration.stores._cutting import NotSplittable, cut_elements
from crm_integration.stores.shopify.answers import TOO_COSTLY
from crm_integration.stores.shopify.client import Answer, Client
from crm_integration.stores.shopify.documents import LONGEST_QUERY
from crm_integration.stores.shopify.objects import ObjectType
from crm_integration.stores.shopify.pieces import completed, next_cursor

_MOST, _MOST_NESTED = 100, 100
"""A page's objects and their nested ones, as long as the shop charges little: some megabytes.
Shopify allows 250."""
_FILL = 0.8
"""Of the single-query limit, as a page grows to what the shop really charges."""
_CLOCKS_APART = timedelta(minutes=10)


@dataclass(frozen=True)
class Place:
    """Where the listing stands; as JSON it is the checkpoint. Times are ISO texts."""

    after: str | None = None
    began: str = ""
    closing: bool = False
    done: bool = False


@dataclass(frozen=True)
class Extent:
    """How many objects a page asks for, and how many nested ones of each."""

    first: int
    nested: int


def listing_pages(
    client: Client, kind: ObjectType, window: Window, resume: str | None
) -> Iterator[Page]:
    """Everything that changed within the window.

    Raises BadInput for a checkpoint of another making, Permanent for an answer of another form.
    """
    place = place_in(resume, Place) if resume is not None else Place(began=_now().isoformat())
    extent = Extent(kind.listing.size, kind.first)
    while not place.done:
        answer, extent = _ask(client, kind, _search(kind, window, place), place.after, extent)
        nodes, cursor = _read(kind, answer, place.after)
        found = completed(client, kind, nodes)
        place = _next(kind, window, place, cursor)
        yield Page(
            objects=tuple(item for item in found if isinstance(item, SourceObject)),
            checkpoint=json.dumps(asdict(place)),
            unreadable=tuple(item for item in found if isinstance(item, Unsplittable)),
        )
        extent = _grown(client, kind, extent)


def search_in(kind: ObjectType, window: Window | None) -> str:
    """The search text of a type within a window (None: of all there is)."""
    if window is None:
        return kind.always
    start, end = window.begin, window.finish
    if kind.widened:
        days = Window(window.start - kind.widened, window.end + kind.widened)
        start, end = days.begin, days.finish
    between = f"updated_at:>='{_second(start)}' updated_at:<'{_second(end, up=True)}'"
    return f"{between} {kind.always}".strip()


def _second(moment: datetime, *, up: bool = False) -> str:
    """The filter counts whole seconds: the second that holds the moment, or the one behind it."""
    whole = moment.replace(microsecond=0)
    if up and whole < moment:
        whole += timedelta(seconds=1)
    return f"{whole:%Y-%m-%dT%H:%M:%SZ}"


def _search(kind: ObjectType, window: Window, place: Place) -> str:
    """The closing pass asks only for what changed since the first pass began."""
    search = search_in(kind, window)
    if not place.closing:
        return search
    since = datetime.fromisoformat(place.began) - _CLOCKS_APART
    return f"{search} updated_at:>='{since:%Y-%m-%dT%H:%M:%SZ}'"


def _ask(
    client: Client, kind: ObjectType, search: str, after: str | None, extent: Extent
) -> tuple[Answer, Extent]:
    """One page; a shorter one where the shop finds it too dear, which it says before it runs."""
    while True:
        asked: dict[str, Any] = {"first": extent.first, "after": after, "query": search}
        if kind.nested:
            asked["nested"] = extent.nested
        try:
            return client.query(kind.listing, asked), extent
        except Permanent as error:
            if error.code != TOO_COSTLY or extent.first == 1:
                raise
            extent = Extent(extent.first // 2, min(extent.nested, kind.first))


def _read(
    kind: ObjectType, answer: Answer, after: str | None
) -> tuple[list[tuple[Any, bytes]], str | None]:
    """The nodes of a page, and where the next one begins."""
    try:
        nodes = list(cut_elements(answer.body, ("data", kind.root, "nodes")))
    except NotSplittable as error:
        raise Permanent(
            f"the list of {kind.root} has another form than its schema ({error.reason})",
            code=error.reason,
        ) from error
    cursor = next_cursor(answer.data[kind.root])
    if cursor is not None and cursor == after:
        raise Permanent(f"the pages of {kind.root} do not advance", code="no_advance")
    return nodes, cursor


def _next(kind: ObjectType, window: Window, place: Place, cursor: str | None) -> Place:
    if cursor is not None:
        return replace(place, after=cursor)
    began = datetime.fromisoformat(place.began)
    still_open = window.finish >= began - _CLOCKS_APART
    if kind.sorted_by_change or place.closing or not still_open:
        return replace(place, after=None, done=True)
    return replace(place, after=None, closing=True)


def _grown(client: Client, kind: ObjectType, extent: Extent) -> Extent:
    """Our costs are upper bounds: what the shop charges decides how long the next page is.

    A shop that charges little for long connections gets those asked for in full first.
    """
    charged = client.throttle.charged.get(kind.listing.name, 0.0)
    if charged <= 0:
        return extent
    if extent.nested < _MOST_NESTED and charged < kind.listing.cost / 2 and kind.nested:
        return replace(extent, nested=_MOST_NESTED)
    fitting = int(extent.first * _FILL * LONGEST_QUERY / charged)
    return replace(extent, first=min(_MOST, max(extent.first, fitting)))


def _now() -> datetime:
    return datetime.now(UTC)
