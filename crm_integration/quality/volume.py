"""Volume: closed days on which far less happened than on the same weekday lately.

Prevents the feed that quietly dies: every record that still arrives is sound, and nobody counts
those that do not.

The measure: orders by the day they were placed, accounts by that of their registration, refunds
by that of the refund (UTC) — not raw records, of which a changed order brings several. A day is
compared with the same weekday of the eight weeks before it, so that a shop that never sells on
Saturdays is right to have no order then. It is far below when it has less than a tenth of their
median (`volume.min_share`; a real shop's slump before Christmas came to 13 %), lies three robust
deviations (1.4826 x MAD) under it, and a Poisson day of that mean would come out as low less than
once in 10,000: a shop of nine orders a day can have an empty one.

Only yesterday can fail and hold. Of an older day, the runs of a backfill say what they found and
pass: what was bought three years ago is not mended by waiting, and a Christmas break judged in
hindsight would hold for ever. A hold of yesterday ends with the next closed day within bounds,
or by a person.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from math import exp
from statistics import median

from sqlalchemy import Column, Date, cast, func, select

from crm_integration.quality.options import Options
from crm_integration.quality.verdicts import Verdict, Window
from crm_integration.storage.tables.canonical import customers, orders, refunds
from crm_integration.tenancy.scope import TenantScope

VOLUME = "volume"
WEEKS = 8
"""Weeks back; more would compare summer with spring."""
MIN_WEEKS = 4
"""Fewer same weekdays say nothing of what is usual."""
DEVIATIONS = 3
CHANCE = 1e-4
_MAD_TO_SIGMA = 1.4826
"""Of a normal distribution; see Rousseeuw and Croux, 1993."""

_HAPPENED: dict[str, Column[object]] = {
    "customer": customers.c.registered_at,
    "order": orders.c.placed_at,
    "refund": refunds.c.refunded_at,
}
HAVE_VOLUME = frozenset(_HAPPENED)
"""Entities with traffic of their own."""

Counts = Mapping[date, int]


@dataclass(frozen=True)
class Outcome:
    """A day's number against what is usual; `below` fails, `above` is only told."""

    rows: int
    usual: float
    weeks: tuple[int, ...]
    below: bool
    above: bool


def compare(counts: Counts, first: date, day: date, options: Options) -> Outcome | str:
    """Judge a day by the same weekdays before it; a sentence says why it cannot be judged.

    `counts` lacks days without rows; `first` is the first day with any.
    """
    if (day - first).days < options.volume_min_history_days:
        return f"fewer than {options.volume_min_history_days} days of history"
    before = [day - timedelta(weeks=weeks) for weeks in range(1, WEEKS + 1)]
    weeks = tuple(counts.get(one, 0) for one in before if one >= first)
    if len(weeks) < MIN_WEEKS:
        return f"fewer than {MIN_WEEKS} of the same weekday"
    rows, usual = counts.get(day, 0), float(median(weeks))
    spread = DEVIATIONS * _MAD_TO_SIGMA * float(median(abs(one - usual) for one in weeks))
    share = options.volume_min_share
    few = rows < share * usual and rows < usual - spread
    return Outcome(
        rows,
        usual,
        weeks,
        below=few and _at_most(rows, usual) < CHANCE,
        above=bool(share) and rows * share > usual > 0 and rows > usual + spread,
    )


def _at_most(rows: int, mean: float) -> float:
    """Poisson: the probability of `rows` or fewer; 0 where the mean is too large for a float."""
    if mean > 700:
        return 0.0
    term = total = exp(-mean)
    for number in range(1, rows + 1):
        term *= mean / number
        total += term
    return total


def volume_verdicts(
    scope: TenantScope,
    entity: str,
    windows: Sequence[Window],
    options: Options,
    *,
    today: date,
    rules_version: str,
    highest_raw_ids: Mapping[date, int],
) -> list[Verdict]:
    """A verdict for each window; `highest_raw_ids` goes by a window's start.

    `rows` is what a usual day has, `failed` how many of those are missing. A window that is not
    one closed day passes with `skipped` in its details.
    """
    if options.volume_off or not windows:
        return []
    counts: Counts = {}
    first: date | None = None
    if any(_is_judged(one, today) for one in windows):
        counts, first = _by_day(scope, entity, windows)
    found: list[Verdict] = []
    for window in windows:
        outcome = _outcome(counts, first, window, options, today)
        passed, usual, missing, details = _told(outcome, is_newest=window.end == today)
        found.append(
            Verdict(
                entity=entity,
                check_name=VOLUME,
                window_start=window.start,
                window_end=window.end,
                passed=passed,
                rows=usual,
                failed=missing,
                highest_raw_id=highest_raw_ids.get(window.start, 0),
                rules_version=rules_version,
                details=details,
            )
        )
    return found


def _is_judged(window: Window, today: date) -> bool:
    return (window.end - window.start).days == 1 and window.end <= today


def _outcome(
    counts: Counts, first: date | None, window: Window, options: Options, today: date
) -> Outcome | str:
    if not _is_judged(window, today):
        one_day = (window.end - window.start).days == 1
        return "the day is not over" if one_day else "only windows of one day are judged"
    if first is None:
        return "no history"
    return compare(counts, first, window.start, options)


def _told(outcome: Outcome | str, *, is_newest: bool) -> tuple[bool, int, int, dict[str, object]]:
    """(passed, rows of a usual day, how many are missing, details)."""
    if isinstance(outcome, str):
        return True, 0, 0, {"skipped": outcome}
    passed = not (outcome.below and is_newest)
    usual = round(outcome.usual)
    details: dict[str, object] = {
        "rules": {VOLUME: usual - outcome.rows} if outcome.below else {},
        "new_rows": outcome.rows,
        "usual": outcome.usual,
        "same_weekday_before": list(outcome.weeks),
        "far_below": outcome.below,
        "far_above": outcome.above,
    }
    return passed, max(usual, outcome.rows), 0 if passed else usual - outcome.rows, details


def _by_day(
    scope: TenantScope, entity: str, windows: Sequence[Window]
) -> tuple[Counts, date | None]:
    """Rows by day from `WEEKS` before the first window, and the first day there ever was."""
    happened = _HAPPENED[entity]
    table = happened.table
    start = min(one.start for one in windows) - timedelta(weeks=WEEKS)
    end = max(one.end for one in windows)
    day = cast(func.timezone("UTC", happened), Date)
    mine = table.c.tenant_id == scope.tenant
    earliest = scope.connection.execute(select(func.min(day)).where(mine)).scalar_one()
    rows = scope.connection.execute(
        select(day, func.count()).where(mine, day >= start, day < end).group_by(day)
    )
    return {one: number for one, number in rows}, earliest
