"""Holds of closed windows: opened, brought up to date and ended by what the verdicts say.

Prevents a hold that the check of one entity opened from being ended by the check of another that
is written to the same CRM objects: parcels are part of orders, consent is part of contacts.
"""

from __future__ import annotations

from datetime import date

from crm_integration.quality import holds
from crm_integration.quality.verdicts import Verdict, failing_windows, newest_judged
from crm_integration.quality.volume import VOLUME
from crm_integration.tenancy.scope import TenantScope

ROW_RULES, SET_RULES = "row_rules", "set_rules"
_FIXES = {
    ROW_RULES: "See what is kept back and why, correct it in the store, then replay these days. "
    "If the rest may go out without it",
    SET_RULES: "Replay these days; if the check still fails, look at the rows its rules name. "
    "If they are right",
    VOLUME: "Look whether the store still delivers: its connection, its webhooks, its own list of "
    "that day. It ends with the next closed day within bounds; if the day was a quiet one",
}


def settle_window_holds(scope: TenantScope, entity: str, today: date) -> None:
    """Settle the holds of what an entity is written to, over all entities written there."""
    object_type = holds.HELD_OBJECT[entity]
    together = [one for one, held in holds.HELD_OBJECT.items() if held == object_type]
    for check in (ROW_RULES, SET_RULES):
        failing = [v for one in together for v in failing_windows(scope, one, check, today)]
        _settle(scope, object_type, check, failing)
    newest = [newest_judged(scope, one, VOLUME, today) for one in together]
    _settle(scope, object_type, VOLUME, [one for one in newest if one and not one.passed])


def _settle(scope: TenantScope, object_type: str, check: str, failing: list[Verdict]) -> None:
    actor = f"check {check}"
    if not failing:
        holds.release(scope, object_type, check, actor)
        return
    let_go = f"let them go: crm-integration holds {scope.tenant} --release {object_type}"
    holds.open_hold(
        scope,
        object_type,
        check,
        _volume_reason(failing[0]) if check == VOLUME else _reason(check, failing),
        f"{_FIXES[check]}, {let_go}",
        sum(verdict.failed for verdict in failing),
        by=actor,
    )


def _reason(check: str, failing: list[Verdict]) -> str:
    first = failing[0]
    entities = ", ".join(dict.fromkeys(verdict.entity for verdict in failing))
    rules = ", ".join(sorted(first.details["rules"])) or "none"
    return (
        f"{len(failing)} closed window(s) of {entities} fail {check}, the first "
        f"{first.window_start} to {first.window_end} with {first.failed} of {first.rows} rows "
        f"(rules: {rules})"
    )


def _volume_reason(verdict: Verdict) -> str:
    before = ", ".join(str(rows) for rows in verdict.details["same_weekday_before"])
    return (
        f"{verdict.window_start:%A} {verdict.window_start} has {verdict.details['new_rows']} new "
        f"{verdict.entity} row(s), {verdict.failed} fewer than usual; the same weekday before it, "
        f"newest first: {before}"
    )
