"""Where unfinished listings stand, so that another process goes on behind their last kept page.

Prevents a kill in mid-page from costing a whole backfill, and a place that outlives its listing
from hiding every later change: a finished listing forgets it, an old one is not gone on with.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, and_, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.storage.tables.intake import cursors
from crm_integration.stores._contract import Page
from crm_integration.tenancy.scope import TenantScope

RESUMABLE = timedelta(hours=1)
"""An unfinished listing younger than this is gone on with, an older one starts anew: what it
had seen could have changed meanwhile."""


@dataclass(frozen=True)
class Listing:
    """One listing of one connection: its name tells the window. `rest`: how long it may rest."""

    connection_id: str
    object_type: str
    name: str
    rest: timedelta = RESUMABLE

    def row(self, scope: TenantScope) -> ColumnElement[bool]:
        """Its row in `cursors`."""
        return and_(
            cursors.c.tenant_id == scope.tenant,
            cursors.c.connection_id == self.connection_id,
            cursors.c.object_type == self.object_type,
            cursors.c.listing == self.name,
        )


@dataclass(frozen=True)
class Place:
    """Where to go on (None: at the start), and when the listing began, by the database's clock."""

    checkpoint: str | None
    begun: datetime


def place_of(scope: TenantScope, listing: Listing) -> Place:
    """The place of an unfinished listing, or the start of a new one."""
    live = cursors.c.updated_at > func.clock_timestamp() - listing.rest
    now = select(func.clock_timestamp().label("now")).subquery()
    row = scope.connection.execute(
        select(cursors.c.checkpoint, cursors.c.begun_at, now.c.now).select_from(
            now.outerjoin(cursors, and_(listing.row(scope), live))
        )
    ).one()
    return Place(row.checkpoint, row.begun_at or row.now)


def remember(scope: TenantScope, listing: Listing, page: Page, begun: datetime) -> None:
    """Go on behind this page; in the transaction that keeps its objects."""
    values = {"checkpoint": page.checkpoint, "listed": page.listed, "begun_at": begun}
    statement = insert(cursors).values(
        tenant_id=scope.tenant,
        connection_id=listing.connection_id,
        object_type=listing.object_type,
        listing=listing.name,
        **values,
    )
    scope.connection.execute(
        statement.on_conflict_do_update(
            index_elements=list(cursors.primary_key.columns),
            set_={**values, "updated_at": func.clock_timestamp()},
        )
    )


def forget(scope: TenantScope, listing: Listing) -> None:
    """A finished listing needs no place to go on from."""
    scope.connection.execute(delete(cursors).where(listing.row(scope)))
