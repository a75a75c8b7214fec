"""What an answer of the CRM means for the ledger row: a table from errors to states.

Prevents the guess per call site: rejected data is never retried, what is unclear is looked at
before it is written again, and a person is asked only where a person can help.
"""

from __future__ import annotations

from dataclasses import replace

from crm_integration.crms._contract import Outcome, Write
from crm_integration.errors import (
    Conflict,
    DataRejected,
    MissingScope,
    NeedsReconnect,
    NotYet,
    Permanent,
    RemoteError,
    Transient,
)
from crm_integration.mapping.model import CompiledMapping
from crm_integration.sync import retry_policy
from crm_integration.sync.ledger import Claimed, Settled
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import WITHOUT

UNKNOWN = "unknown"
"""Code of a Transient whose request may have been carried out."""

LOOKS = 3
"""Tries in a row that look again at once for a record that is said to exist; then with pauses."""

ACCOUNT_PAUSE = 300.0
"""Seconds until a row is tried again whose account refused us as a whole."""


def settled(claimed: Claimed, outcome: Outcome) -> Settled:
    """The ledger's side of one outcome."""
    if outcome.error is None:
        return _settled(claimed, State.synced, None)
    return failed(claimed, outcome.error)


def failed(claimed: Claimed, error: RemoteError) -> Settled:
    """Where a row goes after an error."""
    match error:
        case Transient(code=code) if code == UNKNOWN:
            return _settled(claimed, State.unknown, "the CRM's answer was lost")
        case Transient():
            return _again(claimed, error.retry_after, _reason(error))
        case Conflict() if claimed.tries < LOOKS:
            return _settled(claimed, State.pending, "the record exists already")
        case NotYet():
            return _settled(claimed, State.parked, f"waits for {error.dependency}")
        case DataRejected():
            return _settled(claimed, State.dead, f"the CRM refuses {error.field}")
        case NeedsReconnect() | MissingScope():
            return _settled(claimed, State.retry, _reason(error), delay=ACCOUNT_PAUSE)
        case Permanent():
            return _settled(claimed, State.dead, _reason(error))
        case _:
            return _again(claimed, None, _reason(error))


def without_match(mapping: CompiledMapping, write: Write, outcome: Outcome) -> Write | None:
    """What is left to write of a record whose new match value another CRM record holds.

    The write without the match field: an opt-out must not wait for an e-mail address. None where
    the answer is no such clash: no Conflict, a record that is only to be made, or a write without
    the match field.
    """
    if not isinstance(outcome.error, Conflict) or write.record_id is None or mapping.match is None:
        return None
    if mapping.match.field not in write.fields:
        return None
    fields = {name: value for name, value in write.fields.items() if name != mapping.match.field}
    return replace(write, fields=fields)


def left_out(mapping: CompiledMapping) -> str:
    """The reason on a row that was written by `without_match`."""
    name = "" if mapping.match is None else mapping.match.field
    return f"{WITHOUT} {name}: another CRM record has it"


def _again(claimed: Claimed, retry_after: float | None, reason: str) -> Settled:
    delay = retry_policy.delay(claimed.tries, retry_after)
    if delay is None:
        return _settled(claimed, State.dead, f"{reason}; given up after {claimed.tries} tries")
    return _settled(claimed, State.retry, reason, delay=delay)


def _reason(error: RemoteError) -> str:
    """A stable word, never a vendor's text: those repeat e-mail addresses."""
    return f"{type(error).__name__} {error.status or ''} {error.code}".strip()


def _settled(claimed: Claimed, state: State, reason: str | None, *, delay: float = 0.0) -> Settled:
    return Settled(claimed.object_id, claimed.claim_id, state, reason, delay, claimed.associated)
