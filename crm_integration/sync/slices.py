"""Long ranges in slices: each goes the whole way before the next one begins.

Prevents the backfill that holds two years in memory, shows nothing for an hour, and starts from
nothing after a kill: memory is that of one slice, each slice's partitions are done when it is,
and a retry of the same run goes on behind the last slice that was finished.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import timedelta

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from crm_integration.storage.tables.intake import finished_slices
from crm_integration.stores._contract import Window
from crm_integration.sync.path import House, Progress, run_path
from crm_integration.sync.report import PathReport, Selection
from crm_integration.transport.quota import Purpose

KEPT_FOR = timedelta(days=30)
"""So long a run may still be retried from its last finished slice; after that, from its start."""

SLICE_DAYS = 92
"""About a quarter: a store lists it in minutes, and its frames take some tens of megabytes."""


@dataclass(frozen=True)
class Slice:
    """Neighbouring windows that are run together."""

    windows: tuple[Window, ...]

    @property
    def span(self) -> Window:
        """From the first day to the last."""
        return Window(self.windows[0].start, self.windows[-1].end)


def slices_of(windows: Sequence[Window], days: int = SLICE_DAYS) -> list[Slice]:
    """Windows by time, cut where a slice would span more than so many days."""
    found: list[list[Window]] = []
    for window in sorted(windows, key=lambda one: one.start):
        if found and (window.end - found[-1][0].start).days <= days:
            found[-1].append(window)
        else:
            found.append([window])
    return [Slice(tuple(group)) for group in found]


def run_slices(
    house: House,
    tenant: str,
    windows: Sequence[Window],
    selection: Selection,
    *,
    run_id: str,
    root_run_id: str,
    progress: Progress | None = None,
    purpose: Purpose = "reconcile",
) -> Iterator[tuple[Slice, PathReport]]:
    """Run a tenant's windows slice by slice, oldest first; yields each as it is finished.

    `root_run_id` names the run that was asked for, of which `run_id` may be a retry: what it has
    finished is left out. A slice counts as finished when the caller, having told about it, asks
    for the next one, and if nothing of it failed. One with a problem does not stop the next.
    """
    slices = slices_of(windows)
    finished = _finished(house, tenant, root_run_id) if root_run_id != run_id else set[Window]()
    first = True
    for part in slices:
        if part.span in finished:
            first = False
            continue
        report = run_path(
            house, tenant, part.windows, selection, run_id=run_id, progress=progress, swept=first,
            purpose=purpose,
        )  # fmt: skip
        first = first and bool(report.problems)
        yield part, report
        if len(slices) > 1 and not report.problems and all(one.passed for one in report.verdicts):
            _finish(house, tenant, root_run_id, part.span)


def _finished(house: House, tenant: str, root_run_id: str) -> set[Window]:
    with house.engines.tenancy.scope(tenant) as scope:
        rows = scope.connection.execute(
            select(finished_slices.c.start_day, finished_slices.c.end_day).where(
                finished_slices.c.tenant_id == scope.tenant,
                finished_slices.c.root_run_id == root_run_id,
            )
        )
        return {Window(*row) for row in rows}


def _finish(house: House, tenant: str, root_run_id: str, span: Window) -> None:
    """Note a finished slice; those of runs that nobody retries any more are forgotten here."""
    with house.engines.tenancy.scope(tenant) as scope:
        scope.connection.execute(
            insert(finished_slices)
            .values(
                tenant_id=scope.tenant,
                root_run_id=root_run_id,
                start_day=span.start,
                end_day=span.end,
            )
            .on_conflict_do_nothing()
        )
        scope.connection.execute(
            delete(finished_slices).where(
                finished_slices.c.tenant_id == scope.tenant,
                finished_slices.c.finished_at < func.now() - KEPT_FOR,
            )
        )
