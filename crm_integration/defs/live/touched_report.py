"""What live runs have touched, as materializations of its partitions.

Prevents two false pictures: a partition that looks stale although its records are in the CRM, and
one that looks complete although only some of its records were delivered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import date, timedelta
from threading import Event, Thread

from dagster import AssetKey, AssetMaterialization, MetadataValue, OpExecutionContext
from sqlalchemy.exc import SQLAlchemyError

from crm_integration.defs import canonical, crm_sync, store_extracts
from crm_integration.defs.partitions import key_of, window_of, windows
from crm_integration.defs.store_extracts import PLURAL
from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.touched import Touched, note_told, untold
from crm_integration.sync.path import House
from crm_integration.sync.window_counts import canonical_counts, ledger_counts, raw_counts, summed


@contextmanager
def telling(context: OpExecutionContext, house: House) -> Generator[None]:
    """Tell beside what is done meanwhile, and of all that is left at its end.

    An event takes Dagster some hundredths of a second, and a run that was killed may have left
    thousands: deliveries would wait for their telling.
    """
    ended = Event()
    beside = Thread(target=_tell_beside, args=(context, house, ended), daemon=True)
    beside.start()
    try:
        yield
    finally:
        ended.set()
        beside.join()
    report_touched(context, house)


def _tell_beside(context: OpExecutionContext, house: House, ended: Event) -> None:
    try:
        report_touched(context, house, ended)
    except SQLAlchemyError as error:
        context.log.warning(f"what was touched is told later: {type(error).__name__}")


def report_touched(context: OpExecutionContext, house: House, ended: Event | None = None) -> int:
    """Tell of what was touched and not told so far, by this run or by one that was killed.

    Returns how many partitions of assets were told of; once it has `ended`, no further tenant.
    """
    by_tenant: dict[str, list[Touched]] = defaultdict(list)
    for one in untold(house.engines.ops):
        by_tenant[one.tenant].append(one)
    told = 0
    for tenant, touched in by_tenant.items():
        if ended is not None and ended.is_set():
            break
        try:
            for event in _events(house, tenant, touched):
                context.log_event(event)
                told += 1
        except CrmIntegrationError as error:
            context.log.warning(f"{tenant}: what was touched cannot be told. {error}")
        note_told(house.engines.ops, touched)
    return told


def _events(
    house: House, tenant: str, touched: Sequence[Touched]
) -> Iterator[AssetMaterialization]:
    """One for each asset and window."""
    first = windows.start.date()
    parts = sorted({(one.object_type, _start(one)) for one in touched if one.day >= first})
    if not parts:
        return
    types = {object_type for object_type, _ in parts}
    span = min(start for _, start in parts), max(start for _, start in parts) + timedelta(days=32)
    written = {one: entity for one, entity in crm_sync.OBJECTS.items() if entity in types}
    with house.engines.tenancy.scope(tenant) as scope:
        raw = raw_counts(scope, span, types)
        rows = canonical_counts(scope, span, types)
        sent = ledger_counts(scope, span, written)
    for object_type, start in parts:
        window = window_of(start.isoformat())
        days = (window.start, window.end)
        plural = PLURAL[object_type]
        yield _event([store_extracts.GROUP, plural], tenant, days[0],
                     summed(raw[object_type], *days).raw)  # fmt: skip
        yield _event([canonical.GROUP, plural], tenant, days[0],
                     summed(rows[object_type], *days).rows)  # fmt: skip
        for name, entity in written.items():
            if entity == object_type:
                states = summed(sent[name], *days).states
                yield _event([crm_sync.GROUP, crm_sync.NAMES[name]], tenant, days[0],
                             states.get("synced", 0))  # fmt: skip


def _start(one: Touched) -> date:
    """The first day of its window."""
    return date.fromisoformat(key_of(one.tenant, one.day).keys_by_dimension["window"])


def _event(path: Sequence[str], tenant: str, start: date, rows: int) -> AssetMaterialization:
    return AssetMaterialization(
        AssetKey(path),
        partition=key_of(tenant, start),
        description="As far as it was delivered; the next reconciliation completes it.",
        metadata={
            "dagster/partition_row_count": MetadataValue.int(rows),
            "complete": MetadataValue.bool(False),
            "by": "a live run",
        },
    )
