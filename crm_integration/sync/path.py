"""The whole way for one tenant: extract, derive, judge, sync; the same for every driver.

Prevents one tenant, store, type or day from stopping another: each step reports what failed and
the rest goes on, and a gate that is closed keeps exactly its own object type from being written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Lock

from crm_integration.canonical.entities import ENTITIES
from crm_integration.canonical.facts import note_lapsed
from crm_integration.canonical.identity import lock_identities
from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.cursors import reconcile
from crm_integration.intake.drop_table import drain
from crm_integration.intake.extract import extract, fetch
from crm_integration.intake.named import read_named
from crm_integration.intake.open_store import OpenStore, open_store
from crm_integration.intake.raw_reading import underived_days
from crm_integration.mapping.model import CompiledMapping
from crm_integration.mapping.tenant_file import TenantConfig, compiled_mappings, tenant_config
from crm_integration.quality.rules import rules_version
from crm_integration.stores._contract import Window
from crm_integration.stores._registry import connector
from crm_integration.sync import abandonment
from crm_integration.sync.crm_changes import read_changes, worth_reading
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.derive import derive_window, deriver
from crm_integration.sync.engines import Engines
from crm_integration.sync.idleness import is_idle
from crm_integration.sync.rejudge import rejudge
from crm_integration.sync.report import PathReport, Problem, Selection, unforeseen, withheld
from crm_integration.sync.steps import Step, reached
from crm_integration.sync.tenant_settings import EngineSettings, engine_settings
from crm_integration.sync.window_objects import objects_of
from crm_integration.tenancy.connections import StoredConnection, connections_of, the_crm
from crm_integration.transport.quota import Purpose

_JUDGING = Lock()
"""great_expectations keeps one context a process: tenants in several threads take turns."""

JUDGED_AT_ONCE = 92
"""Windows whose frames are in memory together, as in a slice: a first sweep may touch many."""

Progress = Callable[[str, str, int], None]
"""`(tenant, what, how many so far)`."""


@dataclass(frozen=True)
class Narrowed:
    """A run that writes only the objects of its windows; their `forced` fields are written
    whoever owns them."""

    forced: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Connected:
    """A tenant's file with its connections: stores in the order that the file gives them (others
    after, by name), and the CRM account."""

    config: TenantConfig
    stores: tuple[StoredConnection, ...]
    crm: StoredConnection


@dataclass(frozen=True)
class House:
    """What every run works with."""

    engines: Engines
    mappings: Path

    def connected(self, tenant: str) -> Connected:
        """The tenant's file and connections. Raises BadMapping, and NotFound without a CRM."""
        with self.engines.tenancy.scope(tenant, durable=False) as scope:
            found = connections_of(scope, "store", "crm")
        crm = the_crm(tenant, found)
        config = tenant_config(self.mappings, tenant, crm=crm.platform)
        places = {name: place for place, name in enumerate(config.stores)}
        last = len(places)
        stores = sorted(
            (one for one in found if one.side == "store"),
            key=lambda one: (places.get(one.connection_id, last), one.connection_id),
        )
        return Connected(config, tuple(stores), crm)

    def config(self, tenant: str) -> TenantConfig:
        """The tenant's file. The CRM is the one that is connected. Raises BadMapping."""
        return self.connected(tenant).config


def run_path(
    house: House,
    tenant: str,
    windows: Sequence[Window],
    selection: Selection,
    *,
    run_id: str,
    progress: Progress | None = None,
    swept: bool = True,
    narrowed: Narrowed | None = None,
    by_cursor: bool = False,
    purpose: Purpose = "reconcile",
) -> PathReport:
    """Run the selected parts for one tenant over windows.

    `swept` False leaves out the types that a store can only list whole: an earlier slice of the
    same run has listed them. `narrowed` (a replay) writes nothing but the windows' own objects.
    `by_cursor` lists what lies behind each type's cursor instead of windows, and derives and
    judges only what that brought. `purpose` says how much of the accounts' budgets it may use.
    Raises nothing: what goes wrong, foreseen or not, is a problem of this tenant's report.
    """
    report = PathReport(tenant)
    try:
        connected = house.connected(tenant)
        settings = engine_settings(connected.config.settings)
        told = progress or _untold
        spans = tuple(windows)
        way = _Way(
            house, report, connected, settings, spans, selection, run_id, told, swept, narrowed,
            by_cursor, purpose,
        )  # fmt: skip
        way.go()
    except CrmIntegrationError as error:
        report.problems.append(Problem("start", tenant, str(error)))
    except Exception as error:  # noqa: BLE001 - the step's boundary: the neighbours go on
        report.problems.append(Problem("start", tenant, unforeseen(error)))
    return report


