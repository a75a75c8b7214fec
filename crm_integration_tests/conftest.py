"""One embedded server for the whole test session, fresh databases for each module."""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines
from crm_integration.storage.roles import drop_databases, ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.urls import DatabaseUrls, embedded_urls
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.served import street


def short_home() -> Path:
    """A folder below /tmp that an unprivileged server may enter and no other account can."""
    home = Path(tempfile.mkdtemp(prefix="crm-", dir="/tmp"))
    home.chmod(0o700)
    return home


@pytest.fixture(scope="session")
def server() -> Iterator[EmbeddedServer]:
    home = short_home()
    running = EmbeddedServer(home)
    running.start()
    yield running
    dispose_engines()
    running.stop()
    shutil.rmtree(home)


@pytest.fixture(scope="module")
def database_prefix(server: EmbeddedServer) -> Iterator[str]:
    """A prefix whose two databases exist for this module only."""
    prefix = f"t_{uuid.uuid4().hex[:12]}"
    ensure_databases(server, prefix)
    yield prefix
    dispose_engines()
    drop_databases(server, prefix)


@pytest.fixture(scope="module")
def urls(server: EmbeddedServer, database_prefix: str) -> DatabaseUrls:
    return embedded_urls(server, database_prefix)


@pytest.fixture(scope="module")
def house(urls: DatabaseUrls) -> Iterator[House]:
    """The engine on a migrated database, and a server for the shops and CRMs of its tenants."""
    migrate(urls.owner)
    with street() as served:
        built = House.built(urls, served)
        yield built
        built.close()


@pytest.fixture
def tenant(house: House) -> Tenant:
    """A fresh tenant with a shop and a CRM account of its own."""
    return house.tenant()


@pytest.fixture
def neighbour(house: House) -> Tenant:
    """A second tenant beside `tenant`."""
    return house.tenant()
