"""The ledger to the CRM: claim, look, decide per field, write, remember.

Prevents the write that nobody can answer for: the CRM's live values are read right before the
batch write, each field is decided by its owner's rule, and ledger, binding and attempt of every
record are committed in one transaction per batch, under the batch's claim.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import UUID

from crm_integration.crms._contract import Outcome, Write
from crm_integration.errors import Conflict, RemoteError
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync import attempts, outcomes
from crm_integration.sync.association import Ties, forget_ties
from crm_integration.sync.attempts import Attempt
from crm_integration.sync.bindings import Binding, bind, bindings_of, owners_of
from crm_integration.sync.crm_merges import is_anothers, suggest_merged
from crm_integration.sync.holding import hold_back, remember_held
from crm_integration.sync.ledger import CLAIM_SECONDS, Claimed, Settled, claim, move, settle
from crm_integration.sync.looking import Batch, Sender, Sent, decide, look
from crm_integration.sync.rebinding import rebound
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import ANOTHERS
from crm_integration.tenancy.scope import TenantScope

SEND_WITHIN = CLAIM_SECONDS - 70.0
"""Seconds after a claim in which a call may still leave: the longest call (`http.LONGEST_CALL`, its
last silence of 30 s, and 10 s to connect) ends before another process may take the claim over."""

BATCH = 100
"""Records a claim; a batch is read and written well within half a claim's life."""


def dispatch(
    sender: Sender, sent: Sent, *, on_batch: Callable[[str, int], None] | None = None
) -> int:
    """Send all due rows of one object type, batch after batch; returns how many were claimed.
    Raises nothing per record.

    Raises NeedsReconnect, MissingScope and Transient when the whole account is concerned; the
    claimed rows are then to be retried later.
    """
    total = 0
    while batch := _claim_in_time(sender):
        try:
            _send(sender, batch, sent)
        except RemoteError as error:
            unsent = batch.open()
            for one in unsent:
                result = batch.results[one.object_id] = outcomes.failed(one, error)
                batch.tries.append(_unanswered(batch, one, error, result))
            sent.failed += len(unsent)
            _commit(sender, batch)
            raise
        _commit(sender, batch)
        sent.at_rest &= batch.is_at_rest()
        total += len(batch.claimed)
        if on_batch is not None:
            on_batch(sender.object_type, total)
        if len(batch.claimed) < BATCH and batch.is_done():
            break
    return total


def _claim_in_time(sender: Sender) -> Batch | None:
    """A claim, and the moment until which calls for it may leave; measured from before it."""
    before = time.monotonic()
    batch = _claim(sender)
    sender.gate.deadline = math.inf if batch is None else before + SEND_WITHIN
    return batch


def _claim(sender: Sender) -> Batch | None:
    # Durable, as what it makes known: nothing is sent before it is certain that it was to be.
    with sender.tenancy.scope(sender.tenant) as scope:
        place = (scope, sender.connection_id, sender.object_type)
        rules = sender.mapping.rules_digest
        whose = {"mapped_by": rules, "run_id": sender.run_id}
        rows = claim(*place, sender.rules_version, BATCH, among=sender.among, **whose)
        if not rows:
            return None
        ids = [one.object_id for one in rows]
        bound = bindings_of(scope, sender.connection_id, sender.object_type, ids)
    return Batch({one.object_id: one for one in rows}, bound)


def _send(sender: Sender, batch: Batch, sent: Sent) -> None:
    reached(Step.claimed)
    look(sender, batch, _names(sender, batch), sent)
    reached(Step.looked)
    for one in batch.open():
        decide(sender, batch, one, sent)
    hold_back(sender, batch)
    _write(sender, batch, sent)
    _associate(sender, batch)
    for one in batch.open():
        batch.results[one.object_id] = Settled(
            one.object_id, one.claim_id, State.synced, associated=one.associated
        )
    for key, reason in batch.left_out.items():
        if batch.results[key].state is State.synced:
            batch.results[key] = replace(batch.results[key], reason=reason)


