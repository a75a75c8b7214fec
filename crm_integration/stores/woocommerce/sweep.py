"""Lists customers, for which the shop has no filter on time: all of them, by id.

Prevents the account that is never seen: when one is deleted in mid-scan everything behind it
moves up, and the next offset would jump over one. Each request therefore overlaps the last by
one row and steps back when the overlap is gone; a closing pass over the ids alone fetches what
was missed all the same.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace

from crm_integration.errors import Permanent
from crm_integration.stores._checkpoint import foreign_checkpoint, place_in
from crm_integration.stores._contract import Page, SourceObject, Unsplittable
from crm_integration.stores._cutting import NotSplittable
from crm_integration.stores.woocommerce.client import Client
from crm_integration.stores.woocommerce.cutting import split
from crm_integration.stores.woocommerce.direct import fetch

PER_PAGE = 100
_MOST_RUNS = 1_000
"""Runs of seen ids a checkpoint carries; beyond it a resumed closing pass reads more again."""


@dataclass(frozen=True)
class _Place:
    """Where the sweep stands: `last` is the highest id read; `seen` runs of ids, or None."""

    offset: int = 0
    last: int = 0
    closing: bool = False
    done: bool = False
    seen: str | None = ""


class _Seen:
    """Ids handed on, and the same as runs: short where ids are dense, as WordPress' mostly are."""

    def __init__(self, text: str | None) -> None:
        self.ids: set[int] = set()
        self._runs: list[tuple[int, int]] = []
        for run in (text or "").split(","):
            if run:
                low, _, high = run.partition("-")
                self._runs.append((int(low), int(high)))
                self.ids.update(range(int(low), int(high) + 1))

    def add(self, number: int) -> None:
        self.ids.add(number)
        if self._runs and self._runs[-1][1] + 1 == number:
            self._runs[-1] = (self._runs[-1][0], number)
        else:
            self._runs.append((number, number))

    def text(self) -> str | None:
        """`1-57,59-59`; None where it would swell every checkpoint."""
        if len(self._runs) > _MOST_RUNS:
            return None
        return ",".join(f"{low}-{high}" for low, high in self._runs)


def sweep_pages(client: Client, resume: str | None) -> Iterator[Page]:
    """All accounts of every role, then those that only the closing pass knew.

    Raises BadInput for a checkpoint of another making, Permanent for a page that is no list.
    """
    place = _from_checkpoint(resume) if resume is not None else _Place()
    seen = _Seen(place.seen)
    while not place.done:
        objects, strange = _read(client, place)
        following = _next(place, objects, len(objects) + len(strange))
        if place.closing:
            objects = _missed(client, objects, seen.ids)
        fresh = [item for item in objects if int(item.source_id) not in seen.ids]
        for item in fresh:
            seen.add(int(item.source_id))
        place = following
        if fresh or strange or place.done or place.closing:
            checkpoint = json.dumps(asdict(replace(place, seen=seen.text())))
            yield Page(objects=tuple(fresh), checkpoint=checkpoint, unreadable=tuple(strange))


def _read(client: Client, place: _Place) -> tuple[list[SourceObject], list[Unsplittable]]:
    params = {
        "role": "all",
        "orderby": "id",
        "order": "asc",
        "per_page": str(PER_PAGE),
        "offset": str(place.offset),
    }
    if place.closing:
        params["_fields"] = "id"
    response = client.get("customers", params)
    try:
        return split("customer", response.content)
    except NotSplittable as error:
        raise Permanent(
            f"the list of customers is no JSON list ({error.reason}) at offset {place.offset}: "
            "look at this answer in the shop; the sweep goes on from here",
            code=error.reason,
        ) from error


def _next(place: _Place, objects: list[SourceObject], count: int) -> _Place:
    ids = [int(item.source_id) for item in objects]
    lost_overlap = place.offset > 0 and (not ids or ids[0] > place.last)
    if lost_overlap:
        return replace(place, offset=max(0, place.offset - PER_PAGE))
    last = max([place.last, *ids])
    if count >= PER_PAGE:
        return replace(place, offset=place.offset + count - 1, last=last)
    return _Place(closing=True) if not place.closing else replace(place, done=True)


def _missed(client: Client, listed: list[SourceObject], seen: set[int]) -> list[SourceObject]:
    ids = [item.source_id for item in listed if int(item.source_id) not in seen]
    found = fetch(client, "customer", ids)
    return [item for item in found if isinstance(item, SourceObject)]


def _from_checkpoint(text: str) -> _Place:
    place = place_in(text, _Place)
    try:
        _Seen(place.seen)
    except ValueError as error:
        raise foreign_checkpoint() from error
    return place
