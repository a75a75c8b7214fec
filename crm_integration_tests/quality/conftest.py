"""Two tenants with a store each on a fresh database; what is written is theirs alone."""

from __future__ import annotations

from datetime import date

import pytest

from crm_integration.storage.engine import engine_for
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.tenancy.connections import StoredConnection, save_connection
from crm_integration.tenancy.scope import Tenancy
from crm_integration.tenancy.tenants import create_tenant


@pytest.fixture(scope="module")
def tenancy(urls: DatabaseUrls) -> Tenancy:
    migrate(urls.owner)
    tenancy = Tenancy(engine_for(urls.app), MasterKey(b"k" * 32))
    for tenant in ("aurora", "borealis"):
        create_tenant(tenancy, tenant, started_on=date(2010, 1, 1), actor="test")
        store = StoredConnection(
            connection_id="shop",
            side="store",
            platform="woocommerce",
            base_url="http://127.0.0.1:1",
            account_id=f"{tenant}.example.com",
        )
        with tenancy.scope(tenant) as scope:
            save_connection(scope, store, {"key": "invented"}, actor="test")
    return tenancy
