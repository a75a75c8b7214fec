"""Listings: everything a store holds of a type in a window, page by page, kept as it comes.

Prevents a kill in mid-page from costing a row or a whole backfill: the page's raw records and
the place in the listing are committed together, and the next run goes on behind that page.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from crm_integration.intake.deletions import (
    end_idle_hold,
    keep_gone,
    unseen_since,
    waiting,
)
from crm_integration.intake.listing_places import (
    RESUMABLE,
    Listing,
    forget,
    place_of,
    remember,
)
from crm_integration.intake.open_store import OpenStore, refuse_another
from crm_integration.intake.raw_reading import missing_parents, still_doubtful
from crm_integration.intake.raw_records import Kept, Observation, keep
from crm_integration.intake.steps import NAMED_READ, PAGE_KEPT, reached
from crm_integration.intake.unreadable import keep_back_unreadable, release_readable
from crm_integration.stores._contract import Gone, Page, SourceObject, Window
from crm_integration.tenancy.scope import Tenancy

FETCH_BATCH = 100
"""Direct reads kept per transaction."""

SWEEP, PORTIONS = "sweep", "sweep in portions"
"""Listings of types without a filter: whole in one run, or some pages a run."""

SWEEP_RESTS = timedelta(days=7)
"""So long a sweep in portions may rest: what changes behind its place is seen by the next one."""

Listener = Callable[[Page, Kept], None]
"""Is told each page, and what became of its objects, once they are committed."""


@dataclass(frozen=True)
class Extracted:
    """What one listing brought."""

    object_type: str
    begun: datetime
    """When the listing began, by the database's clock; a resumed one earlier than this run."""
    pages: int = 0
    kept: Kept = field(default_factory=Kept)
    unreadable: tuple[str, ...] = ()
    """Reasons of pages or elements that were not what the store's API promises; each is kept
    back, see `unreadable.py`."""
    resumed: bool = False
    complete: bool = True
    """False: it stopped after so many pages; the next run goes on behind them."""

    @property
    def brought(self) -> bool:
        """Whether it listed anything, here or in the run that it resumes."""
        return bool(self.kept.kept or self.kept.suppressed or self.unreadable or self.resumed)

    def __add__(self, other: Extracted) -> Extracted:
        """The same type of several stores."""
        return Extracted(
            self.object_type,
            min(self.begun, other.begun),
            self.pages + other.pages,
            self.kept + other.kept,
            self.unreadable + other.unreadable,
            self.resumed or other.resumed,
            self.complete and other.complete,
        )


def extract(
    tenancy: Tenancy,
    store: OpenStore,
    object_type: str,
    window: Window,
    *,
    run_id: str,
    on_page: Callable[[str, int], None] | None = None,
    listener: Listener | None = None,
    most_pages: int | None = None,
) -> Extracted:
    """List a type over a window and keep everything; then what only a direct read can settle.

    `on_page(object_type, objects so far)` is told the progress. Types without a filter at the
    store are listed whole, whatever the window; with `most_pages` only so many pages of them, and
    the next call with it goes on behind.
    """
    swept = object_type in store.connector.manifest.swept
    listing = _listing(store, object_type, window, in_portions=most_pages is not None)
    with tenancy.scope(store.tenant) as scope:
        place = place_of(scope, listing)
    done = Extracted(object_type, place.begun, resumed=place.checkpoint is not None)
    pages = store.connector.extract.pages(
        store.client, object_type, None if swept else window, place.checkpoint
    )
    for page in pages:
        done, kept = _keep_page(tenancy, store, listing, page, done, run_id)
        if listener is not None:
            listener(page, kept)
        if on_page is not None:
            on_page(object_type, done.kept.kept + done.kept.suppressed)
        if swept and done.pages == most_pages:
            done = replace(done, complete=False)
            break
    if done.brought or window.since is None or swept:
        _finish(tenancy, store, listing, done, run_id)
    parents = done.brought or window.since is None  # of a moment in which nothing came: not asked
    return _settle(tenancy, store, object_type, done, swept=swept, parents=parents, run_id=run_id)


def _listing(store: OpenStore, object_type: str, window: Window, *, in_portions: bool) -> Listing:
    place = (store.connection.connection_id, object_type)
    if object_type in store.connector.manifest.swept:
        return Listing(*place, PORTIONS, SWEEP_RESTS) if in_portions else Listing(*place, SWEEP)
    begin = window.start if window.since is None else window.since.isoformat()
    end = window.end if window.until is None else window.until.isoformat()
    return Listing(*place, f"{begin}/{end}")


