"""One tenant's CRM brought up to date: project, look who waits, dispatch, count.

Prevents a run over an unchanged window from making a single call: a client is opened only when
the ledger has something due, and no row is due while a hold is open for its object type.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import chain
from uuid import UUID

from sqlalchemy import ColumnElement, Engine, func, or_, select

from crm_integration.credentials import vault
from crm_integration.crms._contract import Adapter, CrmAccess, FieldNeed
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import NeedsReconnect, RemoteError, Transient
from crm_integration.mapping.model import CompiledMapping
from crm_integration.quality.holds import open_holds
from crm_integration.storage.tables.sync import ledger
from crm_integration.sync import merged_records
from crm_integration.sync.dispatch import Sender, Sent, dispatch
from crm_integration.sync.ledger import any_due, due, move, within
from crm_integration.sync.open_accounts import OpenAccounts
from crm_integration.sync.project import Among, Projected, project
from crm_integration.sync.restraint import Limit, waiting_for_approval
from crm_integration.sync.standing import standing
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.tenant_settings import USUAL, EngineSettings
from crm_integration.sync.transitions import State
from crm_integration.sync.waiting import settle_waiting
from crm_integration.tenancy.connections import StoredConnection, crm_connection
from crm_integration.tenancy.scope import Tenancy, TenantScope
from crm_integration.transport.budget import BudgetGate, agreed_budgets
from crm_integration.transport.quota import Purpose

ROUNDS = 4
PAUSE = 5.0
LONGEST_PAUSE = 15.0
"""A run tries again what is due soon (seconds); what takes longer is for a later run."""


@dataclass(frozen=True)
class Engines:
    """What a run works with: tenants' data, and the shared budgets."""

    tenancy: Tenancy
    ops: Engine = field(repr=False)


@dataclass(frozen=True)
class CrmAccount:
    """A CRM account that has shown to be the right one, and the gate of its calls."""

    adapter: Adapter
    gate: BudgetGate

    def close(self) -> None:
        """Give the client back."""
        self.adapter.close()


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


def sync_crm(
    engines: Engines,
    tenant: str,
    mappings: Mapping[str, CompiledMapping],
    rules_version: str,
    object_types: tuple[str, ...],
    *,
    run_id: str,
    connection: StoredConnection | None = None,
    limit: Limit = USUAL.limit,
    settings: EngineSettings = USUAL,
    on_batch: Callable[[str, int], None] | None = None,
    among: Among | None = None,
    forced: frozenset[str] = frozenset(),
    accounts: OpenAccounts[CrmAccount] | None = None,
    purpose: Purpose = "reconcile",
) -> CrmRun:
    """Project all canonical changes of the tenant and send those object types that are due.

    `connection` is the tenant's CRM account, where the caller has read it. `limit`: how many
    records may be rewritten in a day before a person looks. With `among` only these objects; their
    `forced` fields are written whoever owns them. With `accounts` the client stays open there.
    `purpose` says how much of the account's budget the calls may use.
    """
    tenancy = engines.tenancy
    if connection is None:
        with tenancy.scope(tenant) as scope:
            connection = crm_connection(scope)
    chosen = {name: mappings[name] for name in mappings if name in object_types}
    projected = project(
        tenancy,
        tenant,
        connection.connection_id,
        chosen,
        rules_version,
        run_id=run_id,
        among=among,
    )
    if forced:
        with tenancy.scope(tenant) as scope:
            wake(scope, connection.connection_id, chosen, among or {}, forced)
    order = crm_connector(connection.platform).manifest.objects
    run = CrmRun(projected, {name: Sent() for name in order if name in chosen})
    with tenancy.scope(tenant) as scope:
        run.holds = _stopped(scope, chosen)
        there = standing(scope, connection.connection_id)
    session = CrmSession(
        engines, tenant, connection, chosen, rules_version, run_id, on_batch, among, forced,
        limit=limit, settings=settings, accounts=accounts, purpose=purpose, there=there,
    )  # fmt: skip
    try:
        session.send(run)
        session.archive_merged(run)
    except RemoteError as error:
        run.problem = f"{type(error).__name__} {error.code}".strip()
        session.doubt()
    finally:
        run.calls = session.close()
    if session.may_hold():
        with tenancy.scope(tenant) as scope:
            run.withheld = waiting_for_approval(scope, connection.connection_id)
    return run


def _stopped(scope: TenantScope, chosen: Collection[str]) -> tuple[str, ...]:
    """Object types of which nothing is written."""
    found = open_holds(scope).items()
    return tuple(sorted(
        name for name, holds in found if name in chosen and any(one.stops_all for one in holds)
    ))  # fmt: skip