def _names(sender: Sender, batch: Batch) -> list[str]:
    """The fields that are read: the mapping's, and those of sends that were never answered, which
    another mapping version may have made."""
    unanswered = (
        name for one in batch.claimed.values() for sent in one.unclear for name in sent.fields
    )
    return list(dict.fromkeys((*sender.mapping.reads, *unanswered)))


def _write(sender: Sender, batch: Batch, sent: Sent) -> None:
    """Write the batch; what clashed with another record's match field once more without it."""
    rests: dict[UUID, Write] = {}
    for key, write, outcome in _answered(sender, batch.writes):
        rest = outcomes.without_match(sender.mapping, write, outcome)
        if rest is None or key not in batch.bound:
            _take_answer(sender, batch, batch.claimed[key], write, outcome, sent)
        else:
            rests[key] = rest
            _leave_out(sender, batch, batch.claimed[key], write, outcome)
    rests = {key: rest for key, rest in rests.items() if rest.fields or rest.adopt}
    for key, write, outcome in _answered(sender, rests):
        _take_answer(sender, batch, batch.claimed[key], write, outcome, sent)


def _answered(
    sender: Sender, writes: Mapping[UUID, Write]
) -> Iterator[tuple[UUID, Write, Outcome]]:
    if not writes:
        return
    answers = sender.adapter.write(sender.object_type, list(writes.values()))
    reached(Step.written)
    for (key, write), outcome in zip(writes.items(), answers, strict=True):
        yield key, write, outcome


def _leave_out(sender: Sender, batch: Batch, one: Claimed, write: Write, outcome: Outcome) -> None:
    """Note what one record does not get, and the try that showed it."""
    key = one.object_id
    batch.left_out[key] = outcomes.left_out(sender.mapping)
    batch.fresh[key] = replace(batch.bound[key], record_id=batch.live[key].record_id)
    clash = Settled(key, one.claim_id, State.pending)
    adopting = key in batch.adopting
    batch.tries.append(_attempt(one, write, outcome, adopting, clash))


def _take_answer(
    sender: Sender,
    batch: Batch,
    one: Claimed,
    write: Write,
    outcome: Outcome,
    sent: Sent,
) -> None:
    key = one.object_id
    adopting = key in batch.adopting
    if outcome.record is not None:
        before = batch.bound.get(key) or Binding(key, outcome.record.record_id, adopting)
        batch.fresh[key] = rebound(before, write, outcome.record)
        sent.adopted += adopting
        sent.created += write.record_id is None
        sent.updated += write.record_id is not None
    else:
        batch.results[key] = outcomes.settled(one, outcome)
        sent.failed += 1
        if isinstance(outcome.error, Conflict):
            batch.results[key] = _bind_existing(sender, batch, one, outcome.error)
    batch.tries.append(_attempt(one, write, outcome, adopting, batch.results.get(key)))


def _bind_existing(sender: Sender, batch: Batch, one: Claimed, conflict: Conflict) -> Settled:
    """The CRM says the record exists: bind to it if it is free, and look again at once."""
    with sender.tenancy.scope(sender.tenant) as scope:
        owners = owners_of(scope, sender.connection_id, sender.object_type, [conflict.existing_id])
    others = {key: record.record_id for key, record in batch.live.items()}
    others |= {key: binding.record_id for key, binding in (batch.bound | batch.fresh).items()}
    others.pop(one.object_id, None)
    taken = conflict.existing_id in others.values()
    if taken or owners.get(conflict.existing_id, one.object_id) != one.object_id:
        return Settled(one.object_id, one.claim_id, State.parked, ANOTHERS)
    try:
        found = sender.adapter.read(sender.object_type, [conflict.existing_id], [])
    except RemoteError as error:
        return outcomes.failed(one, error)
    place = (sender.tenancy, sender.tenant, sender.connection_id, sender.object_type)
    if any(is_anothers(*place, record, one.object_id) for record in found.values()):
        return Settled(one.object_id, one.claim_id, State.parked, ANOTHERS)
    batch.fresh[one.object_id] = Binding(one.object_id, conflict.existing_id, True)
    return outcomes.failed(one, conflict)


