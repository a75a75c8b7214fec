from __future__ import annotations

from collections.abc import Generator

import pytest
import stamina

from crm_integration.sync import crm_session
from crm_integration_tests.house import House, Tenant
from crm_integration_tests.real.tryton_install import NotInstallable, installed
from crm_integration_tests.real.tryton_server import TrytonAccount, TrytonServer, running


@pytest.fixture(scope="session")
def tryton(tmp_path_factory: pytest.TempPathFactory) -> Generator[TrytonServer]:
    """One Tryton for the whole run; it is installed once and kept in the user's cache."""
    try:
        found = installed()
    except NotInstallable as reason:
        pytest.skip(str(reason))
    with running(found, tmp_path_factory.mktemp("tryton")) as server:
        yield server


@pytest.fixture
def crm(house: House, tryton: TrytonServer) -> TrytonAccount:
    """A database of Tryton's for one test."""
    return tryton.account(house.street)


@pytest.fixture
def merchant(house: House, crm: TrytonAccount) -> Tenant:
    """A tenant with a WooCommerce shop, whose CRM is that database."""
    return house.tenant(crm=crm)


@pytest.fixture
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> Generator[None]:
    """A run waits a moment, not seconds, before it tries again; attempts stay as they are."""
    monkeypatch.setattr(crm_session, "PAUSE", 0.05)
    monkeypatch.setattr(crm_session, "LONGEST_PAUSE", 0.05)
    with stamina.set_testing(True, attempts=3):
        yield
