"""Takes out of a batch what a person must look at first.

Prevents a hold that delays an opt-out: of a record that waits, consent is still written; and one
that leaves a record half old: everything else of it waits together.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from uuid import UUID

from crm_integration.sync.blast_radius import CONSENT_RULES, rewrites
from crm_integration.sync.ledger import Settled
from crm_integration.sync.looking import Batch, Sender
from crm_integration.sync.restraint import WAITS, Place, forget, hold_rows, restrain
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope


def hold_back(sender: Sender, batch: Batch) -> None:
    """Take what must wait out of `batch.writes`. A forced rewrite was approved by its plan."""
    updates = [key for key, write in batch.writes.items() if write.record_id is not None]
    found = [rewrites(sender.mapping, key, batch.decided[key]) for key in updates]
    found = [one for one in found if one.fields]
    if not found or sender.forced:
        return
    with sender.tenancy.scope(sender.tenant) as scope:
        waiting = restrain(scope, _place(sender), found, sender.limit)
    for key in waiting:
        _keep_only_consent(sender, batch, key)
        one = batch.claimed[key]
        batch.results[key] = Settled(
            key, one.claim_id, State.pending, WAITS, associated=one.associated
        )
    batch.held |= waiting


def remember_held(
    scope: TenantScope, sender: Sender, batch: Batch, counted: Collection[UUID]
) -> None:
    """After the batch is settled: held rows wait, written ones wait for nobody any more."""
    place = _place(sender)
    hold_rows(scope, place, [key for key in batch.held if key in counted])
    if sender.kept_back or batch.held:
        written = [key for key, one in batch.results.items() if one.state is State.synced]
        forget(scope, place, [key for key in written if key in counted])


def _keep_only_consent(sender: Sender, batch: Batch, key: UUID) -> None:
    write = batch.writes.pop(key)
    fields = {
        name: value
        for name, value in write.fields.items()
        if sender.mapping.fields[name].rule in CONSENT_RULES
    }
    if fields:
        batch.writes[key] = replace(write, fields=fields)


def _place(sender: Sender) -> Place:
    return Place(sender.connection_id, sender.object_type, sender.mapping.mapping_id)
