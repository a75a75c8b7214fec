"""One database for all of this folder, every platform the registry finds, samples of each."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import replace

import pytest

from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines
from crm_integration.storage.roles import drop_databases, ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.urls import embedded_urls
from crm_integration.stores._registry import platforms
from crm_integration.tenancy.connections import save_connection
from crm_integration_tests.bad_input.samples import Sample, samples_of
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.served import street

_MANY = 100_000


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "platform" in metafunc.fixturenames:
        metafunc.parametrize("platform", platforms(), scope="package")


@pytest.fixture(scope="package")
def house(server: EmbeddedServer) -> Iterator[House]:
    prefix = f"t_{uuid.uuid4().hex[:12]}"
    ensure_databases(server, prefix)
    urls = embedded_urls(server, prefix)
    migrate(urls.owner)
    with street() as served:
        built = House.built(urls, served)
        yield built
        built.close()
    dispose_engines()
    drop_databases(server, prefix)


@pytest.fixture(scope="package")
def _samples() -> dict[str, tuple[Sample, ...]]:
    return {}


@pytest.fixture
def samples(
    _samples: dict[str, tuple[Sample, ...]], house: House, platform: str
) -> tuple[Sample, ...]:
    """A rich payload of every object type (and shape) of the platform."""
    if platform not in _samples:
        _samples[platform] = samples_of(platform, house.street)
    return _samples[platform]


@pytest.fixture
def tenant(house: House, platform: str) -> Tenant:
    """A fresh tenant with a shop of the platform, and a CRM whose quota nobody waits for."""
    made = house.tenant(platform)
    portal = made.portal.state
    portal.settings = replace(portal.settings, per_ten_seconds=_MANY, searches_per_second=_MANY)
    plan = {"calls": _MANY, "seconds": 1}
    crm = replace(made.crm, settings={"budgets": {"all": plan, "search": plan}})
    with made.scope() as scope:
        save_connection(scope, crm, {"access_token": made.portal.token}, actor="test")
    return made
