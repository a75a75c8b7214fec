"""What HubSpot's answers say of the account's quotas, as its documentation names the headers.

Prevents the smallest plan's figure from holding for an account that has a larger one, and other
programs on the same portal from being reckoned with only once they have used it up.
"""

from __future__ import annotations

from typing import Final

import httpx

from crm_integration.transport.budget import BudgetGate

METERED_BY: Final = {"DAILY": "day", "SECONDLY": "search"}
"""`policyName` of a 429 -> the budget of the manifest; every other policy is that of all calls."""

_PREFIX: Final = "x-hubspot-ratelimit-"


def heard(gate: object, response: httpx.Response) -> None:
    """Tell a gate what an answer's headers say; searches send none, and not all plans all."""
    if not isinstance(gate, BudgetGate):
        return
    gate.told("day", limit=_figure(response, "daily"), remaining=_left(response, "daily-remaining"))
    window, interval = gate.budgets.get("all"), _figure(response, "interval-milliseconds")
    # Figures of another window than ours (a connection may set its own) are not comparable.
    if window is not None and interval == window.seconds * 1000:
        gate.told("all", limit=_figure(response, "max"), remaining=_left(response, "remaining"))


def _figure(response: httpx.Response, name: str) -> int | None:
    """A limit; none of zero: that is a word about something else."""
    return _left(response, name) or None


def _left(response: httpx.Response, name: str) -> int | None:
    value = response.headers.get(_PREFIX + name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) < 10 else None
