"""One run's talk with one CRM account: what is due of each object type, round after round.

Prevents the client that is opened for nothing: an account is asked for its name only when the
ledger has something for it, and one that answers as another account gets nothing.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from uuid import UUID

from sqlalchemy import ColumnElement, func, or_, select

from crm_integration.credentials.standing import LoginState
from crm_integration.credentials.vault import Credential
from crm_integration.crms._contract import Adapter, FieldNeed
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import MissingScope, NeedsReconnect, RemoteError, Transient
from crm_integration.mapping.model import CompiledMapping
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync import merged_records
from crm_integration.sync.crm_door import CrmAccount, CrmDoor
from crm_integration.sync.dispatch import Sender, Sent, dispatch
from crm_integration.sync.engines import Engines
from crm_integration.sync.ledger import any_due, due, within
from crm_integration.sync.open_accounts import OpenAccounts
from crm_integration.sync.project import Among, Projected
from crm_integration.sync.restraint import Limit
from crm_integration.sync.standing import NEEDS, Standing, standing
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.tenant_settings import USUAL, EngineSettings
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import settle_waiting
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.scope import TenantScope
from crm_integration.transport.budget import BudgetGate
from crm_integration.transport.quota import Purpose

ROUNDS = 4
PAUSE = 5.0
LONGEST_PAUSE = 15.0
"""A run tries again what is due soon (seconds); what takes longer is for a later run."""


@dataclass
class CrmRun:
    """What one run did to one tenant's CRM."""

    projected: Projected
    sent: dict[str, Sent]
    calls: int = 0
    holds: tuple[str, ...] = ()
    withheld: Mapping[str, int] = field(default_factory=lambda: dict[str, int]())
    """Object type -> records that wait for a person who looks at what they would rewrite."""
    archived: int = 0
    """Records of merged customers that went into the CRM's recycle bin."""
    problem: str | None = None
    """Why the account as a whole could not be written to."""
    refusal: RemoteError | None = None
    """What it said, or that it said nothing."""
    again_in: float | None = None
    """Seconds after which another run may do what this one could not; None where none can."""