def _untold(tenant: str, what: str, count: int) -> None:
    """Nobody watches."""


@dataclass(frozen=True)
class _Way:
    """One tenant on its way."""

    house: House
    report: PathReport
    connected: Connected
    settings: EngineSettings
    windows: tuple[Window, ...]
    selection: Selection
    run_id: str
    progress: Progress
    swept: bool
    narrowed: Narrowed | None
    by_cursor: bool = False
    purpose: Purpose = "reconcile"

    @property
    def tenant(self) -> str:
        return self.report.tenant

    @property
    def config(self) -> TenantConfig:
        return self.connected.config

    @property
    def span(self) -> Window:
        return Window(min(one.start for one in self.windows), max(one.end for one in self.windows))

    def go(self) -> None:
        """Every store, then what time itself changes, then the gate, then the CRM."""
        stores = self.connected.stores
        for connection in stores:
            self._extract(connection)
        if self.by_cursor and self._is_idle(stores):
            return
        for connection in stores:
            self._derive(connection)
        self._let_time_pass(stores)
        self._judge()
        if self.selection.crm:
            self._sync()

    def _told(self, stage: str) -> Callable[[str, int], None]:
        return lambda what, count: self.progress(self.tenant, f"{stage} {what}", count)

    def _note(self, stage: str, what: str, reason: str) -> None:
        self.report.problems.append(Problem(stage, what, reason))

    def _extract(self, connection: StoredConnection) -> None:
        manifest = connector(connection.platform).manifest
        wanted = [
            name
            for name in manifest.object_types
            if name in self.selection.extracts and (self.swept or name not in manifest.swept)
        ]
        if not wanted:
            return
        engines = self.house.engines
        # Before the store is asked: what it delivered is read also while it is down.
        delivered = drain(engines.tenancy, engines.ops, self.tenant, connection, run_id=self.run_id)
        try:
            store = open_store(engines.tenancy, engines.ops, self.tenant, connection, self.purpose)
        except CrmIntegrationError as error:
            for object_type in wanted:
                self._note("extract", object_type, str(error))
            return
        try:
            place = (engines.tenancy, engines.ops, store)
            for one in read_named(*place, delivered.thin, run_id=self.run_id):
                self._note("extract", one.object_type, one.reason)
            for object_type in wanted:
                doubtful = [name for kind, name in delivered.doubtful if kind == object_type]
                self._extract_type(store, object_type, doubtful)
        finally:
            store.client.close()

    def _extract_type(self, store: OpenStore, object_type: str, doubtful: Sequence[str]) -> None:
        tenancy, run_id = self.house.engines.tenancy, self.run_id
        told = self._told("extract")
        try:
            if self.by_cursor:
                pace = self.settings.pace
                done = reconcile(tenancy, store, object_type, pace, run_id=run_id, on_page=told)
                self.report.note_reconciled(store.connection.connection_id, done)
            else:
                listed = extract(
                    tenancy, store, object_type, self.span, run_id=run_id, on_page=told
                )
                self.report.note_extracted(listed)
            fetch(tenancy, store, object_type, list(dict.fromkeys(doubtful)), run_id=run_id)
        except CrmIntegrationError as error:
            self._note("extract", object_type, str(error))

    def _is_idle(self, stores: Sequence[StoredConnection]) -> bool:
        """Whether nothing came and nothing waits. The days of what came are judged, and told."""
        tenancy = self.house.engines.tenancy
        with tenancy.scope(self.tenant) as scope:
            for connection in stores:
                self.report.days |= underived_days(scope, connection.connection_id)
        if self.report.days:
            return False
        self._let_time_pass(stores)
        mappings = compiled_mappings(self.house.mappings, self.config)
        with tenancy.scope(self.tenant) as scope:
            crm = self.connected.crm.connection_id
            return is_idle(scope, crm, mappings, rules_version(self.config.rules))

    @property
    def _days(self) -> tuple[date, date]:
        """Whose objects are derived again; by cursor none but those that wait to be."""
        return (self.span.start, self.span.start if self.by_cursor else self.span.end)

    def _judged(self) -> Sequence[Window]:
        if not self.by_cursor:
            return self.windows
        return [Window(day, day + timedelta(days=1)) for day in sorted(self.report.days)]

    def _derive(self, connection: StoredConnection) -> None:
        types = self._types_of(connection)
        if not types:
            return
        tenancy, days = self.house.engines.tenancy, self._days
        try:
            derive = deriver(
                connection,
                self.config.rules,
                run_id=self.run_id,
                stores=self.config.stores,
                not_keys=self.settings.not_keys,
            )
            told = self._told("derive")
            done = derive_window(tenancy, self.tenant, derive, days, types, on_chunk=told)
            rejudge(tenancy, self.tenant, derive, self.selection.canonical, done)
            self.report.derived.add(done)
        except CrmIntegrationError as error:
            for entity in self.selection.canonical:
                self._note("derive", entity, str(error))

    def _types_of(self, connection: StoredConnection) -> tuple[str, ...]:
        """The object types whose payloads stand for something of the selection: guests live in
        orders, milestones are made of orders and parcels."""
        wanted = set(self.selection.canonical)
        for name in self.selection.canonical:
            wanted.update(ENTITIES[name].derived_from)
        manifest = connector(connection.platform).manifest
        return tuple(
            one for one in manifest.object_types if wanted & set(manifest.entities_of(one))
        )

    def _let_time_pass(self, stores: Sequence[StoredConnection]) -> None:
        """What becomes true although no store says it: abandoned carts, lapsed customers."""
        tenancy, settings = self.house.engines.tenancy, self.settings
        if "cart" in self.selection.canonical:
            minutes = settings.cart_abandoned_after_minutes
            for connection in stores:
                place = (tenancy, self.tenant, connection.connection_id)
                abandonment.sweep(*place, run_id=self.run_id, after_minutes=minutes)
        if "customer" in self.selection.canonical:
            with tenancy.scope(self.tenant) as scope:
                lock_identities(scope)
                note_lapsed(scope, settings.customer_lapses_after_days)
        reached(Step.time_passed)

    def _judge(self) -> None:
        """Verdicts of every window, from suites made of the same rules; they open the holds."""
        windows = self._judged()
        if not self.selection.canonical or not windows:
            return
        from crm_integration.quality.suites import judge_entities
        from crm_integration.quality.verdicts import Window as Judged

        today: date = datetime.now(UTC).date()
        spans = [Judged(one.start, one.end) for one in windows]
        entities = sorted(self.selection.canonical)
        for start in range(0, len(spans), JUDGED_AT_ONCE):
            some = spans[start : start + JUDGED_AT_ONCE]
            with _JUDGING, self.house.engines.tenancy.scope(self.tenant) as scope:
                self.report.verdicts += judge_entities(
                    scope, entities, some, self.config.rules, run_id=self.run_id, today=today
                )
        reached(Step.judged)

    def _read_crm(self, mappings: Mapping[str, CompiledMapping], version: str) -> None:
        """What people changed in the CRM, before something is sent; not at every run."""
        engines = self.house.engines
        place = (self.tenant, mappings, version)
        pause = timedelta(minutes=self.settings.crm_changes_minutes)
        if worth_reading(engines.tenancy, *place, not_within=pause):
            read = self.report.crm_read = read_changes(engines, *place, run_id=self.run_id)
            if read.problem is not None:
                self._note("read", "crm", read.problem)

    def _sync(self) -> None:
        engines, among, forced = self.house.engines, None, frozenset[str]()
        if self.narrowed is not None:
            forced = self.narrowed.forced
            with engines.tenancy.scope(self.tenant) as scope:
                among = objects_of(scope, self.windows)
        mappings = compiled_mappings(self.house.mappings, self.config)
        version = rules_version(self.config.rules)
        if self.narrowed is None:
            self._read_crm(mappings, version)
        ran = self.report.crm = sync_crm(
            engines,
            self.tenant,
            mappings,
            version,
            tuple(self.selection.crm),
            connection=self.connected.crm,
            run_id=self.run_id,
            limit=self.settings.limit,
            settings=self.settings,
            on_batch=self._told("sync"),
            among=among,
            forced=forced,
            purpose=self.purpose,
        )
        if ran.problem is not None:
            for object_type in self.selection.crm:
                self._note("sync", object_type, ran.problem)
        for object_type, records in ran.withheld.items():
            if object_type in self.selection.crm:
                self._note("sync", object_type, withheld(self.tenant, object_type, records))
        for object_type in ran.holds:
            self._note("sync", object_type, "a hold is open: nothing of this type was written")
