"""Lists what changes while it is listed, on carts that differ in what they can filter and sort.

Prevents the loss at page edges: when something is edited or deleted in mid-listing all others
move, and the next page jumps over some. Pages by number overlap by one row and step back when the
overlap is gone; and since a cart may sort as it likes (and its cursors may be offsets inside), a
listing ends only when a closing pass over the ids alone finds nothing that was not seen.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from urllib.parse import unquote

from crm_integration.errors import Permanent
from crm_integration.stores._contract import Page, SourceObject
from crm_integration.stores.api2cart.answers import Answer, RefusedParameter
from crm_integration.stores.api2cart.client import Client
from crm_integration.stores.api2cart.methods import Kind
from crm_integration.stores.api2cart.objects import Cut, cut_page
from crm_integration.stores.api2cart.place import Place, Seen

_MOST_ROUNDS = 8
"""Closing passes; what still appears in the last of them was made during the listing."""
_MOST_LOST = 10
"""Times that a pass steps back: a cart that shuffles its rows would keep it for ever."""
_DATE = "%Y-%m-%dT%H:%M:%S+0000"
"""`Y-m-d\\TH:i:sO`, the form that API2Cart's own refusal of a wrong date asks for."""
_SORTING = ("sort_by", "sort_direction")
_GUESTS = ("include_guests",)
_FILTERS = ("modified_from", "modified_to", "created_to")
_CURSOR_FIELDS, _CURSOR, _START = ("params",), ("page_cursor",), ("start",)

ReadByIds = Callable[[list[str]], Iterator[SourceObject]]


@dataclass(frozen=True)
class Scope:
    """Which objects are wanted: last changed in `[since, before)`, made before `made_before`.

    None of them set: everything there is.
    """

    since: datetime | None = None
    before: datetime | None = None
    made_before: datetime | None = None

    def params(self) -> dict[str, str]:
        """A second more on both sides: carts differ in whether a filter's end belongs to it."""
        second = timedelta(seconds=1)
        given = {
            "modified_from": self.since and self.since - second,
            "modified_to": self.before and self.before + second,
            "created_to": self.made_before and self.made_before + second,
        }
        return {name: at.astimezone(UTC).strftime(_DATE) for name, at in given.items() if at}

    def holds(self, item: SourceObject) -> bool:
        """True also for an object without a time: it may lie anywhere."""
        at = item.source_time
        if at is None:
            return True
        return (self.since is None or at >= self.since) and (
            self.before is None or at < self.before
        )


