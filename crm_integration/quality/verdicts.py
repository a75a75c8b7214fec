"""Verdicts: what a check said of a window, kept.

Prevents a gate that lasts as long as one run: the writer and the alert sensor read what was
decided, and a verdict names the highest raw record it saw, beyond which it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, func, insert, or_, select
from sqlalchemy.dialects.postgresql import distinct_on

from crm_integration.quality.holds import HELD_OBJECT
from crm_integration.storage.tables.quality import holds, verdicts
from crm_integration.tenancy.scope import TenantScope


@dataclass(frozen=True)
class Window:
    """Raw records whose day lies in `[start, end)`, UTC."""

    start: date
    end: date


@dataclass(frozen=True)
class Verdict:
    """One check's word on one window of one entity.

    `rows` were judged, `failed` of them fail. `details` holds numbers and rule names only: it
    is read over all tenants and shown in alerts.
    """

    entity: str
    check_name: str
    window_start: date
    window_end: date
    passed: bool
    rows: int
    failed: int
    highest_raw_id: int
    rules_version: str
    details: Mapping[str, Any] = field(default_factory=lambda: dict[str, Any]())

    def is_closed(self, today: date) -> bool:
        """Whether the window had ended before `today` began."""
        return self.window_end <= today


@dataclass(frozen=True)
class FailedVerdict:
    """A failed verdict with the tenant it belongs to, for the alert sensor."""

    verdict_id: int
    tenant: str
    verdict: Verdict


_FIELDS = tuple(Verdict.__dataclass_fields__)
_COLUMNS = tuple(verdicts.c[name] for name in _FIELDS)
_NO_ID_YET = 2**63 - 1
"""Beyond every id the column can hold."""


def write_verdicts(scope: TenantScope, found: Iterable[Verdict], run_id: str) -> None:
    """Keep verdicts; none is ever changed, the newest of a window counts.

    `decided_at` is the moment of the insert, not of the transaction's start: `failing_since`
    waits for what was inserted before.
    """
    rows = [
        {"tenant_id": scope.tenant, "run_id": run_id}
        | {name: getattr(verdict, name) for name in _FIELDS}
        for verdict in found
    ]
    if rows:
        statement = insert(verdicts).values(decided_at=func.clock_timestamp())
        scope.connection.execute(statement, rows)


def latest(scope: TenantScope, entity: str, window: Window) -> dict[str, Verdict]:
    """The newest verdict of each check on exactly this window, by check name."""
    rows = scope.connection.execute(
        select(*_COLUMNS)
        .ext(distinct_on(verdicts.c.check_name))
        .where(verdicts.c.entity == entity)
        .where(verdicts.c.window_start == window.start, verdicts.c.window_end == window.end)
        .order_by(verdicts.c.check_name, verdicts.c.verdict_id.desc())
    )
    return {verdict.check_name: verdict for verdict in map(_verdict, rows.mappings())}


def failing_windows(
    scope: TenantScope, entity: str, check_name: str, today: date
) -> tuple[Verdict, ...]:
    """Closed windows this check fails now, in order of their start.

    A failure is outlived by any later verdict of the check over a window that covers it, and
    settled by a person who released the hold when at least as many rows failed.
    """
    later = verdicts.alias("later")
    outlived = (
        select(later.c.verdict_id)
        .where(later.c.tenant_id == verdicts.c.tenant_id)
        .where(later.c.entity == verdicts.c.entity, later.c.check_name == verdicts.c.check_name)
        .where(later.c.verdict_id > verdicts.c.verdict_id)
        .where(later.c.window_start <= verdicts.c.window_start)
        .where(later.c.window_end >= verdicts.c.window_end)
        .exists()
    )
    rows = scope.connection.execute(
        select(*_COLUMNS)
        .where(verdicts.c.entity == entity, verdicts.c.check_name == check_name)
        .where(verdicts.c.window_end <= today, ~verdicts.c.passed, ~outlived)
        .where(~_let_go(entity, check_name))
        .order_by(verdicts.c.window_start, verdicts.c.verdict_id)
    )
    return tuple(map(_verdict, rows.mappings()))


def newest_judged(scope: TenantScope, entity: str, check_name: str, today: date) -> Verdict | None:
    """The verdict on the newest closed window that was judged and not let go by a person."""
    row = (
        scope.connection.execute(
            select(*_COLUMNS)
            .where(verdicts.c.entity == entity, verdicts.c.check_name == check_name)
            .where(verdicts.c.window_end <= today, ~verdicts.c.details.has_key("skipped"))
            .where(or_(verdicts.c.passed, ~_let_go(entity, check_name)))
            .order_by(verdicts.c.window_start.desc(), verdicts.c.verdict_id.desc())
            .limit(1)
        )
        .mappings()
        .one_or_none()
    )
    return None if row is None else _verdict(row)


def _let_go(entity: str, check_name: str) -> ColumnElement[bool]:
    """A person released the hold after this window had failed with at least as many rows."""
    then = verdicts.alias("then")
    released = (
        select(holds.c.hold_id)
        .where(holds.c.tenant_id == then.c.tenant_id, holds.c.check_name == check_name)
        .where(holds.c.object_type == HELD_OBJECT[entity])
        .where(holds.c.released_at >= then.c.decided_at, ~holds.c.released_by.startswith("check "))
        .exists()
    )
    return (
        select(then.c.verdict_id)
        .where(then.c.tenant_id == verdicts.c.tenant_id)
        .where(then.c.entity == verdicts.c.entity, then.c.check_name == verdicts.c.check_name)
        .where(then.c.window_start == verdicts.c.window_start)
        .where(then.c.window_end == verdicts.c.window_end)
        .where(~then.c.passed, then.c.failed >= verdicts.c.failed, released)
        .exists()
    )


def failing_since(
    ops: Connection, after_verdict_id: int, limit: int, *, settled_for: timedelta
) -> tuple[FailedVerdict, ...]:
    """Failed verdicts of all tenants after an id, oldest first; `ops` is a crm_ops connection.

    Ids are given before they are committed, so a lower one may appear after a higher one. Only
    those below the first verdict younger than `settled_for` are returned: longer than the time
    from a verdict's insert to its commit, and no reader that goes on behind the last id it saw
    skips one.
    """
    since = func.clock_timestamp() - settled_for
    unsettled = select(func.min(verdicts.c.verdict_id)).where(verdicts.c.decided_at > since)
    rows = ops.execute(
        select(verdicts.c.verdict_id, verdicts.c.tenant_id, *_COLUMNS)
        .where(verdicts.c.verdict_id > after_verdict_id, ~verdicts.c.passed)
        .where(verdicts.c.verdict_id < func.coalesce(unsettled.scalar_subquery(), _NO_ID_YET))
        .order_by(verdicts.c.verdict_id)
        .limit(limit)
    )
    return tuple(
        FailedVerdict(row["verdict_id"], row["tenant_id"], _verdict(row)) for row in rows.mappings()
    )


def _verdict(row: RowMapping) -> Verdict:
    return Verdict(**{name: row[name] for name in _FIELDS})