def _attempt(
    one: Claimed, write: Write, outcome: Outcome, adopting: bool, result: Settled | None
) -> Attempt:
    kind = "create" if write.record_id is None else "adopt" if adopting else "update"
    return Attempt(
        one.object_id,
        one.claim_id,
        kind,
        result.state.value if result else State.synced.value,
        outcome.status,
        outcome.error.code if outcome.error else None,
        one.mapping_id,
        one.raw_id,
        {"request": dict(write.fields), "answer": outcome.answer},
    )


def _unanswered(batch: Batch, one: Claimed, error: RemoteError, result: Settled) -> Attempt:
    """A try that the account as a whole refused: without it nobody could tell why a row waits."""
    write = batch.writes.get(one.object_id)
    if write is None:
        kind, request = "look", None
    else:
        kind, request = "create" if write.record_id is None else "update", dict(write.fields)
    return _try(one, kind, result, error, {"request": request, "answer": None})


def _untied(one: Claimed, result: Settled) -> Attempt:
    """A try to tie a record that was not taken."""
    asked = [[object_type, str(key)] for object_type, key in one.desired.links]
    exchange = {"request": {"links": asked}, "answer": result.reason}
    return _try(one, "associate", result, result.error, exchange)


def _try(
    one: Claimed, kind: str, result: Settled, error: RemoteError | None, exchange: dict[str, Any]
) -> Attempt:
    return Attempt(
        one.object_id,
        one.claim_id,
        kind,
        result.state.value,
        error.status if error else 0,
        error.code if error else None,
        one.mapping_id,
        one.raw_id,
        exchange,
    )


def _associate(sender: Sender, batch: Batch) -> None:
    """Tie what was written to the records it belongs to, as far as those are bound."""
    written = {key: binding.record_id for key, binding in (batch.bound | batch.fresh).items()}
    candidates = [one for one in batch.open() if one.object_id in written]
    new = set(batch.made())
    ties = Ties(
        sender.tenancy,
        sender.tenant,
        sender.connection_id,
        sender.adapter,
        sender.object_type,
        sender.manifest.offers,
    )
    results = ties.associate(
        [
            replace(one, associated=(), unclear=()) if one.object_id in new else one
            for one in candidates
        ],
        written,
    )
    batch.results |= results
    batch.tries += [
        _untied(batch.claimed[key], result)
        for key, result in results.items()
        if result.error is not None
    ]


def _commit(sender: Sender, batch: Batch) -> None:
    # Where it is lost the claim is not: the rows are looked at as those of a lost sender are.
    with sender.tenancy.scope(sender.tenant, durable=False) as scope:
        _remember(scope, sender, batch)
        reached(Step.settling)
    sender.tenancy.commit()  # whatever comes next: what was sent is known
    reached(Step.settled)


def _remember(scope: TenantScope, sender: Sender, batch: Batch) -> None:
    place = (scope, sender.connection_id, sender.object_type)
    counted = batch.counted = settle(*place, batch.results.values(), run_id=sender.run_id)
    fresh = [binding for key, binding in batch.fresh.items() if key in counted]
    unbound = {one.object_id for one in fresh} - bind(*place, fresh)
    if unbound:
        move(*place, State.synced, State.pending, ledger.c.object_id.in_(unbound))
        batch.counted = {**counted, **dict.fromkeys(unbound, State.pending)}
    forget_ties(scope, sender.connection_id, [key for key in batch.made() if key in batch.bound])
    suggest_merged(scope, sender.object_type, batch.merged)
    attempts.record(*place, batch.tries, run_id=sender.run_id)
    remember_held(scope, sender, batch, counted)
