"""How far a store's source time is proven, and the next window that is listed to prove more.

Prevents the order that nobody ever asked for again: a cursor at the last seen time drops what the
store showed late, what was edited while it was listed, and what was listed and not kept. Here a
cursor passes a window only when its end is older than the settle time and every id that the store
listed is kept, or kept with a later version; and either the store's own count agrees, or a second
listing has brought nothing new (promise 10).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from sqlalchemy import and_, func, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.intake.extract import Extracted, extract
from crm_integration.intake.limits import admitted
from crm_integration.intake.open_store import OpenStore
from crm_integration.intake.raw_records import FUTURE_TOLERANCE, Kept
from crm_integration.storage.bulk import stage
from crm_integration.storage.tables.intake import proven_spans, raw_records
from crm_integration.storage.tables.tenancy import connections
from crm_integration.stores._contract import Page, SourceObject, Window
from crm_integration.tenancy.scope import Tenancy, TenantScope

LONGEST_WINDOW = timedelta(days=31)
"""After an outage a run lists so much; the next one goes on behind it."""

_EARLIEST = datetime(1, 1, 2, tzinfo=UTC)

NOT_KEPT = "some listed ids are not kept"
COUNT_DIFFERS = "the store counts more than it listed, or something changed meanwhile"
LISTED_ONCE = "listed once: the next listing must bring nothing new"
UNDER_WAY = "swept in portions: under way"
NOT_YET = "its listing is dear: polled every few hours"
BROUGHT_NEW = "the second listing brought what the first did not"


@dataclass(frozen=True)
class Pace:
    """How a tenant is polled: what is younger than `settle` is never proven; each window begins
    `overlap` before the cursor; a type without a filter is swept by `pages` a run; one whose
    listing is dear is listed after a pause."""

    settle: timedelta = timedelta(minutes=15)
    overlap: timedelta = timedelta(minutes=30)
    pages: int = 20
    dear_pause: timedelta = timedelta(hours=6)


@dataclass(frozen=True)
class Reconciled:
    """What one listing brought and proved. `reason`: why the cursor did not pass its window."""

    listed: Extracted
    proven_until: datetime
    reason: str = ""

    @property
    def stuck(self) -> bool:
        """It did not pass, and not because that takes its time."""
        return self.reason not in ("", LISTED_ONCE, UNDER_WAY, NOT_YET)


@dataclass(frozen=True)
class Span:
    """What is proven of a type before it is listed again; `now` by the database's clock."""

    proven_until: datetime
    candidate_until: datetime | None
    now: datetime
    listed_at: datetime | None = None


@dataclass
class Witness:
    """Sees what a store lists, and what was news to us."""

    ids: dict[str, datetime | None] = field(default_factory=lambda: dict[str, datetime | None]())
    counted: int | None = None
    strange: set[bytes] = field(default_factory=lambda: set[bytes]())
    news: list[datetime | None] = field(default_factory=lambda: list[datetime | None]())

    def __call__(self, page: Page, kept: Kept) -> None:
        """Take a page down."""
        if self.counted is None:
            self.counted = page.listed
        self.strange.update(one.payload for one in page.unreadable)
        self.news += kept.news
        for item in page.objects:
            known = self.ids.get(item.source_id)
            later = [one for one in (known, item.source_time) if one is not None]
            self.ids[item.source_id] = max(later, default=None)

    def settled(self, before: datetime) -> int:
        """How many objects it listed that cannot have come or changed while it was listed."""
        still = (one is None or one < before for one in self.ids.values())
        return sum(still) + len(self.strange)


def reconcile(
    tenancy: Tenancy,
    store: OpenStore,
    object_type: str,
    pace: Pace,
    *,
    run_id: str,
    on_page: Callable[[str, int], None] | None = None,
) -> Reconciled:
    """List what lies behind the cursor, keep it, and pass the cursor if that is proven.

    Raises what the store's client and `extract` raise; the cursor stays then.
    """
    with tenancy.scope(store.tenant) as scope:
        span = span_of(scope, store, object_type)
    if object_type in store.connector.manifest.dear and _listed_lately(span, pace):
        return Reconciled(Extracted(object_type, span.now), span.proven_until, NOT_YET)
    if object_type in store.connector.manifest.swept:
        return _sweep(tenancy, store, object_type, pace, span, run_id, on_page)
    window = next_window(span, pace)
    witness = Witness()
    listed = extract(
        tenancy, store, object_type, window, run_id=run_id, on_page=on_page, listener=witness
    )
    with tenancy.scope(store.tenant) as scope:
        unkept = _unkept(scope, store, object_type, witness, span.now)
        end = min(window.finish, span.now - pace.settle)
        counts = object_type in store.connector.manifest.counted
        after = _judge(span, window, witness, listed, end, unkept=unkept, counts=counts)
        _write(scope, store, object_type, after)
    return Reconciled(listed, after.proven_until, after.reason)


def _listed_lately(span: Span, pace: Pace) -> bool:
    return span.listed_at is not None and span.now - span.listed_at < pace.dear_pause


