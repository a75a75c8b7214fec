"""Lists what changes while it is listed: by time, never by page numbers over a moving set.

Prevents the loss seen on a real shop: 100 orders, two edited after page 1, and two others were
never seen. `modified_after` is strictly after and in whole seconds, so every request starts one
second before the last seen one and what was seen is left out. Only where one second holds a
full page are page numbers used, and then again and again until a pass brings nothing new.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Page, SourceObject, Unsplittable, Window
from crm_integration.stores._cutting import NotSplittable
from crm_integration.stores.woocommerce.client import Client
from crm_integration.stores.woocommerce.cutting import split
from crm_integration.stores.woocommerce.place import PER_PAGE, Listing, Place, seconds, start_of

_SECOND = timedelta(seconds=1)


@dataclass
class _Seen:
    """What this process has read of the seconds that may be read again.

    `moments`: id -> time; `contents`: id -> in-process hash. A new content at the same time is
    handed on but is no progress: products list their related ids in random order.
    """

    moments: dict[str, datetime | None] = field(default_factory=dict[str, datetime | None])
    contents: dict[str, int] = field(default_factory=dict[str, int])

    def sift(self, objects: list[SourceObject]) -> tuple[list[SourceObject], bool]:
        """Those not handed on yet, and whether any is progress."""
        unseen: list[SourceObject] = []
        progress = False
        for item in objects:
            known = item.source_id in self.moments
            moved = not known or self.moments[item.source_id] != item.source_time
            content = hash(item.payload)
            if moved or self.contents[item.source_id] != content:
                unseen.append(item)
            progress |= moved
            self.moments[item.source_id] = item.source_time
            self.contents[item.source_id] = content
        return unseen, progress

    def latest(self) -> datetime | None:
        return max((moment for moment in self.moments.values() if moment), default=None)

    def forget(self, until: datetime) -> None:
        """Drop what no request will bring again (times up to `until`)."""
        for source_id, moment in list(self.moments.items()):
            if moment is not None and moment <= until:
                del self.moments[source_id], self.contents[source_id]


@dataclass(frozen=True)
class _Answer:
    """One page read: what is new of it, and what it says about the place."""

    unseen: list[SourceObject]
    strange: list[Unsplittable]
    last: datetime | None
    full: bool
    progress: bool
    broken: bool = False


def keyset_pages(
    client: Client, listing: Listing, window: Window | None, resume: str | None
) -> Iterator[Page]:
    """Everything of the listing in the window. The last page is empty and says so.

    Raises BadInput for a checkpoint of another making, Permanent for a shop that repeats itself.
    """
    place, seen = start_of(window, resume), _Seen()
    while not place.done:
        answer, place = _read(client, listing, window, place, seen)
        following = _next(place, answer, seen.latest())
        if following.after > place.after:
            seen.forget(following.moment)
        place = following
        if answer.unseen or answer.strange or place.done:
            yield Page(
                objects=tuple(answer.unseen),
                checkpoint=json.dumps(asdict(place)),
                listed=place.listed,
                unreadable=tuple(answer.strange),
            )


def _read(
    client: Client, listing: Listing, window: Window | None, place: Place, seen: _Seen
) -> tuple[_Answer, Place]:
    response = client.get(listing.path, listing.params(place, window))
    if place.listed is None:
        total = response.headers.get("x-wp-total", "")
        place = replace(place, listed=int(total) if total.isdigit() else None)
    try:
        objects, strange = split(listing.object_type, response.content)
    except NotSplittable as error:
        whole = Unsplittable(listing.object_type, error.reason, response.content)
        return _Answer([], [whole], None, full=False, progress=False, broken=True), place
    count = len(objects) + len(strange)
    if count > place.size:
        raise Permanent(f"the shop sent {count} {listing.path} where {place.size} were asked for")
    moments = [item.source_time for item in objects if item.source_time is not None]
    if place.after >= 0 and min(moments, default=place.moment + _SECOND) <= place.moment:
        raise Permanent(
            f"the shop ignores {listing.after} for {listing.path}: listing by time is impossible; "
            "update WooCommerce to 5.8 or later",
            code="filter_ignored",
        )
    unseen, progress = seen.sift(objects)
    if place.page > 1 and count == place.size and not (progress or strange or place.fresh):
        _refuse_endless(place, len(seen.moments))
    last = max(moments, default=None)
    return _Answer(unseen, strange, last, full=count == place.size, progress=progress), place


def _next(place: Place, answer: _Answer, latest: datetime | None) -> Place:
    """Where to go on; `latest` is the newest time read since `place.after`."""
    if place.broken:
        return _next_row(place, answer, latest)
    if answer.broken:
        place = replace(place, broken=place.page, fresh=False)
        return replace(place, page=place.first_row)
    fresh = place.fresh or answer.progress
    beyond = answer.last is not None and answer.last - _SECOND > place.moment
    if place.page == 1 and beyond and answer.last is not None:
        return replace(place, after=seconds(answer.last) - 1, fresh=False)
    if answer.full and not beyond:
        return replace(place, page=place.page + 1, fresh=fresh)
    if fresh:
        return replace(place, page=1, fresh=False)
    if beyond:
        return replace(place, after=place.after + 1, page=1, fresh=False)
    return replace(place, done=True)


def _next_row(place: Place, answer: _Answer, latest: datetime | None) -> Place:
    """Through the rows of a broken page, again until nothing is new; then past the page."""
    fresh = place.fresh or answer.progress
    ended = not answer.full and not answer.broken
    if not ended and place.page + 1 < place.first_row + PER_PAGE:
        return replace(place, page=place.page + 1, fresh=fresh)
    if fresh:
        return replace(place, page=place.first_row, fresh=False)
    if latest is None:
        raise Permanent("the shop sends no readable answer at all: no row of a page was JSON")
    if ended:
        return replace(place, page=1, broken=0, done=True)
    if latest - _SECOND > place.moment:
        return replace(place, after=seconds(latest) - 1, page=1, broken=0, fresh=False)
    return replace(place, page=place.broken + 1, broken=0, fresh=False)


def _refuse_endless(place: Place, seen: int) -> None:
    if place.page * place.size > seen + 2 * PER_PAGE:
        raise Permanent("the shop repeats the same page for every page number: listing stopped")