def _keep_page(
    tenancy: Tenancy,
    store: OpenStore,
    listing: Listing,
    page: Page,
    done: Extracted,
    run_id: str,
) -> tuple[Extracted, Kept]:
    if not (page.objects or page.unreadable or done.pages or done.resumed):
        return replace(done, pages=1), Kept()  # of an empty listing there is nothing to go on from
    place = (store.connection.connection_id, listing.name)
    with tenancy.scope(store.tenant) as scope:
        kept = keep(
            scope,
            store.connection.connection_id,
            page.objects,
            Observation.list,
            run_id=run_id,
            shape=store.connector.manifest.shape,
        )
        keep_back_unreadable(scope, *place, page.unreadable, run_id=run_id)
        remember(scope, listing, page, done.begun)
    reached(PAGE_KEPT)
    brought = replace(
        done,
        pages=done.pages + 1,
        kept=done.kept + replace(kept, news=()),  # of a whole backfill they would be too many
        unreadable=done.unreadable + tuple(bad.reason for bad in page.unreadable),
    )
    return brought, kept


def _settle(
    tenancy: Tenancy,
    store: OpenStore,
    object_type: str,
    done: Extracted,
    *,
    swept: bool,
    parents: bool,
    run_id: str,
) -> Extracted:
    """Direct reads: of objects with one source time and two contents, of those that a whole sweep
    left out or whose deletion waits for a person, and of unknown parents."""
    doubtful = [source_id for _, source_id in done.kept.doubtful]
    with tenancy.scope(store.tenant) as scope:
        place = (store.connection.connection_id, object_type)
        if done.resumed:  # what the killed run had found doubtful, nobody remembers
            doubtful += still_doubtful(scope, *place, within=RESUMABLE)
        if swept and done.complete and not done.unreadable:
            doubtful += unseen_since(scope, *place, done.begun)
        doubtful += waiting(scope, *place)
    wanted = list(dict.fromkeys(doubtful))
    kept = done.kept + fetch(tenancy, store, object_type, wanted, run_id=run_id)
    parent_type = store.connector.manifest.parents.get(object_type)
    if parent_type is not None and parents:
        with tenancy.scope(store.tenant) as scope:
            absent = missing_parents(
                scope, store.connection.connection_id, object_type, parent_type
            )
        fetch(tenancy, store, parent_type, absent, run_id=run_id)
    return replace(done, kept=Kept(kept.kept, kept.suppressed))


def fetch(
    tenancy: Tenancy, store: OpenStore, object_type: str, source_ids: list[str], *, run_id: str
) -> Kept:
    """Read objects by id and keep them as direct reads; of what is gone a tombstone is kept.

    A read that says "gone" is believed only if the connection's own check is green then
    (architecture, section 5). Raises what the check raises, and keeps no tombstone.
    """
    kept, gone = Kept(), list[str]()
    if not source_ids:
        return kept
    for batch in _batches(source_ids):
        answers = list(store.connector.extract.fetch(store.client, object_type, batch))
        found = [answer for answer in answers if isinstance(answer, SourceObject)]
        gone += [answer.source_id for answer in answers if isinstance(answer, Gone)]
        with tenancy.scope(store.tenant) as scope:
            kept = kept + keep(
                scope,
                store.connection.connection_id,
                found,
                Observation.direct,
                run_id=run_id,
                shape=store.connector.manifest.shape,
            )
        reached(NAMED_READ)
    if gone:
        refuse_another(store)
    with tenancy.scope(store.tenant) as scope:
        place = (store.connection.connection_id, object_type)
        kept = kept + keep_gone(scope, *place, gone, run_id=run_id)
        end_idle_hold(scope, object_type)
    return kept


def _batches(source_ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(source_ids), FETCH_BATCH):
        yield source_ids[start : start + FETCH_BATCH]


def _finish(
    tenancy: Tenancy, store: OpenStore, listing: Listing, done: Extracted, run_id: str
) -> None:
    """A finished listing needs no place to go on from, and tells what has become readable."""
    if not done.complete:
        return
    place = (store.connection.connection_id, listing.object_type, listing.name)
    with tenancy.scope(store.tenant) as scope:
        if not done.resumed:
            release_readable(scope, *place, run_id=run_id)
        forget(scope, listing)