def next_window(span: Span, pace: Pace) -> Window:
    """From the overlap before the cursor on: to now and all of today, or to a bounded end."""
    begin = span.proven_until - pace.overlap
    if span.now - begin > LONGEST_WINDOW:
        return Window.between(begin, begin + LONGEST_WINDOW)
    days = Window.between(begin, span.now)
    return Window(days.start, days.end, days.since)


@dataclass(frozen=True)
class _After:
    proven_until: datetime
    candidate_until: datetime | None
    reason: str = ""


def _judge(
    span: Span,
    window: Window,
    witness: Witness,
    listed: Extracted,
    end: datetime,
    *,
    unkept: int,
    counts: bool,
) -> _After:
    """Promise 10. A listing that was gone on with saw only a part: it proves nothing by itself."""
    until = span.proven_until
    if unkept:
        return _After(until, None, f"{NOT_KEPT} ({unkept})")
    settled = witness.settled(span.now - FUTURE_TOLERANCE)
    if counts and not listed.resumed and settled >= (witness.counted or 0):
        return _After(max(until, end), None)
    reason = COUNT_DIFFERS if counts else LISTED_ONCE
    candidate = span.candidate_until
    if candidate is not None and not listed.resumed:
        if _missed(witness, window.begin, candidate):
            reason = BROUGHT_NEW
        else:
            until, reason = max(until, candidate), ""
    return _After(until, max(until, end), reason)


def _missed(witness: Witness, begin: datetime, candidate: datetime) -> bool:
    """Whether the first listing should have brought something that only this one did."""
    return any(one is None or begin <= one < candidate for one in witness.news)


def span_of(scope: TenantScope, store: OpenStore, object_type: str) -> Span:
    """What is proven so far; nothing is before the connection was made."""
    connection_id = store.connection.connection_id
    mine = and_(
        proven_spans.c.tenant_id == connections.c.tenant_id,
        proven_spans.c.connection_id == connections.c.connection_id,
        proven_spans.c.object_type == object_type,
    )
    row = scope.connection.execute(
        select(
            func.coalesce(proven_spans.c.proven_until, connections.c.created_at),
            proven_spans.c.candidate_until,
            func.clock_timestamp(),
            proven_spans.c.listed_at,
        )
        .select_from(connections.outerjoin(proven_spans, mine))
        .where(
            connections.c.tenant_id == scope.tenant,
            connections.c.connection_id == connection_id,
        )
    ).one()
    return Span(*row)


def _unkept(
    scope: TenantScope, store: OpenStore, object_type: str, witness: Witness, now: datetime
) -> int:
    """How many listed ids are not kept with the version that was listed, or a later one."""
    if not witness.ids:
        return 0
    rows = [
        (_kept_as(scope, object_type, source_id), _kept_at(at, now))
        for source_id, at in witness.ids.items()
    ]
    listed = stage(scope.connection, raw_records, ("source_id", "source_time"), rows)
    kept = (
        select(raw_records.c.raw_id)
        .where(
            raw_records.c.tenant_id == scope.tenant,
            raw_records.c.connection_id == store.connection.connection_id,
            raw_records.c.object_type == object_type,
            raw_records.c.source_id == listed.c.source_id,
            raw_records.c.source_time >= listed.c.source_time,
        )
        .exists()
    )
    return scope.connection.execute(
        select(func.count()).select_from(listed).where(~kept)
    ).scalar_one()


def _kept_as(scope: TenantScope, object_type: str, source_id: str) -> str:
    return admitted(SourceObject(object_type, source_id, None, b""), scope.keys)[0].source_id


def _kept_at(at: datetime | None, now: datetime) -> datetime:
    """The least time under which its raw record is kept: of the future none is believed."""
    if at is None:
        return _EARLIEST
    return now if at > now + FUTURE_TOLERANCE else at


def _write(scope: TenantScope, store: OpenStore, object_type: str, after: _After) -> None:
    """Two runs at once may both have proven something: the later end stands."""
    statement = insert(proven_spans).values(
        tenant_id=scope.tenant,
        connection_id=store.connection.connection_id,
        object_type=object_type,
        proven_until=after.proven_until,
        candidate_until=after.candidate_until,
        reason=after.reason,
    )
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(proven_spans.primary_key.columns),
            set_={
                "proven_until": func.greatest(
                    proven_spans.c.proven_until, statement.excluded.proven_until
                ),
                "candidate_until": statement.excluded.candidate_until,
                "reason": statement.excluded.reason,
                "listed_at": func.clock_timestamp(),
            },
        )
    )


def _sweep(
    tenancy: Tenancy,
    store: OpenStore,
    object_type: str,
    pace: Pace,
    span: Span,
    run_id: str,
    on_page: Callable[[str, int], None] | None,
) -> Reconciled:
    """Some pages of a type that is listed whole; what was there when a sweep began is proven at
    its end."""
    listed = extract(
        tenancy,
        store,
        object_type,
        Window.between(span.proven_until, span.now),
        run_id=run_id,
        on_page=on_page,
        most_pages=pace.pages,
    )
    until = span.proven_until
    if listed.complete:
        until = max(until, listed.begun - pace.settle)
    after = _After(until, None, "" if listed.complete else UNDER_WAY)
    with tenancy.scope(store.tenant) as scope:
        _write(scope, store, object_type, after)
    return Reconciled(listed, until, after.reason)