@dataclass
class CrmSession:
    """One run's talk with one CRM account; the client is opened on first need."""

    engines: Engines
    tenant: str
    connection: StoredConnection
    mappings: Mapping[str, CompiledMapping]
    rules_version: str
    run_id: str
    on_batch: Callable[[str, int], None] | None = None
    among: Among | None = None
    forced: frozenset[str] = frozenset()
    limit: Limit = USUAL.limit
    settings: EngineSettings = USUAL
    accounts: OpenAccounts[CrmAccount] | None = None
    purpose: Purpose = "reconcile"
    there: Mapping[str, Collection[str]] | None = None
    """Rows that are not at rest (`standing`); None where it is to be looked at."""
    kept_back: Collection[str] = ()
    """Object types with rewrites that wait for a person, or waited for one."""
    account: CrmAccount | None = None
    credential: Credential | None = field(default=None, repr=False)
    """The account's login, where it was read already."""
    door: CrmDoor = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.door = CrmDoor(self.engines, self.tenant, self.connection, self.purpose)

    def begin(self, scope: TenantScope) -> frozenset[str]:
        """Look at the ledger; where something is new, take up the account that an earlier pass
        left open. Returns the object types of which nothing may be written."""
        found = self._look(scope)
        new = any(State.pending in one for one in found.rows.values())
        if self.accounts is not None and new:
            self.credential = self.door.credential(scope)
            if not self.credential.due and not self.credential.rests:
                self._reopen(self.accounts, self.credential.secrets)
        return found.stopped

    def _look(self, scope: TenantScope) -> Standing:
        found = standing(scope, self.connection.connection_id)
        self.there, self.kept_back = found.rows, found.kept_back
        return found

    def send(self, run: CrmRun) -> None:
        """All object types in the CRM's order, and again for what may be tried again soon.

        A live run sends once: it has others to take while this account's pause lasts.
        Raises NeedsReconnect and MissingScope; what is only slow or busy is noted in the run.
        """
        rounds = ROUNDS if self.accounts is None else 1
        for number in range(rounds):
            run.again_in = self._round(run)
            if run.again_in is None:
                return
            if number < rounds - 1:
                time.sleep(run.again_in)
        run.problem = run.problem or "some records are to be tried again by the next run"

    def _round(self, run: CrmRun) -> float | None:
        """One pass over all types; seconds until another one is worth while, None when done."""
        run.refusal = None
        try:
            for object_type, sent in run.sent.items():
                there = self._standing().get(object_type)
                held = object_type in run.holds
                if there and self._send_type(object_type, sent, there, held=held):
                    self.there = self._left(object_type, sent)
        except Transient as error:
            self.there = None
            run.problem, run.refusal = f"Transient {error.code}", error
            pause = PAUSE if error.retry_after is None else error.retry_after
            return pause if pause <= LONGEST_PAUSE else None
        if not self._standing():
            run.problem = None
            return None
        self.there = None
        if self._any(run, or_(self._soon(), ledger.c.state == State.unknown)):
            return PAUSE
        if not self._any(run, ledger.c.state == State.retry):
            run.problem = None
        return None

    def archive_merged(self, run: CrmRun) -> None:
        """Archive the records of customers who became another one, where the tenant wants it and
        nothing stops us. Raises the errors of the account, and of a record that stays."""
        kind = merged_records.OBJECT_TYPE
        wanted = self.settings.merged_contacts == "archive" and self.among is None
        offers = crm_connector(self.connection.platform).manifest.offers
        if not wanted or "archive" not in offers or kind not in run.sent or kind in run.holds:
            return
        place = (self.engines.tenancy, self.tenant, self.connection.connection_id)
        with self.engines.tenancy.scope(self.tenant, durable=False) as scope:
            if not merged_records.leaving(scope, self.connection.connection_id):
                return
        account = self.opened()
        account.gate.deadline = math.inf
        run.archived = merged_records.archive(*place, account.adapter, run_id=self.run_id)

    def close(self) -> int:
        """Give the client back, or leave it open for the next pass; returns the calls made."""
        if self.account is not None and self.accounts is None:
            self.account.close()
        return self.door.gate.calls if self.door.gate else 0

    def doubt(self) -> None:
        """The account as a whole refused: the next pass asks it anew who it is."""
        if self.accounts is not None:
            self.accounts.forget(self.tenant, self.connection.connection_id)

    def may_hold(self) -> bool:
        """Whether some record may wait for a person."""
        return self.there is None or any(State.held in one for one in self.there.values())

    def _standing(self) -> Mapping[str, Collection[str]]:
        if self.there is None:
            with self.engines.tenancy.scope(self.tenant, durable=False) as scope:
                return self._look(scope).rows
        return self.there

    def _left(self, object_type: str, sent: Sent) -> Mapping[str, Collection[str]] | None:
        """What stands after one type was sent: nothing where nothing else stood and all of it came
        to rest. Else None: what was sent may let others go on."""
        stood = self.there or {}
        alone = set(stood) == {object_type} and not set(stood[object_type]) - {State.pending, NEEDS}
        return {} if alone and sent.at_rest else None

    def _send_type(
        self, object_type: str, sent: Sent, there: Collection[str], *, held: bool
    ) -> bool:
        """Send what is due of one type; whether anything was."""
        nothing_waits = self._may_claim(there) and set(there) == {State.pending} and not held
        ready = nothing_waits or self._settle(object_type, there, held=held)
        reached(Step.released)
        if not ready:
            return False
        mapping = self.mappings[object_type]
        self.prepared(mapping)
        account = self.opened()
        sender = self.sender(account.adapter, account.gate, mapping)
        return dispatch(sender, sent, on_batch=self.on_batch) > 0

    def _may_claim(self, there: Collection[str]) -> bool:
        """Whether there is something new for an account that a live run has open: then a claim
        tells as cheaply as a look whether it is due."""
        return self.accounts is not None and self.account is not None and State.pending in there

    def _settle(self, object_type: str, there: Collection[str], *, held: bool) -> bool:
        """Bring the rows of one type that wait up to date; whether any may be sent."""
        with self.engines.tenancy.scope(self.tenant, durable=False) as scope:
            place = (scope, self.connection.connection_id, object_type)
            longest = timedelta(hours=self.settings.crm_waits_hours)
            settle_waiting(*place, held=held, longest_wait=longest, there=there)
            if held:
                return False
            mapping = self.mappings[object_type]
            only = self._only(object_type)
            waiting = self._may_claim(there) or any_due(
                *place, self.rules_version, mapping.rules_digest, among=only
            )
            if waiting and self.credential is None and self.account is None:
                self.credential = self.door.credential(scope)
        return waiting

    def prepared(self, mapping: CompiledMapping) -> Adapter:
        """The adapter, once the CRM has every field that the mapping writes or reads."""
        adapter, gate = self.opened().adapter, self.opened().gate
        gate.deadline = math.inf
        needs = [
            FieldNeed(rule.name, rule.kind, rule.label, written=not rule.back)
            for rule in mapping.fields.values()
        ]
        needs += [FieldNeed(name, "bool", written=False) for name in mapping.opt_outs]
        adapter.prepare(mapping.object_type, needs)
        return adapter

    def sender(self, adapter: Adapter, gate: BudgetGate, mapping: CompiledMapping) -> Sender:
        return Sender(
            self.engines.tenancy,
            self.tenant,
            self.connection.connection_id,
            adapter,
            gate,
            crm_connector(self.connection.platform).manifest,
            mapping,
            self.rules_version,
            self.run_id,
            self._only(mapping.object_type),
            self.forced,
            self.limit,
            mapping.object_type in self.kept_back,
        )

    def _only(self, object_type: str) -> tuple[UUID, ...] | None:
        return None if self.among is None else self.among.get(object_type, ())

    def opened(self) -> CrmAccount:
        """The account, once it has shown to be the one the connection was made for.

        Its login is renewed first where it runs out. Raises NeedsReconnect, without a call, for one
        that was refused and rests.
        """
        if self.account is not None:
            return self.account
        known = self.credential
        if known is None:
            with self.engines.tenancy.scope(self.tenant, durable=False) as scope:
                known = self.door.credential(scope)
        self.credential = known = self.door.usable(known)
        if self.accounts is None:
            self.account = self.door.open(known)
            return self.account
        kept = self._reopen(self.accounts, known.secrets)
        if kept is None:
            kept = self.account = self.door.open(known)
            self.accounts.keep(self.tenant, self.connection, known.secrets, kept)
        return kept

    def learn(self, refusal: RemoteError | None) -> None:
        """Keep what the account said of our login; one that rests was not asked."""
        known = self.credential
        if known is not None and known.is_resting:
            return
        healed = refusal is None and known is not None and known.state is LoginState.missing_scope
        if not healed and not isinstance(refusal, (NeedsReconnect, MissingScope)):
            return
        with self.engines.tenancy.scope(self.tenant) as scope:
            self.door.learn(scope, refusal)

    def _reopen(
        self, accounts: OpenAccounts[CrmAccount], secrets: Mapping[str, str]
    ) -> CrmAccount | None:
        """The account that an earlier pass left open."""
        kept = accounts.find(self.tenant, self.connection, secrets)
        if kept is not None:
            kept.gate.calls = 0
            self.account, self.door.gate = kept, kept.gate
        return kept

    def _all(self) -> tuple[UUID, ...] | None:
        return None if self.among is None else tuple(chain.from_iterable(self.among.values()))

    def _soon(self) -> ColumnElement[bool]:
        return due(self.rules_version, within=LONGEST_PAUSE)

    def _any(self, run: CrmRun, which: ColumnElement[bool]) -> bool:
        """Whether there is such a row of the types this run may write."""
        with self.engines.tenancy.scope(self.tenant, durable=False) as scope:
            found = scope.connection.scalar(
                select(func.count()).where(
                    ledger.c.tenant_id == self.tenant,
                    ledger.c.connection_id == self.connection.connection_id,
                    ledger.c.object_type.in_([*(set(run.sent) - set(run.holds))]),
                    within(self._all()),
                    which,
                )
            )
        return bool(found)
