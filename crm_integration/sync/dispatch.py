"""The ledger to the CRM: claim, look, decide per field, write, remember.

Prevents the write that nobody can answer for: the CRM's live values are read right before the
batch write, each field is decided by its owner's rule, and ledger, binding and attempt of every
record are committed in one transaction per batch, under the batch's claim.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from crm_integration.crms._contract import Adapter, CrmRecord, Outcome, Write
from crm_integration.crms._registry import CrmManifest
from crm_integration.errors import Conflict, RemoteError
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.normalised import same
from crm_integration.mapping.ownership import diff, remembered, to_write
from crm_integration.sync import attempts, outcomes
from crm_integration.sync.adoption import Sought, seek
from crm_integration.sync.association import associate
from crm_integration.sync.attempts import Attempt
from crm_integration.sync.bindings import Binding, bind, bindings_of, owners_of
from crm_integration.sync.ledger import CLAIM_SECONDS, Claimed, Settled, claim, settle
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import AMBIGUOUS
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration.transport.budget import BudgetGate

SEND_WITHIN = CLAIM_SECONDS - 40.0
"""Seconds after a claim in which a call may still leave: the longest call (30 s, and 10 s to
connect) ends before another process may take the claim over."""

BATCH = 100
"""Records a claim; a batch is read and written well within half a claim's life."""


@dataclass
class Sent:
    """What a dispatch did with one object type."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    adopted: int = 0
    ambiguous: int = 0
    failed: int = 0

    @property
    def writes(self) -> int:
        """Records that were really written."""
        return self.created + self.updated


@dataclass(frozen=True)
class Sender:
    """What stays the same while one object type of one CRM connection is sent."""

    tenancy: Tenancy
    tenant: str
    connection_id: str
    adapter: Adapter
    gate: BudgetGate
    manifest: CrmManifest
    mapping: CompiledMapping
    rules_version: str
    run_id: str

    @property
    def object_type(self) -> str:
        """The engine's object type."""
        return self.mapping.object_type


@dataclass
class _Batch:
    """One claim on its way: what was found, what is written, what came of it."""

    claimed: dict[UUID, Claimed]
    bound: dict[UUID, Binding]
    live: dict[UUID, CrmRecord] = field(default_factory=lambda: dict[UUID, CrmRecord]())
    adopting: set[UUID] = field(default_factory=lambda: set[UUID]())
    writes: dict[UUID, Write] = field(default_factory=lambda: dict[UUID, Write]())
    results: dict[UUID, Settled] = field(default_factory=lambda: dict[UUID, Settled]())
    tries: list[Attempt] = field(default_factory=lambda: list[Attempt]())
    fresh: dict[UUID, Binding] = field(default_factory=lambda: dict[UUID, Binding]())

    def open(self) -> list[Claimed]:
        """Rows without a result so far."""
        return [one for key, one in self.claimed.items() if key not in self.results]


