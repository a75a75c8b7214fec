"""Look before you write: what the CRM holds of a batch of records, and what is to be written.

Prevents the write that tramples what a person typed a minute ago, and the plan that shows another
thing than the write does: both look and decide here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from uuid import UUID

from crm_integration.crms._contract import Adapter, CrmRecord, Write
from crm_integration.crms._registry import CrmManifest
from crm_integration.mapping.force import for_new, overruled
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.ownership import FieldDecision, diff, to_write
from crm_integration.sync.adoption import Sought, seek
from crm_integration.sync.attempts import Attempt
from crm_integration.sync.bindings import Binding, owners_of
from crm_integration.sync.crm_merges import merges_among, reason_for
from crm_integration.sync.ledger import Claimed, Settled
from crm_integration.sync.rebinding import recognised
from crm_integration.sync.restraint import Limit
from crm_integration.sync.standing import LOOSE
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import AMBIGUOUS
from crm_integration.tenancy.scope import Tenancy
from crm_integration.transport.budget import BudgetGate


@dataclass
class Sent:
    """What a dispatch did with one object type."""

    created: int = 0
    updated: int = 0
    unchanged: int = 0
    adopted: int = 0
    ambiguous: int = 0
    failed: int = 0
    at_rest: bool = True
    """Nothing is left to be done about any row that was claimed."""

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
    among: tuple[UUID, ...] | None = None
    """Only these objects are sent, where it is given: a replay is about its window."""
    forced: frozenset[str] = frozenset()
    """Fields that are written whoever owns them (`force.py`)."""
    limit: Limit = Limit()
    """How many records may be rewritten in a day before a person looks."""
    kept_back: bool = True
    """Whether rewrites wait for a person, or waited for one."""

    @property
    def object_type(self) -> str:
        """The engine's object type."""
        return self.mapping.object_type


@dataclass
class Batch:
    """One claim on its way: what was found, what is written, what came of it."""

    claimed: dict[UUID, Claimed]
    bound: dict[UUID, Binding]
    live: dict[UUID, CrmRecord] = field(default_factory=lambda: dict[UUID, CrmRecord]())
    adopting: set[UUID] = field(default_factory=lambda: set[UUID]())
    writes: dict[UUID, Write] = field(default_factory=lambda: dict[UUID, Write]())
    results: dict[UUID, Settled] = field(default_factory=lambda: dict[UUID, Settled]())
    tries: list[Attempt] = field(default_factory=lambda: list[Attempt]())
    fresh: dict[UUID, Binding] = field(default_factory=lambda: dict[UUID, Binding]())
    left_out: dict[UUID, str] = field(default_factory=lambda: dict[UUID, str]())
    """Objects that were written without a field, and why."""
    decided: dict[UUID, Sequence[FieldDecision]] = field(
        default_factory=lambda: dict[UUID, Sequence[FieldDecision]]()
    )
    """What was decided field by field, of records that are to be written."""
    merged: dict[UUID, UUID] = field(default_factory=lambda: dict[UUID, UUID]())
    """Objects whose record people merged into that of another one of ours (`crm_merges.py`)."""
    held: set[UUID] = field(default_factory=lambda: set[UUID]())
    """Objects that wait for a person (`restraint.py`)."""
    counted: Mapping[UUID, str] = field(default_factory=lambda: dict[UUID, str]())
    """What was settled under its claim, with the state it is in since."""

    def is_done(self) -> bool:
        """Whether no row of it is to be sent again soon: none failed, and none was overtaken."""
        done = (State.synced, LOOSE, State.parked, State.held)
        return all(self.counted.get(key) in done for key in self.claimed)

    def is_at_rest(self) -> bool:
        """Whether nothing at all is left to be done about its rows, and none was made anew: what
        was tied to its former record is to be tied again."""
        written = all(self.counted.get(key) == State.synced for key in self.claimed)
        return written and not any(key in self.bound for key in self.made())

    def made(self) -> list[UUID]:
        """Objects that have got a record by this batch."""
        writes = self.writes.items()
        return [key for key, one in writes if one.record_id is None and key in self.fresh]

    def open(self) -> list[Claimed]:
        """Rows without a result so far."""
        return [one for key, one in self.claimed.items() if key not in self.results]


def look(sender: Sender, batch: Batch, names: Sequence[str], sent: Sent) -> None:
    """Read what the CRM holds now: bound records by id, others by our key or the match key."""
    ids = {binding.record_id: key for key, binding in batch.bound.items()}
    live = sender.adapter.read(sender.object_type, list(ids), names) if ids else {}
    batch.live = {ids[record_id]: record for record_id, record in live.items() if record_id in ids}
    _take_merges(sender, batch, sent)
    unbound = [one for one in batch.open() if one.object_id not in batch.live]
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


def _take_merges(sender: Sender, batch: Batch, sent: Sent) -> None:
    """Follow records that people merged; who shares one with another object of ours waits."""
    merges = merges_among(
        sender.tenancy,
        sender.tenant,
        sender.connection_id,
        sender.object_type,
        batch.bound,
        batch.live,
    )
    batch.bound |= merges.moved
    batch.fresh |= merges.moved
    batch.adopting |= merges.foreign
    batch.merged |= merges.waiting
    for key in (*merges.waiting, *merges.apart):
        del batch.live[key]
    for key in merges.apart:
        del batch.bound[key]
    for key in merges.waiting:
        one = batch.claimed[key]
        reason = reason_for(sender.object_type)
        batch.results[key] = Settled(
            key, one.claim_id, State.parked, reason, associated=one.associated
        )
        sent.ambiguous += 1


def _adopt(sender: Sender, batch: Batch, sought: Sought) -> None:
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


def decide(sender: Sender, batch: Batch, one: Claimed, sent: Sent) -> None:
    """What of one record is to be written; nothing at all is a result, too."""
    record = batch.live.get(one.object_id)
    desired = one.desired.fields
    if record is None:
        decisions = for_new(sender.mapping, desired)
        batch.decided[one.object_id] = decisions
        batch.writes[one.object_id] = Write(str(one.object_id), None, to_write(decisions))
        return
    if record.key is None:
        batch.adopting.add(one.object_id)
    adopt = one.object_id in batch.adopting
    known = batch.bound.get(one.object_id)
    binding = known
    if binding is not None or not adopt:
        binding = batch.bound[one.object_id] = recognised(sender.mapping, one, record, binding)
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
    decisions = overruled(decisions, desired, sender.forced)
    fields = to_write(decisions)
    if fields or adopt:
        batch.decided[one.object_id] = decisions
        batch.writes[one.object_id] = Write(
            str(one.object_id), record.record_id, fields, adopt=adopt
        )
        return
    sent.unchanged += 1
    if binding is not None and (binding != known or binding.record_id != record.record_id):
        batch.fresh[one.object_id] = replace(binding, record_id=record.record_id)
