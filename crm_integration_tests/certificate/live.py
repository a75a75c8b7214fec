"""One pass of the live driver: drain what came in, derive it, write it; nothing is listed.

Prevents a second code path from being tested here: each part is the engine's own, in the order in
which a live run calls it.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import date
from itertools import chain

from crm_integration.errors import RemoteError
from crm_integration.intake.drop_table import acknowledge, drain
from crm_integration.intake.extract import fetch, open_store
from crm_integration.mapping.tenant_file import compiled_mappings
from crm_integration.quality.rules import rules_version
from crm_integration.stores._registry import connector
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.derive import derive_window, deriver
from crm_integration.sync.path import House
from crm_integration.sync.tenant_settings import engine_settings
from crm_integration.tenancy.connections import StoredConnection
from crm_integration_tests.certificate.ranges import Passed, everything

NO_DAYS = (date(1, 1, 1), date(1, 1, 1))
"""No day at all: what was never derived is taken whatever its day."""


def one_pass(house: House, tenant: str, run_id: str) -> Passed:
    """All that waits of one tenant."""
    config = house.config(tenant)
    run = f"live-{run_id}"
    problems: list[str] = []
    for store in house.stores(tenant, config.stores):
        problems += taken_in(house, tenant, store, run)
        derive = deriver(store, config.rules, run_id=run, stores=config.stores)
        types = connector(store.platform).manifest.object_types
        derive_window(house.engines.tenancy, tenant, derive, NO_DAYS, types)
    ran = sync_crm(
        house.engines,
        tenant,
        compiled_mappings(house.mappings, config),
        rules_version(config.rules),
        tuple(everything().crm),
        run_id=run,
        limit=engine_settings(config.settings).limit,
    )
    problems += [f"{tenant}: {ran.problem}"] if ran.problem else []
    return Passed(sum(one.writes for one in ran.sent.values()), problems)


def taken_in(house: House, tenant: str, store: StoredConnection, run: str) -> list[str]:
    """Deliveries to raw records; what they only name is read, then they leave the queue."""
    engines = house.engines
    came = drain(engines.tenancy, engines.ops, tenant, store, run_id=run)
    named: dict[str, list[str]] = defaultdict(list)
    for object_type, source_id in (*came.thin, *came.doubtful):
        named[object_type].append(source_id)
    if not named:
        return []
    try:
        opened = open_store(engines.tenancy, engines.ops, tenant, store)
    except RemoteError as error:
        return [f"{tenant}: {type(error).__name__}"]
    problems: list[str] = []
    try:
        for object_type, source_ids in named.items():
            wanted = list(dict.fromkeys(source_ids))
            try:
                fetch(engines.tenancy, opened, object_type, wanted, run_id=run)
            except RemoteError as error:
                problems.append(f"{tenant}: {type(error).__name__}")
                continue
            told = (came.thin.get((object_type, one), ()) for one in wanted)
            acknowledge(engines.ops, chain.from_iterable(told))
    finally:
        opened.client.close()
    return problems
