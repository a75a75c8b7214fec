"""The states of a ledger row and the only ways between them.

Prevents the impossible history: a row that was never sent cannot become synced, a dead one does
not come back by itself. A test tries every other pair.
"""

from __future__ import annotations

from enum import StrEnum

from crm_integration.errors import CrmIntegrationError


class State(StrEnum):
    """What is to be done with the desired version of a CRM object."""

    pending = "pending"
    in_flight = "in_flight"
    synced = "synced"
    retry = "retry"
    unknown = "unknown"
    parked = "parked"
    held = "held"
    skipped = "skipped"
    dead = "dead"


TRANSITIONS: dict[State, frozenset[State]] = {
    State.pending: frozenset({State.in_flight, State.parked, State.held, State.skipped}),
    State.in_flight: frozenset(
        {State.synced, State.retry, State.unknown, State.dead, State.parked, State.pending}
    ),
    State.unknown: frozenset({State.synced, State.pending}),
    State.retry: frozenset({State.pending}),
    State.parked: frozenset({State.pending}),
    State.held: frozenset({State.pending}),
    State.skipped: frozenset({State.pending}),
    State.synced: frozenset({State.pending}),
    State.dead: frozenset({State.pending}),
}
"""Architecture, section 8."""


class ImpossibleTransition(CrmIntegrationError):
    """Code tried to move a ledger row in a way the table does not know: a bug, not bad data."""


def check(before: State, after: State) -> None:
    """Raises ImpossibleTransition unless `before` may become `after`."""
    if after not in TRANSITIONS[before]:
        raise ImpossibleTransition(
            f"a ledger row cannot go from {before} to {after}; see sync/transitions.py"
        )
