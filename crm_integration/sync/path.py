"""The whole way for one tenant: extract, derive, judge, sync; the same for every driver.

Prevents one tenant, type or day from stopping another: each step reports what failed and the
rest goes on, and a gate that is closed keeps exactly its own object type from being written.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from pathlib import Path
from threading import Lock
from traceback import walk_tb

from crm_integration.errors import CrmIntegrationError
from crm_integration.intake.drop_table import drain
from crm_integration.intake.extract import Extracted, OpenStore, extract, fetch, open_store
from crm_integration.mapping.tenant_file import TenantConfig, compiled_mappings, tenant_config
from crm_integration.quality.rules import rules_version
from crm_integration.quality.verdicts import Verdict
from crm_integration.stores._contract import Window
from crm_integration.stores._registry import connector
from crm_integration.sync.crm_run import CrmRun, Engines, sync_crm
from crm_integration.sync.derive import Derived, derive_window, deriver
from crm_integration.sync.rejudge import rejudge
from crm_integration.tenancy.connections import (
    StoredConnection,
    connections_of,
    crm_connection,
)

_JUDGING = Lock()
"""great_expectations keeps one context a process: tenants in several threads take turns."""

Progress = Callable[[str, str, int], None]
"""`(tenant, what, how many so far)`."""


@dataclass(frozen=True)
class Selection:
    """What of the way is to be run: object types to extract, entities to derive, CRM objects."""

    extracts: frozenset[str] = frozenset()
    canonical: frozenset[str] = frozenset()
    crm: frozenset[str] = frozenset()


@dataclass(frozen=True)
class Problem:
    """A part that failed: `stage` (start, extract, derive, judge, sync, report), `what`, why."""

    stage: str
    what: str
    reason: str


@dataclass
class PathReport:
    """What a run did for one tenant."""

    tenant: str
    extracted: dict[str, Extracted] = field(default_factory=lambda: dict[str, Extracted]())
    derived: Derived | None = None
    verdicts: list[Verdict] = field(default_factory=lambda: list[Verdict]())
    crm: CrmRun | None = None
    problems: list[Problem] = field(default_factory=lambda: list[Problem]())

    def failed(self, stage: str, what: str) -> bool:
        """Did this part of the way fail?"""
        return any(one.stage == stage and one.what == what for one in self.problems)


@dataclass(frozen=True)
class House:
    """What every run works with."""

    engines: Engines
    mappings: Path

    def config(self, tenant: str) -> TenantConfig:
        """The tenant's file. The CRM is the one that is connected. Raises BadMapping."""
        with self.engines.tenancy.scope(tenant) as scope:
            crm = crm_connection(scope).platform
        return tenant_config(self.mappings, tenant, crm=crm)


def run_path(
    house: House,
    tenant: str,
    windows: Sequence[Window],
    selection: Selection,
    *,
    run_id: str,
    progress: Progress | None = None,
) -> PathReport:
    """Run the selected parts for one tenant over windows.

    Raises nothing: what goes wrong, foreseen or not, is a problem of this tenant's report.
    """
    report = PathReport(tenant)
    told = progress or _untold
    try:
        config = house.config(tenant)
        version = rules_version(config.rules)
        stores = _stores(house, tenant)
        span = Window(min(one.start for one in windows), max(one.end for one in windows))
        for connection in stores:
            _extract(house, report, connection, span, selection, run_id, told)
            _derive(house, report, connection, config, span, selection, run_id, told)
        _judge(house, report, config, windows, selection, run_id)
        if selection.crm:
            _sync(house, report, config, version, selection, run_id, told)
    except CrmIntegrationError as error:
        report.problems.append(Problem("start", tenant, str(error)))
    except Exception as error:  # noqa: BLE001 - the step's boundary: the neighbours go on
        report.problems.append(Problem("start", tenant, unforeseen(error)))
    return report


def unforeseen(error: Exception) -> str:
    """What may be shown of an error nobody named: its kind and the place in our code.

    Never its message or traceback: drivers and validators put rows and values into those.
    """
    places = [
        (frame.f_globals.get("__name__", ""), line) for frame, line in walk_tb(error.__traceback__)
    ]
    ours = [place for place in places if place[0].startswith("crm_integration.")]
    name, line = ours[-1] if ours else ("outside crm_integration", 0)
    return (
        f"unforeseen {type(error).__name__} at {name}:{line}: nothing of this tenant counts as "
        "done; run it again, and if it stays look there"
    )


def _untold(tenant: str, what: str, count: int) -> None:
    """Nobody watches."""


