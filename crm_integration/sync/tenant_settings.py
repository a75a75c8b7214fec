"""What a tenant may set about the engine itself, under `settings:` in its file.

Prevents a mistyped number from being taken for the default: a value that does not fit is refused
with the setting's name. Settings of a store's connector are read by that connector.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from crm_integration.errors import BadInput
from crm_integration.quality.options import Scalar
from crm_integration.sync.abandonment import AFTER_MINUTES

LAPSES_AFTER_DAYS = 365
"""A year without an order; shops that sell sofas and shops that sell milk set their own."""


@dataclass(frozen=True)
class EngineSettings:
    """`cart_abandoned_after_minutes`, `customer_lapses_after_days`, and `identity_not_keys`:
    addresses or domains, by blanks or commas, that identify nobody."""

    cart_abandoned_after_minutes: int = AFTER_MINUTES
    customer_lapses_after_days: int = LAPSES_AFTER_DAYS
    not_keys: tuple[str, ...] = ()


def engine_settings(settings: Mapping[str, Scalar]) -> EngineSettings:
    """Raises BadInput for a value that does not fit."""
    return EngineSettings(
        _whole(settings, "cart_abandoned_after_minutes", AFTER_MINUTES),
        _whole(settings, "customer_lapses_after_days", LAPSES_AFTER_DAYS),
        tuple(re.findall(r"[^\s,]+", str(settings.get("identity_not_keys") or ""))),
    )


def _whole(settings: Mapping[str, Scalar], name: str, default: int) -> int:
    value = settings.get(name, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise BadInput(f"settings: {name} in the tenant's file must be a whole number of 1 or more")
    return value