def dispatch(
    sender: Sender, sent: Sent, *, on_batch: Callable[[str, int], None] | None = None
) -> None:
    """Send all due rows of one object type, batch after batch. Raises nothing per record.

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
                batch.results[one.object_id] = outcomes.failed(one, error)
            sent.failed += len(unsent)
            _commit(sender, batch)
            raise
        _commit(sender, batch)
        total += len(batch.claimed)
        if on_batch is not None:
            on_batch(sender.object_type, total)


def _claim_in_time(sender: Sender) -> _Batch | None:
    """A claim, and the moment until which calls for it may leave; measured from before it."""
    before = time.monotonic()
    batch = _claim(sender)
    sender.gate.deadline = math.inf if batch is None else before + SEND_WITHIN
    return batch


def _claim(sender: Sender) -> _Batch | None:
    with sender.tenancy.scope(sender.tenant) as scope:
        rows = claim(scope, sender.connection_id, sender.object_type, sender.rules_version, BATCH)
        if not rows:
            return None
        ids = [one.object_id for one in rows]
        bound = bindings_of(scope, sender.connection_id, sender.object_type, ids)
    return _Batch({one.object_id: one for one in rows}, bound)


def _send(sender: Sender, batch: _Batch, sent: Sent) -> None:
    names = list(sender.mapping.reads)
    _look(sender, batch, names, sent)
    for one in batch.open():
        _decide(sender, batch, one, sent)
    _write(sender, batch, sent)
    _associate(sender, batch)
    for one in batch.open():
        batch.results[one.object_id] = Settled(
            one.object_id, one.claim_id, State.synced, associated=one.associated
        )


def _look(sender: Sender, batch: _Batch, names: Sequence[str], sent: Sent) -> None:
    """Read what the CRM holds now: bound records by id, others by our key or the match key."""
    ids = {binding.record_id: key for key, binding in batch.bound.items()}
    live = sender.adapter.read(sender.object_type, list(ids), names) if ids else {}
    batch.live = {ids[record_id]: record for record_id, record in live.items() if record_id in ids}
    unbound = [one for key, one in batch.claimed.items() if key not in batch.live]
    match_field = sender.manifest.objects[sender.object_type].match_field
    if sender.mapping.match is None:
        match_field = None
    sought = seek(sender.adapter, sender.object_type, match_field, unbound, names)
    batch.live |= dict(sought.ours)
    _adopt(sender, batch, sought)
    for key in sought.ambiguous:
        one = batch.claimed[key]
        batch.results[key] = Settled(key, one.claim_id, State.parked, AMBIGUOUS)
        sent.ambiguous += 1


def _adopt(sender: Sender, batch: _Batch, sought: Sought) -> None:
    """Take over records without a key, unless another object of ours is bound to them."""
    records = {record.record_id: key for key, record in sought.adopted.items()}
    if not records:
        return
    with sender.tenancy.scope(sender.tenant) as scope:
        taken = owners_of(scope, sender.connection_id, sender.object_type, list(records))
    for key, record in sought.adopted.items():
        if record.record_id not in taken:
            batch.live[key] = record
            batch.adopting.add(key)


def _decide(sender: Sender, batch: _Batch, one: Claimed, sent: Sent) -> None:
    """What of one record is to be written; nothing at all is a result, too."""
    record = batch.live.get(one.object_id)
    desired = one.desired.fields
    if record is None:
        owned = sender.mapping.fields
        fields = {
            name: value
            for name, value in desired.items()
            if value is not None and owned[name].rule != "never"
        }
        batch.writes[one.object_id] = Write(str(one.object_id), None, fields)
        return
    if record.key is None:
        batch.adopting.add(one.object_id)
    adopt = one.object_id in batch.adopting
    known = batch.bound.get(one.object_id)
    binding = known
    if binding is not None or not adopt:
        binding = batch.bound[one.object_id] = _recognised(sender.mapping, one, record, binding)
    decisions = diff(
        sender.mapping,
        desired=desired,
        given_back=binding.given_back if binding else {},
        current=record.fields,
        desired_at=one.source_time,
        current_at=record.updated_at,
        bound_before=binding is not None and bool(binding.sent),
        sent=binding.sent if binding else None,
    )
    fields = to_write(decisions)
    if fields or adopt:
        batch.writes[one.object_id] = Write(
            str(one.object_id), record.record_id, fields, adopt=adopt
        )
        return
    sent.unchanged += 1
    if binding is not None and (binding != known or binding.record_id != record.record_id):
        batch.fresh[one.object_id] = replace(binding, record_id=record.record_id)


def _recognised(
    mapping: CompiledMapping, one: Claimed, record: CrmRecord, binding: Binding | None
) -> Binding:
    """The binding with what was written by a try whose answer was lost.

    What the record holds of it is ours, so that a later change in the store is written too. A
    record that carries our key without a binding was made by such a try.
    """
    said = [one.unclear] if one.unclear else []
    if binding is None:
        binding = Binding(one.object_id, record.record_id, False)
        said.append(one.desired)
    ours = {
        name: value
        for desired in said
        for name, rule in mapping.fields.items()
        if (value := desired.fields.get(name)) is not None
        and same(value, record.fields.get(name), rule.compared_as)
    }
    held = {name: record.fields.get(name) for name in ours}
    return replace(
        binding, given_back={**binding.given_back, **held}, sent={**binding.sent, **ours}
    )


def _write(sender: Sender, batch: _Batch, sent: Sent) -> None:
    if not batch.writes:
        return
    writes = list(batch.writes.items())
    answered = sender.adapter.write(sender.object_type, [write for _, write in writes])
    for (key, write), outcome in zip(writes, answered, strict=True):
        _take_answer(sender, batch, batch.claimed[key], write, outcome, sent)


def _take_answer(
    sender: Sender,
    batch: _Batch,
    one: Claimed,
    write: Write,
    outcome: Outcome,
    sent: Sent,
) -> None:
    key = one.object_id
    adopting = key in batch.adopting
    if outcome.record is not None:
        before = batch.bound.get(key) or Binding(key, outcome.record.record_id, adopting)
        batch.fresh[key] = _rebound(before, write, outcome.record)
        sent.adopted += adopting
        sent.created += write.record_id is None
        sent.updated += write.record_id is not None
    else:
        batch.results[key] = outcomes.settled(one, outcome)
        sent.failed += 1
        if isinstance(outcome.error, Conflict):
            batch.results[key] = _bind_existing(sender, batch, one, outcome.error)
    batch.tries.append(_attempt(one, write, outcome, adopting, batch.results.get(key)))


def _rebound(before: Binding, write: Write, record: CrmRecord) -> Binding:
    """The base for the next look: only what we wrote takes the CRM's answer."""
    return Binding(
        before.object_id,
        record.record_id,
        before.adopted,
        remembered(before.given_back, written=write.fields, answered=record.fields),
        {**before.sent, **write.fields},
    )


