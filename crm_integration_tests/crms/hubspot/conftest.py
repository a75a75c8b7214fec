from __future__ import annotations

from collections.abc import Iterator

import pytest
import respx
import stamina

from crm_integration.crms._contract import CrmAccess
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.hubspot.adapter import Adapter
from crm_integration.crms.hubspot.client import Client
from crm_integration_tests.crms.hubspot.portal import BASE, Portal


@pytest.fixture
def portal() -> Iterator[Portal]:
    account = Portal()
    with respx.mock(assert_all_called=False) as router:
        account.mount(router)
        yield account


@pytest.fixture
def gated() -> list[str]:
    """The endpoint classes the gate was asked for, in order."""
    return []


@pytest.fixture
def client(portal: Portal, gated: list[str]) -> Iterator[Client]:
    opened = Client(CrmAccess(BASE, {"access_token": "pat-invented"}), gated.append)
    with stamina.set_testing(True, attempts=3):
        yield opened
    opened.close()


@pytest.fixture
def adapter(client: Client) -> Adapter:
    return Adapter(client, crm_connector("hubspot").manifest)
