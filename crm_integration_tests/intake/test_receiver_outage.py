"""The database goes away and comes back; what was answered is there."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator

import pytest

from crm_integration.storage.embedded import EmbeddedServer
from crm_integration.storage.engine import dispose_engines
from crm_integration.storage.roles import ensure_databases
from crm_integration.storage.schema import migrate
from crm_integration.storage.urls import embedded_urls
from crm_integration_tests.conftest import short_home
from crm_integration_tests.house import House
from crm_integration_tests.intake.receiving import Receiving, kept, receiving
from crm_integration_tests.served import street


@pytest.fixture
def own_server() -> Iterator[EmbeddedServer]:
    """A server that a test may crash."""
    home = short_home()
    server = EmbeddedServer(home)
    server.start()
    yield server
    dispose_engines()
    server.stop()
    shutil.rmtree(home)


def _until_ready(receiver: Receiving) -> None:
    deadline = time.monotonic() + 20
    while receiver.http.get(f"{receiver.url}/readyz").status_code != 200:
        assert time.monotonic() < deadline, "it does not recover"
        time.sleep(0.1)


def test_a_crash_of_the_database_loses_nothing_that_was_answered(
    own_server: EmbeddedServer,
) -> None:
    """2xx without a commit, or a 404 during an outage, after which a shop stops sending."""
    ensure_databases(own_server, "outage")
    urls = embedded_urls(own_server, "outage")
    migrate(urls.owner)
    with street() as served:
        house = House.built(urls, served)
        tenant, other = house.tenant(), house.tenant()
        with receiving(house) as receiver:
            path, unused = receiver.shop(tenant), receiver.shop(other)
            for number in range(20):
                assert receiver.order(path, delivery=f"before{number}").status_code == 200

            own_server.stop(at_once=True)
            for known in (path, unused, path):
                began = time.monotonic()
                answer = receiver.order(known, delivery="during")
                assert answer.status_code == 503
                assert int(answer.headers["retry-after"]) > 0
                assert time.monotonic() - began < 8
            assert receiver.order("/webhooks/unknown").status_code == 404
            forged = receiver.order(path, secret="x" * 20).status_code
            assert forged in (401, 503), "it cannot be told whether a secret was added"
            assert receiver.http.get(f"{receiver.url}/readyz").status_code == 503
            assert receiver.http.get(f"{receiver.url}/healthz").status_code == 200

            own_server.start()
            _until_ready(receiver)
            assert receiver.order(path, delivery="after").status_code == 200
            assert receiver.order(unused, delivery="after").status_code == 200
        found = {one.headers["x-wc-webhook-delivery-id"] for one in kept(tenant)}
        assert found == {*(f"before{number}" for number in range(20)), "after"}
        house.close()
