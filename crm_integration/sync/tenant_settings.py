"""What a tenant may set about the engine itself, under `settings:` in its file.

Prevents a mistyped number from being taken for the default: a value that does not fit is refused
with the setting's name. Settings of a store's connector are read by that connector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from crm_integration.errors import BadInput
from crm_integration.intake.cursors import Pace
from crm_integration.quality.options import Scalar
from crm_integration.sync.abandonment import AFTER_MINUTES
from crm_integration.sync.restraint import RECORDS, SHARE, Limit

MERGED_CONTACTS = ("keep", "archive")

WAITS_HOURS = 24
"""How long an object waits for the record it belongs to, before it is written without."""

CHANGES_MINUTES = 15
"""Least time between two looks at what people changed in the CRM."""

LAPSES_AFTER_DAYS = 365
"""A year without an order; shops that sell sofas and shops that sell milk set their own."""


@dataclass(frozen=True)
class EngineSettings:
    """`cart_abandoned_after_minutes`, `customer_lapses_after_days`, and `identity_not_keys`:
    addresses or domains, by blanks or commas, that identify nobody.

    `rewrites_a_day_records` and `rewrites_a_day_percent`: above the larger of the two, records
    whose standing values would be changed wait for a person (`restraint.py`).

    `crm_waits_hours`, `crm_changes_minutes`, and `merged_contacts`: what becomes of the CRM
    record of a customer who became another one, `keep` or `archive`.

    `reconcile_settle_minutes`, `reconcile_overlap_minutes`, `reconcile_sweep_pages`: how the
    stores are polled (`intake/cursors.py`).
    """

    cart_abandoned_after_minutes: int = AFTER_MINUTES
    customer_lapses_after_days: int = LAPSES_AFTER_DAYS
    not_keys: tuple[str, ...] = ()
    limit: Limit = Limit()
    crm_waits_hours: int = WAITS_HOURS
    crm_changes_minutes: int = CHANGES_MINUTES
    merged_contacts: str = MERGED_CONTACTS[0]
    pace: Pace = Pace()


USUAL = EngineSettings()
"""Of a tenant whose file sets nothing."""


def engine_settings(settings: Mapping[str, Scalar]) -> EngineSettings:
    """Raises BadInput for a value that does not fit."""
    return EngineSettings(
        _whole(settings, "cart_abandoned_after_minutes", AFTER_MINUTES),
        _whole(settings, "customer_lapses_after_days", LAPSES_AFTER_DAYS),
        tuple(re.findall(r"[^\s,]+", str(settings.get("identity_not_keys") or ""))),
        Limit(
            _whole(settings, "rewrites_a_day_records", RECORDS),
            _whole(settings, "rewrites_a_day_percent", round(SHARE * 100)) / 100,
        ),
        _whole(settings, "crm_waits_hours", WAITS_HOURS),
        _whole(settings, "crm_changes_minutes", CHANGES_MINUTES),
        _one_of(settings, "merged_contacts", MERGED_CONTACTS),
        _pace(settings),
    )


def _pace(settings: Mapping[str, Scalar]) -> Pace:
    usual = Pace()

    def minutes(name: str, default: timedelta) -> timedelta:
        return timedelta(minutes=_whole(settings, name, round(default / timedelta(minutes=1))))

    return Pace(
        minutes("reconcile_settle_minutes", usual.settle),
        minutes("reconcile_overlap_minutes", usual.overlap),
        _whole(settings, "reconcile_sweep_pages", usual.pages),
    )


def _one_of(settings: Mapping[str, Scalar], name: str, words: tuple[str, ...]) -> str:
    """One of the words, the first by default."""
    value = settings.get(name, words[0])
    if value not in words:
        raise BadInput(f"settings: {name} in the tenant's file must be {' or '.join(words)}")
    return str(value)


def _whole(settings: Mapping[str, Scalar], name: str, default: int) -> int:
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"settings: {name} in the tenant's file must be a whole number of 1 or more")
    return value