def _stores(house: House, tenant: str) -> tuple[StoredConnection, ...]:
    with house.engines.tenancy.scope(tenant) as scope:
        return connections_of(scope, "store")


def _extract(
    house: House,
    report: PathReport,
    connection: StoredConnection,
    span: Window,
    selection: Selection,
    run_id: str,
    told: Progress,
) -> None:
    if not selection.extracts:
        return
    tenancy, tenant = house.engines.tenancy, report.tenant
    # Before the store is asked: what it delivered is read also while it is down.
    delivered = drain(tenancy, house.engines.ops, tenant, connection, run_id=run_id)
    try:
        store = open_store(tenancy, tenant, connection)
    except CrmIntegrationError as error:
        for object_type in selection.extracts:
            report.problems.append(Problem("extract", object_type, str(error)))
        return
    try:
        for object_type in store.connector.manifest.object_types:
            if object_type in selection.extracts:
                doubtful = [name for kind, name in delivered.doubtful if kind == object_type]
                _extract_type(house, report, store, object_type, span, doubtful, run_id, told)
    finally:
        store.client.close()


def _extract_type(
    house: House,
    report: PathReport,
    store: OpenStore,
    object_type: str,
    span: Window,
    doubtful: Sequence[str],
    run_id: str,
    told: Progress,
) -> None:
    tenant = report.tenant
    try:
        report.extracted[object_type] = extract(
            house.engines.tenancy,
            store,
            object_type,
            span,
            run_id=run_id,
            on_page=lambda what, count: told(tenant, f"extract {what}", count),
        )
        settled = list(dict.fromkeys(doubtful))
        fetch(house.engines.tenancy, store, object_type, settled, run_id=run_id)
    except CrmIntegrationError as error:
        report.problems.append(Problem("extract", object_type, str(error)))


def _derive(
    house: House,
    report: PathReport,
    connection: StoredConnection,
    config: TenantConfig,
    span: Window,
    selection: Selection,
    run_id: str,
    told: Progress,
) -> None:
    types = _types_for(connection, selection)
    if not types:
        return
    tenant = report.tenant
    try:
        derive = deriver(connection, config.rules, run_id=run_id)
        report.derived = derive_window(
            house.engines.tenancy,
            tenant,
            derive,
            (span.start, span.end),
            types,
            on_chunk=lambda what, count: told(tenant, f"derive {what}", count),
        )
        rejudge(house.engines.tenancy, tenant, derive, selection.canonical, report.derived)
    except CrmIntegrationError as error:
        for entity in selection.canonical:
            report.problems.append(Problem("derive", entity, str(error)))


def _types_for(connection: StoredConnection, selection: Selection) -> tuple[str, ...]:
    """Guests live in orders: who derives customers reads orders, too."""
    wanted = set(selection.canonical)
    if "customer" in wanted:
        wanted.add("order")
    manifest = connector(connection.platform).manifest
    return tuple(name for name in manifest.object_types if name in wanted)


def _judge(
    house: House,
    report: PathReport,
    config: TenantConfig,
    windows: Sequence[Window],
    selection: Selection,
    run_id: str,
) -> None:
    """Verdicts of every window, from suites made of the same rules; they open the holds."""
    if not selection.canonical:
        return
    from crm_integration.quality.suites import judge_windows
    from crm_integration.quality.verdicts import Window as Judged

    today: date = datetime.now(UTC).date()
    spans = [Judged(one.start, one.end) for one in windows]
    for entity in sorted(selection.canonical):
        with _JUDGING, house.engines.tenancy.scope(report.tenant) as scope:
            verdicts = judge_windows(scope, entity, spans, config.rules, run_id=run_id, today=today)
        report.verdicts += verdicts


def _sync(
    house: House,
    report: PathReport,
    config: TenantConfig,
    version: str,
    selection: Selection,
    run_id: str,
    told: Progress,
) -> None:
    tenant = report.tenant
    mappings = compiled_mappings(house.mappings, config)
    report.crm = sync_crm(
        house.engines,
        tenant,
        mappings,
        version,
        tuple(selection.crm),
        run_id=run_id,
        on_batch=lambda what, count: told(tenant, f"sync {what}", count),
    )
    if report.crm.problem is not None:
        for object_type in selection.crm:
            report.problems.append(Problem("sync", object_type, report.crm.problem))
    for object_type in report.crm.holds:
        report.problems.append(
            Problem("sync", object_type, "a hold is open: nothing of this type was written")
        )
