"""Two tenants with a store each, on a fresh database."""

from __future__ import annotations

import pytest

from crm_integration.storage.engine import engine_for
from crm_integration.storage.schema import migrate
from crm_integration.storage.sealing import MasterKey
from crm_integration.storage.urls import DatabaseUrls
from crm_integration.tenancy.scope import Tenancy
from crm_integration_tests.quality.canonical_rows import add_tenant


@pytest.fixture(scope="module")
def tenancy(urls: DatabaseUrls) -> Tenancy:
    migrate(urls.owner)
    tenancy = Tenancy(engine_for(urls.app), MasterKey(b"k" * 32))
    for tenant in ("aurora", "borealis"):
        add_tenant(tenancy, tenant)
    return tenancy