def wake(
    scope: TenantScope,
    connection_id: str,
    mappings: Mapping[str, CompiledMapping],
    among: Among,
    forced: frozenset[str],
) -> None:
    """Written rows of these objects are to be looked at again, where they have a forced field."""
    for object_type, mapping in mappings.items():
        if not forced.isdisjoint(mapping.fields):
            place = (scope, connection_id, object_type)
            only = within(among.get(object_type, ()))
            move(*place, State.synced, State.pending, only)


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
    """What stands in the ledger (`standing`); None where it is to be looked at."""
    account: CrmAccount | None = None
    secrets: Mapping[str, str] | None = field(default=None, repr=False)
    """Those of the account, where they were read already."""
    gate: BudgetGate | None = None
    """Counts also the calls of an account that turned out to be another one."""

    def send(self, run: CrmRun) -> None:
        """All object types in the CRM's order, and again for what may be tried again soon.

        Raises NeedsReconnect and MissingScope; what is only slow or busy is noted in the run.
        """
        for number in range(ROUNDS):
            pause = self._round(run)
            if pause is None:
                return
            if number < ROUNDS - 1:
                time.sleep(pause)
        run.problem = run.problem or "some records are to be tried again by the next run"

    def _round(self, run: CrmRun) -> float | None:
        """One pass over all types; seconds until another one is worth while, None when done."""
        try:
            for object_type, sent in run.sent.items():
                there = self._standing().get(object_type)
                held = object_type in run.holds
                if there and self._send_type(object_type, sent, there, held=held):
                    self.there = None  # what was sent may let others go on
        except Transient as error:
            self.there = None
            run.problem = f"Transient {error.code}"
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
        with self.engines.tenancy.scope(self.tenant) as scope:
            if not merged_records.leaving(scope, self.connection.connection_id):
                return
        account = self.opened()
        account.gate.deadline = math.inf
        run.archived = merged_records.archive(*place, account.adapter, run_id=self.run_id)

    def close(self) -> int:
        """Give the client back, or leave it open for the next pass; returns the calls made."""
        if self.account is not None and self.accounts is None:
            self.account.close()
        return self.gate.calls if self.gate else 0

    def doubt(self) -> None:
        """The account as a whole refused: the next pass asks it anew who it is."""
        if self.accounts is not None:
            self.accounts.forget(self.tenant, self.connection.connection_id)

    def may_hold(self) -> bool:
        """Whether some record may wait for a person."""
        return self.there is None or any(State.held in one for one in self.there.values())

    def _standing(self) -> Mapping[str, Collection[str]]:
        if self.there is None:
            with self.engines.tenancy.scope(self.tenant) as scope:
                self.there = standing(scope, self.connection.connection_id)
        return self.there

    def _send_type(
        self, object_type: str, sent: Sent, there: Collection[str], *, held: bool
    ) -> bool:
        """Send what is due of one type; whether anything was."""
        with self.engines.tenancy.scope(self.tenant) as scope:
            place = (scope, self.connection.connection_id, object_type)
            longest = timedelta(hours=self.settings.crm_waits_hours)
            settle_waiting(*place, held=held, longest_wait=longest, there=there)
            if held:
                return False
            mapping = self.mappings[object_type]
            only = self._only(object_type)
            waiting = any_due(*place, self.rules_version, mapping.rules_digest, among=only)
            if waiting and self.account is None:
                self.secrets = self._open_secrets(scope)
        reached(Step.released)
        if waiting:
            self.prepared(mapping)
            account = self.opened()
            sender = self.sender(account.adapter, account.gate, mapping)
            dispatch(sender, sent, on_batch=self.on_batch)
        return bool(waiting)

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
        )

    def _only(self, object_type: str) -> tuple[UUID, ...] | None:
        return None if self.among is None else self.among.get(object_type, ())

    def opened(self) -> CrmAccount:
        """The account, once it has shown to be the one the connection was made for."""
        if self.account is not None:
            return self.account
        secrets = self.secrets
        if secrets is None:
            with self.engines.tenancy.scope(self.tenant) as scope:
                secrets = self._open_secrets(scope)
        place = (self.tenant, self.connection, secrets)
        kept = None if self.accounts is None else self.accounts.find(*place)
        if kept is not None:
            kept.gate.calls = 0
            self.account, self.gate = kept, kept.gate
            return kept
        self.account = self._open(secrets)
        if self.accounts is not None:
            self.accounts.keep(*place, self.account)
        return self.account

    def _open_secrets(self, scope: TenantScope) -> Mapping[str, str]:
        return vault.open_secrets(scope, self.connection.connection_id)

    def _open(self, secrets: Mapping[str, str]) -> CrmAccount:
        crm = crm_connector(self.connection.platform)
        account = f"{self.connection.platform}/{self.connection.account_id}".encode()
        gate = self.gate = self.gate or BudgetGate(
            self.engines.ops,
            self.connection.platform,
            self.engines.tenancy.master.digest("budget", account),
            {**crm.manifest.budgets, **agreed_budgets(self.connection.settings)},
            purpose=self.purpose,
            tenant=self.tenant,
        )
        access = CrmAccess(self.connection.base_url, secrets, self.connection.settings)
        adapter = crm.open(access, gate)
        try:
            self._refuse_another(adapter)
        except RemoteError:
            adapter.close()
            raise
        return CrmAccount(adapter, gate)

    def _refuse_another(self, adapter: Adapter) -> None:
        if adapter.account_id() != self.connection.account_id:
            raise NeedsReconnect(
                f"the CRM of {self.tenant} answers as another account than the one it was "
                "connected to: nothing was written; reconnect it",
                code="other_account",
            )

    def _all(self) -> tuple[UUID, ...] | None:
        return None if self.among is None else tuple(chain.from_iterable(self.among.values()))

    def _soon(self) -> ColumnElement[bool]:
        return due(self.rules_version, within=LONGEST_PAUSE)

    def _any(self, run: CrmRun, which: ColumnElement[bool]) -> bool:
        """Whether there is such a row of the types this run may write."""
        with self.engines.tenancy.scope(self.tenant) as scope:
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