def _bind_existing(sender: Sender, batch: _Batch, one: Claimed, conflict: Conflict) -> Settled:
    """The CRM says the record exists: bind to it if it is free, and look again at once."""
    with sender.tenancy.scope(sender.tenant) as scope:
        owners = owners_of(scope, sender.connection_id, sender.object_type, [conflict.existing_id])
    others = {key: record.record_id for key, record in batch.live.items()}
    others |= {key: binding.record_id for key, binding in (batch.bound | batch.fresh).items()}
    others.pop(one.object_id, None)
    taken = conflict.existing_id in others.values()
    if taken or owners.get(conflict.existing_id, one.object_id) != one.object_id:
        reason = "the matching CRM record belongs to another customer"
        return Settled(one.object_id, one.claim_id, State.parked, reason)
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


def _associate(sender: Sender, batch: _Batch) -> None:
    """Tie what was written to the records it belongs to, as far as those are bound."""
    written = {key: binding.record_id for key, binding in (batch.bound | batch.fresh).items()}
    candidates = [one for one in batch.open() if one.object_id in written]
    batch.results |= associate(
        sender.tenancy,
        sender.tenant,
        sender.connection_id,
        sender.adapter,
        sender.object_type,
        candidates,
        written,
    )


def _commit(sender: Sender, batch: _Batch) -> None:
    with sender.tenancy.scope(sender.tenant) as scope:
        _remember(scope, sender, batch)


def _remember(scope: TenantScope, sender: Sender, batch: _Batch) -> None:
    place = (scope, sender.connection_id, sender.object_type)
    counted = settle(*place, batch.results.values(), run_id=sender.run_id)
    bind(*place, [binding for key, binding in batch.fresh.items() if key in counted])
    attempts.record(*place, batch.tries, run_id=sender.run_id)
