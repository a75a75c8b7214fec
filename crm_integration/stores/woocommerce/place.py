"""Where a listing by time stands, and which question that makes.

Prevents a window that is hours off: with `dates_are_gmt` a zone in the question would be converted
once more, so times are asked for as they are kept, without one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from crm_integration.stores._checkpoint import place_in
from crm_integration.stores._contract import Window

PER_PAGE = 100
"""The most a shop allows; 101 is a 400."""
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Listing:
    """Where one type is listed and by which time: the names of the shop's parameters."""

    object_type: str
    path: str
    orderby: str
    after: str
    before: str

    def params(self, place: Place, window: Window | None) -> dict[str, str]:
        """Query of one request. With dates_are_gmt no zone may be given: it would be converted."""
        params = {
            "orderby": self.orderby,
            "order": "asc",
            "dates_are_gmt": "true",
            "per_page": str(place.size),
            "page": str(place.page),
        }
        if place.after >= 0:
            params[self.after] = _stamp(place.moment)
        if window is not None:
            params[self.before] = _stamp(_whole_second_from(window.finish))
        return params


@dataclass(frozen=True)
class Place:
    """Where the listing stands; as JSON it is the checkpoint.

    `after` is exclusive, in seconds since 1970; -1 is no limit. `fresh`: this pass over the
    pages brought something new, so one more pass is due. `broken` is the page that was no list
    and is being read again row by row (0: none); `page` then counts rows.
    """

    after: int
    page: int = 1
    fresh: bool = False
    broken: int = 0
    done: bool = False
    listed: int | None = None

    @property
    def moment(self) -> datetime:
        return _FIRST + timedelta(seconds=self.after)

    @property
    def size(self) -> int:
        return 1 if self.broken else PER_PAGE

    @property
    def first_row(self) -> int:
        """Of the broken page, counted from 1."""
        return (self.broken - 1) * PER_PAGE + 1


def start_of(window: Window | None, resume: str | None) -> Place:
    """Where a listing begins or goes on. Raises BadInput for a checkpoint of another making."""
    if resume is not None:
        return _from_checkpoint(resume)
    if window is None:
        return Place(after=-1)
    return Place(after=seconds(window.begin) - 1)


def _from_checkpoint(text: str) -> Place:
    place = place_in(text, Place)
    return replace(place, page=place.first_row, fresh=False) if place.broken else place


def seconds(moment: datetime) -> int:
    """Whole seconds since 1970, as the shop's filters count."""
    return int((moment - _FIRST).total_seconds())


def _whole_second_from(moment: datetime) -> datetime:
    """The filter's end is outside, so a broken second is taken in whole."""
    return moment + timedelta(microseconds=-moment.microsecond % 1_000_000)


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%S")
