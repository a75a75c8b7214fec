"""One small way through everything, shop to CRM, for the searches of what it leaves behind.

Prevents a search of tables nobody filled: each sealed column gets rows by the code that fills it
in production.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from datetime import date
from pathlib import Path

from crm_integration.intake.extract import extract
from crm_integration.intake.open_store import open_store
from crm_integration.mapping.tenant_file import compiled_mappings, tenant_config
from crm_integration.quality.rules import rules_version
from crm_integration.sandbox.faults import FaultPlan, FaultRule
from crm_integration.sandbox.server import CrmAccess, Sandbox, ShopAccess
from crm_integration.storage.engine import engine_for
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.stores._contract import StoreAccess, Window
from crm_integration.stores._registry import connector
from crm_integration.sync.crm_run import sync_crm
from crm_integration.sync.derive import derive_window, deriver
from crm_integration.sync.engines import Engines
from crm_integration.tenancy.connections import StoredConnection, connections_of, save_connection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant
from crm_integration_tests.leaks.needles import Needle, needles_of_crm, needles_of_shop

_MAPPINGS = Path(__file__).parents[2] / "mappings"
_EVER = Window(date(2009, 1, 1), date(2026, 12, 31))


def small_path(
    urls: DatabaseUrls, *, tenant: str, master: MasterKey, platform: str = "woocommerce"
) -> list[Needle]:
    """Sync one invented shop into its CRM; give back all that must not be found afterwards."""
    tenancy = Tenancy(engine_for(urls.app), master)
    engines = Engines(tenancy, engine_for(urls.ops))
    found = _the_same_people(tenant)
    shops = {tenant: platform}
    with Sandbox.start(shops, search_lag_seconds=0.0, max_life_seconds=600) as sandbox:
        sandbox.load()
        shop, crm = sandbox.shops[tenant], sandbox.crms[tenant]
        found |= {Needle("token", secret) for secret in shop.secrets.values()}
        found |= needles_of_crm(crm.base_url, crm.token)
        sandbox.set_faults(f"crm:{tenant}", _quoting_refusal(found))
        _connect(tenancy, tenant, shop, crm)
        _extract_and_derive(engines, tenant)
        config = tenant_config(_MAPPINGS, tenant, crm="hubspot")
        compiled = compiled_mappings(_MAPPINGS, config)
        version = rules_version(config.rules)
        ran = sync_crm(engines, tenant, compiled, version, tuple(compiled), run_id="leaks")
        assert ran.sent["contact"].failed == 1  # the refused one; else nothing quoted anyone
    return sorted(found, key=lambda needle: (needle.kind, needle.text))


def _the_same_people(tenant: str) -> set[Needle]:
    """Shops of any kind are filled with the same people; WooCommerce's is the easiest to ask."""
    shops = {tenant: "woocommerce"}
    with Sandbox.start(shops, search_lag_seconds=0.0, max_life_seconds=300) as sandbox:
        sandbox.load()
        shop = sandbox.shops[tenant]
        found = needles_of_shop(shop.base_url, *shop.secrets.values())
        return {one for one in found if one.kind != "token"}


def _quoting_refusal(known: Iterable[Needle]) -> FaultPlan:
    """The CRM refuses one contact and, as vendors do, quotes the value it did not like."""
    email = min(one.text for one in known if one.kind == "e-mail" and one.text.islower())
    message = f"Property values were not valid: Email address {email} is invalid"
    refusal = FaultRule(
        "partial", path="contacts/batch/upsert", count=0, records=(email,), message=message
    )
    return FaultPlan((refusal,))


def _connect(tenancy: Tenancy, tenant: str, shop: ShopAccess, crm: CrmAccess) -> None:
    create_tenant(tenancy, tenant, started_on=_EVER.start, actor="tests")
    settings = tenant_config(_MAPPINGS, tenant, crm="hubspot").settings
    keys = shop.secrets
    platform = connector(shop.platform)
    with closing(platform.open(StoreAccess(shop.base_url, keys, settings))) as client:
        account = platform.extract.check(client)
    store = StoredConnection(
        "main", "store", shop.platform, shop.base_url, account.account_id, account.currency,
        account.timezone, dict(settings),
    )  # fmt: skip
    target = StoredConnection("crm", "crm", "hubspot", crm.base_url, str(crm.portal_id))
    with tenancy.scope(tenant) as scope:
        save_connection(scope, store, keys, actor="tests")
        save_connection(scope, target, {"access_token": crm.token}, actor="tests")


def _extract_and_derive(engines: Engines, tenant: str) -> None:
    tenancy = engines.tenancy
    with tenancy.scope(tenant) as scope:
        (connection,) = connections_of(scope, "store")
    store = open_store(tenancy, engines.ops, tenant, connection)
    types = store.connector.manifest.object_types
    with closing(store.client):
        for object_type in types:
            extract(tenancy, store, object_type, _EVER, run_id="leaks")
    rules = tenant_config(_MAPPINGS, tenant, crm="hubspot").rules
    made = deriver(connection, rules, run_id="leaks")
    derive_window(tenancy, tenant, made, (_EVER.start, _EVER.end), types)
