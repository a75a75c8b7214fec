"""What the tests of spoilt answers and deliveries share."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date

import pytest
import stamina

from crm_integration.intake.drop_table import put
from crm_integration.storage.engine import engine_for
from crm_integration.stores._contract import Window
from crm_integration_tests.house import House, Tenant

DAYS = Window(date(2026, 10, 19), date(2026, 10, 23))
"""Around `books.NOON`: a listing of days, which some platforms answer page by page."""


@pytest.fixture(autouse=True)
def no_pauses() -> Iterator[None]:
    """Attempts stay, the pauses between them go."""
    with stamina.set_testing(True, attempts=2):
        yield


def deliver(house: House, tenant: Tenant, *bodies: bytes) -> None:
    """Put deliveries of orders into the drop table, as role crm_intake."""
    headers = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-delivery-id": "d1"}
    with tenant.scope() as scope:
        keys = scope.keys
    for body in bodies:
        with engine_for(house.urls.intake).begin() as connection:
            put(connection, keys, "main", headers, body)
