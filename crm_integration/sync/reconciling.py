"""One tenant's stores polled from their cursors, and what came taken the whole way.

Prevents two ends of one failure: an hourly run that lists two days of every shop again although
nothing changed, and one that asks all shops in the same minute. The way is the same as
everybody's (`path.py`); only what is listed is decided by cursors.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy.exc import SQLAlchemyError

from crm_integration.stores._contract import Window
from crm_integration.sync.path import House, Progress, run_path
from crm_integration.sync.report import PathReport, Problem, Selection, unforeseen


def reconcile_tenant(
    house: House,
    tenant: str,
    selection: Selection,
    *,
    run_id: str,
    progress: Progress | None = None,
) -> PathReport:
    """Poll, derive, judge and sync one tenant. Raises nothing: see `run_path`.

    All of it on one connection: a quiet shop's look is thirty short transactions.
    """
    now, engines = datetime.now(UTC), house.engines
    windows = [Window.between(now, now)]
    try:
        with engines.tenancy.on_one_connection() as tenancy:
            mine = replace(house, engines=replace(engines, tenancy=tenancy))
            return run_path(
                mine, tenant, windows, selection, run_id=run_id, progress=progress, by_cursor=True
            )
    except SQLAlchemyError as error:  # there is no connection, or it breaks when it is given back
        return PathReport(tenant, problems=[Problem("start", tenant, unforeseen(error))])


def slot_of(tenant: str, slots: int) -> int:
    """The same slot of the hour for a tenant in every process and release."""
    digest = sha256(f"reconcile/{tenant}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % slots
