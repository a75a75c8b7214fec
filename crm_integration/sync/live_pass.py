"""One pass over a tenant in a live run: what was delivered, and what comes of it.

Prevents the second code path: a live run drains, derives and writes with the same functions as a
run over windows, and only leaves out what no delivery asks for (listings, verdicts over days,
what time alone changes). What it leaves out the next reconciliation does.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import date

from crm_integration.credentials import vault
from crm_integration.crms._registry import crm_connector
from crm_integration.errors import RemoteError, Transient
from crm_integration.intake.drop_table import drain
from crm_integration.intake.named import read_named
from crm_integration.intake.open_store import OpenStore, open_store
from crm_integration.intake.raw_reading import any_underived, underived
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.quality.rules import rules_version
from crm_integration.quality.watches import Watches
from crm_integration.stores._registry import connector
from crm_integration.sync.crm_door import CrmAccount
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.crm_session import CrmRun
from crm_integration.sync.derive import derive_window, deriver
from crm_integration.sync.open_accounts import OpenAccounts
from crm_integration.sync.path import Connected, House
from crm_integration.sync.setbacks import Setbacks
from crm_integration.sync.tenant_settings import engine_settings
from crm_integration.tenancy.connections import StoredConnection
from crm_integration.tenancy.lately import Lately

LONGEST_SILENCE = 60.0
"""Seconds that a CRM which does not answer is left alone at most: so late its records may come once
it answers again."""

NO_DAYS = (date(1, 1, 1), date(1, 1, 1))
"""No day at all: what was never derived is taken whatever its day."""


@dataclass
class Passed:
    """What one pass did: raw records kept, CRM records written, and what went wrong."""

    connected: Connected = field(repr=False)
    kept: int = 0
    writes: int = 0
    calls: int = 0
    again_in: float | None = None
    """Seconds after which there is something to do again, whether something is delivered or not."""
    problems: list[str] = field(default_factory=list[str])

    @property
    def tenant(self) -> str:
        return self.connected.config.tenant


@dataclass
class LivePass:
    """Takes a tenant through, pass after pass; its clients stay open in between."""

    house: House
    run_id: str
    stores: OpenAccounts[OpenStore] = field(default_factory=OpenAccounts[OpenStore])
    crms: OpenAccounts[CrmAccount] = field(default_factory=OpenAccounts[CrmAccount])
    watches: Watches = field(default_factory=Watches)
    lately: Lately = field(default_factory=Lately, repr=False)
    """What was looked at a moment ago."""
    silent: Setbacks = field(default_factory=lambda: Setbacks(LONGEST_SILENCE), repr=False)
    """Tenants whose CRM as a whole refused or did not answer: left alone for a while."""
    broke: set[str] = field(default_factory=set[str], repr=False)
    """Tenants whose last pass broke."""

    def __call__(self, tenant: str) -> Passed:
        """All that waits of one tenant. A tenant is taken by one pass at a time.

        Raises what is wrong with the tenant's file or the database; what a store or a CRM
        answers is a problem of the pass.
        """
        engines = self.house.engines
        # After one that broke, step by step: what came before the step that breaks is kept.
        joined = tenant not in self.broke
        try:
            with engines.tenancy.on_one_connection(joined=joined) as tenancy:
                house = replace(self.house, engines=replace(engines, tenancy=tenancy))
                passed = replace(self, house=house).go(tenant)
        except BaseException:
            self._note_broken(tenant)
            raise
        self.broke.discard(tenant)
        return passed

    def _note_broken(self, tenant: str) -> None:
        """What it had taken in may be gone again: the next pass looks for what is underived."""
        self.broke.add(tenant)
        self.watches.forget(tenant)
        self.lately.forget(tenant)

    def go(self, tenant: str) -> Passed:
        """The pass itself."""
        passed = self.take_in(tenant)
        passed.again_in = self.silent.seconds(tenant) or None
        if passed.again_in is not None:
            passed.problems.append("crm: left alone, it refused or did not answer lately")
            return passed
        ran = self._write(passed.connected)
        passed.again_in = self._again_in(tenant, ran)
        passed.writes = sum(one.writes for one in ran.sent.values())
        passed.calls = ran.calls
        passed.problems += [ran.problem] if ran.problem else []
        return passed

    def _again_in(self, tenant: str, ran: CrmRun) -> float | None:
        if ran.refusal is None:
            self.silent.over(tenant)
            return ran.again_in
        asked = ran.refusal.retry_after if isinstance(ran.refusal, Transient) else None
        return self.silent.note(tenant, at_least=min(asked or 0.0, LONGEST_SILENCE))

    def take_in(self, tenant: str) -> Passed:
        """Deliveries of all stores to canonical rows; nothing is written to the CRM."""
        connected = self.house.connected(tenant)
        passed = Passed(connected)
        for store in connected.stores:
            brought = self._take_in(store, passed)
            self._derive(store, passed, brought)
        return passed

    def left_underived(self, tenant: str) -> bool:
        """Whether there is a raw record that nobody derived: whoever kept it may have died."""
        with self.house.engines.tenancy.scope(tenant, durable=False) as scope:
            return any_underived(scope)

    def close(self) -> None:
        """Give all clients back."""
        self.stores.close()
        self.crms.close()

    def _take_in(self, store: StoredConnection, passed: Passed) -> set[str]:
        """Deliveries to raw records; what they only name is read, then they leave the queue.

        Returns the object types of what came.
        """
        engines = self.house.engines
        place = (engines.tenancy, engines.ops)
        came = drain(
            *place, passed.tenant, store,
            run_id=self.run_id, postponed=False, lately=self.lately,
        )  # fmt: skip
        passed.kept += came.kept
        named = {*came.thin, *came.doubtful}
        brought = {one for one, _ in came.days} | {one for one, _ in named}
        if not named:
            return brought
        try:
            opened = self._opened(passed.tenant, store)
            found = read_named(*place, opened, came.thin, came.doubtful, run_id=self.run_id)
        except RemoteError as error:
            passed.problems.append(f"{store.connection_id}: {type(error).__name__} {error.code}")
            return brought
        if found:
            self.stores.forget(passed.tenant, store.connection_id)
        passed.problems += [f"{store.connection_id}: {one.object_type} unread" for one in found]
        passed.kept += len(named)
        return brought

    def _opened(self, tenant: str, store: StoredConnection) -> OpenStore:
        engines = self.house.engines
        with engines.tenancy.scope(tenant, durable=False) as scope:
            known = vault.open_credential(scope, store.connection_id)
        renews = known.due and not known.rests
        kept = None if renews else self.stores.find(tenant, store, known.secrets)
        if kept is None:
            kept = open_store(engines.tenancy, engines.ops, tenant, store, "live")
            self.stores.keep(tenant, store, kept.secrets, kept)
        return kept

    def _waiting(self, tenant: str, store: StoredConnection) -> frozenset[str]:
        """Object types that somebody left underived; after a look there is none for a while."""
        if self.lately.knows(tenant, "underived", store.connection_id):
            return frozenset()
        with self.house.engines.tenancy.scope(tenant, durable=False) as scope:
            found = underived(scope, store.connection_id)
        self.lately.note(tenant, "underived", store.connection_id)
        return found

    def _derive(self, store: StoredConnection, passed: Passed, brought: set[str]) -> None:
        tenancy, config = self.house.engines.tenancy, passed.connected.config
        waiting = brought | self._waiting(passed.tenant, store)
        if not waiting:
            return
        settings = engine_settings(config.settings)
        derive = deriver(
            store,
            config.rules,
            run_id=self.run_id,
            stores=config.stores,
            not_keys=settings.not_keys,
            lately=self.lately,
        )
        types = [one for one in connector(store.platform).manifest.object_types if one in waiting]
        derive_window(tenancy, passed.tenant, derive, NO_DAYS, types, watches=self.watches)

    def _write(self, connected: Connected) -> CrmRun:
        config = connected.config
        settings = engine_settings(config.settings)
        mappings = compiled_mappings(self.house.mappings, config)
        objects = crm_connector(config.crm).manifest.objects
        return sync_crm(
            self.house.engines,
            config.tenant,
            mappings,
            rules_version(config.rules),
            tuple(objects),
            connection=connected.crm,
            run_id=self.run_id,
            limit=settings.limit,
            settings=settings,
            accounts=self.crms,
            purpose="live",
            lately=self.lately,
        )

