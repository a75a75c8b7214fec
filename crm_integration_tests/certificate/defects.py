"""The defects themselves: each replaces one function of the engine in the process that calls it.

Prevents a defect that is a caricature: each is what a product of this field really does, or did
(named by what happens), and leaves everything else as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any
from uuid import UUID, uuid4

from sqlalchemy import false, func, select

from crm_integration.canonical import activity_rows, consent_rows, identity_keys, upsert
from crm_integration.canonical.consent_decision import Decision, Word, decide
from crm_integration.crms._contract import CrmRecord, Outcome, Write
from crm_integration.crms.hubspot import adapter, batches
from crm_integration.errors import RemoteError, Transient
from crm_integration.mapping import ownership
from crm_integration.storage.tables import sync as tables
from crm_integration.sync import (
    association,
    crm_session,
    dispatch,
    ledger,
    outcomes,
    retry_policy,
    waiting,
)
from crm_integration.sync.ledger import Claimed, Settled
from crm_integration.sync.transitions import State
from crm_integration.tenancy.scope import TenantScope

_FIRST_ACCESS: list[Any] = []


def partial_as_success() -> None:
    """A 207 counts as success for every record of the batch."""
    known = outcomes.settled

    def settled(claimed: Claimed, outcome: Outcome) -> Settled:
        if outcome.status == 207:
            return _synced(claimed)
        return known(claimed, outcome)

    outcomes.settled = settled


def failed_is_done() -> None:
    """The fingerprint is saved before the write, so a row that failed is skipped for ever."""
    known = outcomes.failed

    def failed(claimed: Claimed, error: RemoteError) -> Settled:
        if isinstance(error, Transient) and error.code != outcomes.UNKNOWN:
            return _synced(claimed)
        return known(claimed, error)

    outcomes.failed = failed


def claimed_is_written() -> None:
    """What a process that died had begun to send counts as sent."""
    known = crm_session.settle_waiting

    def settle_waiting(
        scope: TenantScope, connection_id: str, object_type: str, **more: Any
    ) -> None:
        place = (scope, connection_id, object_type)
        expired = tables.ledger.c.claim_expires_at < func.clock_timestamp()
        ledger.move(*place, State.in_flight, State.synced, expired)
        known(*place, **more)

    crm_session.settle_waiting = settle_waiting


def key_per_try() -> None:
    """Each try of a create carries a key of its own, so a lost answer is answered twice."""
    known = adapter.Adapter.write

    def write(self: adapter.Adapter, object_type: str, writes: Sequence[Write]) -> list[Outcome]:
        named = [replace(one, key=str(uuid4())) if one.record_id is None else one for one in writes]
        return known(self, object_type, named)

    adapter.Adapter.write = write


def conflict_fails_all() -> None:
    """A 409 for one record of a batch gives up all of them."""
    known = batches.Batches[Any]._refused

    def refused(self: Any, shape: Any, items: Any, error: RemoteError) -> None:
        if error.status == 409:
            self._fail(items, error)
        else:
            known(self, shape, items, error)

    batches.Batches._refused = refused


def three_tries() -> None:
    """Three tries, then given up for good."""
    retry_policy.MAX_TRIES = 3


def late_writer() -> None:
    """A process that was frozen for longer than its claim writes on as if nothing had been."""
    dispatch.SEND_WITHIN = 1_000_000.0


def newer_lost() -> None:
    """An answer settles the row, also when a newer version has come while it was on its way."""
    known = ledger._outcome

    def outcome(staged: Any, run_id: str) -> dict[str, Any]:
        return {**known(staged, run_id), "state": staged.c.state}

    ledger._outcome = outcome


def updates_refused() -> None:
    """ "The order already exists" makes every later version of it invalid."""
    known = upsert._classify

    def classify(scope: Any, table: Any, staged: Any, id_column: str, into: Any) -> list[UUID]:
        idle = known(scope, table, staged, id_column, into)
        if table.name != "orders":
            return idle
        asked = select(table.c[id_column]).where(
            table.c.tenant_id == scope.tenant,
            table.c[id_column].in_(select(staged.c[id_column])),
        )
        held = list(scope.connection.execute(asked).scalars())
        into.changed.difference_update(held)
        return [*idle, *held]

    upsert._classify = classify


def sales_overwritten() -> None:
    """The store's value is written whatever a person has typed into the field."""
    ownership._RULES["fill_empty"] = lambda look: look.write("the store is always right")


def base_is_what_we_sent() -> None:
    """What we sent is the base of the next look, not what the CRM made of it (no normalisation)."""
    known = dispatch.rebound

    def rebound(before: Any, write: Write, record: CrmRecord) -> Any:
        found = known(before, write, record)
        return replace(found, given_back={**found.given_back, **write.fields}, sent={})

    dispatch.rebound = rebound


def case_matters() -> None:
    """E-mail addresses are compared as they are typed (no normalisation)."""
    identity_keys.normal_email = lambda email: email.strip() or None


def opt_in_wins() -> None:
    """The shop's own tick box counts, whatever the person told the CRM."""
    ownership.words = lambda fields, **held: {}

    def deaf(words: Sequence[Word]) -> Decision | None:
        return decide([word for word in words if not word.held])

    consent_rows.decide = deaf


def order_without_contact() -> None:
    """What could not be tied when a record was written is noted as tied."""
    known = association._result

    def result(one: Claimed, done: Sequence[UUID], failures: Mapping[UUID, Any]) -> Settled:
        _ = done
        return known(one, [key for _, key in one.desired.links], failures)

    association._result = result
    waiting._must_wait = lambda scope: false()


def wrong_tenant() -> None:
    """One client serves all tenants of a platform, and nobody asks whose account answers."""
    known = crm_session.CrmAccess

    def access(*given: Any) -> Any:
        _FIRST_ACCESS.append(known(*given))
        return _FIRST_ACCESS[0]

    crm_session.CrmAccess = access
    crm_session.CrmSession._refuse_another = lambda self, adapter: None


def note_per_run() -> None:
    """A milestone is a new note each time it is derived."""
    known = activity_rows.object_id

    def object_id(scope: TenantScope, entity: str, *named: str) -> UUID:
        return uuid4() if entity == "activity" else known(scope, entity, *named)

    activity_rows.object_id = object_id


def refused_token_is_final() -> None:
    """A token that is refused once fails the records for good."""
    known = outcomes.failed

    def failed(claimed: Claimed, error: RemoteError) -> Settled:
        if error.status == 401:
            return Settled(claimed.object_id, claimed.claim_id, State.dead, "refused")
        return known(claimed, error)

    outcomes.failed = failed


def _synced(claimed: Claimed) -> Settled:
    return Settled(claimed.object_id, claimed.claim_id, State.synced, None, 0.0, claimed.associated)


ALL: tuple[Callable[[], None], ...] = (
    partial_as_success, failed_is_done, claimed_is_written, key_per_try, conflict_fails_all,
    three_tries, late_writer, newer_lost, updates_refused, sales_overwritten,
    base_is_what_we_sent, case_matters, opt_in_wins, order_without_contact, wrong_tenant,
    note_per_run, refused_token_is_final,
)  # fmt: skip
