"""One tenant's stores polled from their cursors, and what came taken the whole way.

Prevents two ends of one failure: an hourly run that lists two days of every shop again although
nothing changed, and one that asks all shops in the same minute. The way is the same as
everybody's (`path.py`); only what is listed is decided by cursors.
"""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import sha256

from crm_integration.stores._contract import Window
from crm_integration.sync.path import House, Progress, run_path
from crm_integration.sync.report import PathReport, Selection


def reconcile_tenant(
    house: House,
    tenant: str,
    selection: Selection,
    *,
    run_id: str,
    progress: Progress | None = None,
) -> PathReport:
    """Poll, derive, judge and sync one tenant. Raises nothing: see `run_path`."""
    now = datetime.now(UTC)
    windows = [Window.between(now, now)]
    return run_path(
        house, tenant, windows, selection, run_id=run_id, progress=progress, by_cursor=True
    )


def slot_of(tenant: str, slots: int) -> int:
    """The same slot of the hour for a tenant in every process and release."""
    digest = sha256(f"reconcile/{tenant}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % slots