@dataclass
class Listing:
    """One listing of a kind. `read_by_ids` brings what only a closing pass knew; where it is None
    the closing passes read the objects themselves."""

    client: Client
    kind: Kind
    scope: Scope
    read_by_ids: ReadByIds | None = None
    _passed: set[str] = field(default_factory=set[str])
    _stale: bool = False

    def pages(self, resume: str | None) -> Iterator[Page]:
        """Everything in scope; the last page may be empty.

        Raises BadInput for a checkpoint of another making, RefusedParameter where leaving out
        optional parameters does not help.
        """
        place = Place.first(self.kind) if resume is None else Place.read(self.kind, resume)
        seen = Seen(place.seen)
        self._passed = {place.tail} if place.tail else set()
        while not place.done:
            answer, place = self._ask(place, seen)
            cut = cut_page(self.kind, answer, self.client.zone)
            following = self._next(place, cut, answer)
            fresh = self._fresh(place, cut, seen)
            strange = cut.strange if not place.round else ()
            place = self._round_ended(following.but(fresh=place.fresh or bool(fresh)))
            if fresh or strange or place.done:
                checkpoint = place.but(seen=seen.text()).model_dump_json()
                yield Page(tuple(fresh), checkpoint, unreadable=strange)

    def _fresh(self, place: Place, cut: Cut, seen: Seen) -> list[SourceObject]:
        """What of a page was not handed on yet, as whole objects; remembers all of it."""
        wanted = [one for one in cut.objects if self.scope.holds(one)]
        if place.round == 0:
            fresh = [one for one in wanted if seen.is_new(one)]
        else:
            fresh = [one for one in wanted if not seen.has(one.source_id)]
        if fresh and self._bare(place, seen) and self.read_by_ids is not None:
            fresh = list(self.read_by_ids([one.source_id for one in fresh]))
        for one in fresh:
            seen.add(one)
        self._passed.update(cut.marks)
        return fresh

    def _bare(self, place: Place, seen: Seen) -> bool:
        """Whether this pass reads ids and times alone."""
        return place.round > 0 and self.read_by_ids is not None and seen.complete

    def _ask(self, place: Place, seen: Seen) -> tuple[Answer, Place]:
        """A page, without the parameters that this cart refuses."""
        while True:
            sent = self._params(place, seen)
            try:
                return self.client.call(self.kind.method, sent), place
            except RefusedParameter as error:
                place = self._without(place, sent, error)

    def _params(self, place: Place, seen: Seen) -> dict[str, str]:
        fields = self.kind.bare_fields if self._bare(place, seen) else self.kind.fields
        if place.cursor is not None:
            # It comes URL-encoded and is encoded again on its way out. No filter may stand beside
            # it; which fields to show is none, and it does not remember them.
            given = {"page_cursor": unquote(place.cursor), "params": fields}
        else:
            given = {"count": str(self.kind.size), "params": fields}
            given |= {**self.kind.optional, **self.scope.params()}
            given |= {"start": str(place.start)} if place.start else {}
        return {name: text for name, text in given.items() if name not in place.refused}

    def _without(self, place: Place, sent: dict[str, str], error: RefusedParameter) -> Place:
        """Where to go on without what was refused. Raises the error if nothing can be left out."""
        groups = (
            [_CURSOR_FIELDS, _CURSOR] if place.cursor else [_SORTING, _GUESTS, _FILTERS, _START]
        )
        present = [group for group in groups if any(name in sent for name in group)]
        named = [group for group in present if error.names.intersection(group)]
        if place.cursor is None and named:
            present = named
        if not present or (present[0] == _CURSOR and self._stale):
            raise error
        self._passed.clear()
        if present[0] == _CURSOR:  # too old: the pass begins anew, once
            self._stale = True
            kept = tuple(name for name in place.refused if name != "params")
            return place.restarted().but(refused=kept)
        refused = tuple(sorted({*place.refused, *present[0]}))
        return (place if place.cursor else place.restarted()).but(refused=refused)

    def _next(self, place: Place, cut: Cut, answer: Answer) -> Place:
        """The place behind this page; `done` stands for the end of the pass."""
        tail = cut.marks[-1] if cut.marks else place.tail
        if place.start and place.lost < _MOST_LOST and not self._overlaps(cut):
            back = max(0, place.start - self.kind.size + 1)
            return place.but(start=back, lost=place.lost + 1, tail=tail)
        cursor = answer.next_cursor
        if cursor is not None and place.start == 0 and self._by_cursor(place):
            if cursor == place.cursor:
                raise Permanent(f"{self.kind.method} repeats one page_cursor: listing stopped")
            return place.but(cursor=cursor, tail=tail)
        more = place.cursor is None and cut.count and (cut.count >= self.kind.size or cursor)
        if more:
            return place.but(start=place.start + max(1, cut.count - 1), tail=tail)
        return place.but(done=True)

    def _by_cursor(self, place: Place) -> bool:
        """Cursors stand alone, so filters ask for numbered pages, unless the cart has none."""
        filters = self.scope.params().keys() - set(place.refused)
        return not filters or "start" in place.refused

    def _overlaps(self, cut: Cut) -> bool:
        """True if the page begins with a row of this pass as it was: nothing has moved up."""
        return bool(cut.marks) and cut.marks[0] in self._passed

    def _round_ended(self, place: Place) -> Place:
        """After a pass: done when one answer held it all or nothing new was found, else again."""
        if not place.done:
            return place
        self._passed.clear()
        settled = place.round > 0 and not place.fresh
        if place.at_first_page or settled or place.round >= _MOST_ROUNDS:
            return place
        return place.restarted().but(round=place.round + 1, fresh=False, lost=0, done=False)
