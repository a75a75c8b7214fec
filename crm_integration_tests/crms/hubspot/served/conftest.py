"""The HubSpot emulator behind real HTTP, and an adapter that talks to it."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import stamina
import uvicorn

from crm_integration.crms._contract import CrmAccess, FieldNeed
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.crms.hubspot.client import Client
from crm_integration.sandbox.faults import FaultyApp
from crm_integration.sandbox.hubspot import HubSpotApp
from crm_integration.sandbox.loopback import listening_socket
from crm_integration.sandbox.portal_state import PortalSettings, PortalState

NEEDS = [
    FieldNeed("email", "text"),
    FieldNeed("firstname", "text"),
    FieldNeed("ci_total", "number"),
]


@pytest.fixture
def account() -> PortalState:
    """An account whose search lags far behind."""
    return PortalState(PortalSettings(4711, "pat-invented", search_lag_seconds=60.0))


@pytest.fixture
def server(account: PortalState) -> Iterator[tuple[str, FaultyApp]]:
    app = FaultyApp(HubSpotApp(account).app)
    listening = listening_socket()
    config = uvicorn.Config(app, lifespan="off", ws="none", log_level="critical")
    running = uvicorn.Server(config)
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{listening.getsockname()[1]}", app
    running.should_exit = True
    thread.join(10)


@pytest.fixture
def calls() -> list[str]:
    return []


@pytest.fixture
def client(server: tuple[str, FaultyApp], calls: list[str]) -> Iterator[Client]:
    opened = Client(CrmAccess(server[0], {"access_token": "pat-invented"}), calls.append)
    with stamina.set_testing(True, attempts=3):
        yield opened
    opened.close()


@pytest.fixture
def adapter(client: Client, calls: list[str]) -> Adapter:
    prepared = Adapter(client, crm_connector("hubspot").manifest)
    prepared.prepare("contact", NEEDS)
    calls.clear()
    return prepared
