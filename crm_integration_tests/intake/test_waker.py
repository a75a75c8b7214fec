"""A delivery into a cold lane asks Dagster for a run at once; a warm lane asks for nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import orjson
import pytest
from sqlalchemy import text

from crm_integration.intake.lanes import ALL_LANES, Lanes
from crm_integration.intake.waker import LOOKS_AGAIN, Waker
from crm_integration.storage.engine import engine_for
from crm_integration_tests.house import Tenant
from crm_integration_tests.sync.live import deliver_order, until


class _Dagster(BaseHTTPRequestHandler):
    asked: list[Any]
    reloaded: list[str]
    says = "LaunchRunSuccess"
    says_after_reload = ""

    def do_POST(self) -> None:
        body = orjson.loads(self.rfile.read(int(self.headers["content-length"])))
        web = type(self)
        if "params" in body["variables"]:
            web.asked.append((self.path, body["variables"]["params"]))
            after = web.says_after_reload if web.reloaded else ""
            said = {"launchRun": {"__typename": after or web.says}}
        else:
            web.reloaded.append(body["variables"]["name"])
            said = {"reloadRepositoryLocation": {"__typename": "WorkspaceLocationEntry"}}
        answer = orjson.dumps({"data": said})
        self.send_response(200)
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def _waking(
    tenant: Tenant, says: str = "LaunchRunSuccess", after_reload: str = ""
) -> Iterator[list[Any]]:
    class Web(_Dagster):
        asked: list[Any] = []
        reloaded: list[str] = []

    Web.says, Web.says_after_reload = says, after_reload
    server = HTTPServer(("127.0.0.1", 0), Web)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    url = f"http://127.0.0.1:{server.server_port}"
    waker = Waker(engine_for(tenant.house.urls.intake), url, groups=1, life=60.0)
    thread = threading.Thread(target=waker.run, daemon=True)
    thread.start()
    until(lambda: _listens(tenant))
    try:
        yield Web.asked
    finally:
        waker.stopped.set()
        thread.join(5)
        server.shutdown()
        server.server_close()
        serving.join(5)


def _listens(tenant: Tenant) -> bool:
    with engine_for(tenant.house.urls.intake).connect() as connection:
        asked = (
            "select count(*) from pg_stat_activity"
            " where query ilike 'listen%' and pid <> pg_backend_pid()"
        )
        return bool(connection.execute(text(asked)).scalar_one())


def test_a_cold_lane_is_woken_once(tenant: Tenant) -> None:
    """The first delivery of the morning waited for the sensor."""
    with _waking(tenant) as asked:
        for number in range(3):
            deliver_order(tenant, tenant.shop.guest_order(f"ada{number}@example.com"))
        until(lambda: asked)
        path, params = asked[0]
        assert path == "/graphql"
        assert params["selector"]["jobName"] == "drain_deliveries"
        config = params["runConfigData"]["ops"]["drain_lanes"]["config"]
        assert config == {"group": 0, "groups": 1, "life_seconds": 60.0}
    assert len(asked) == 1


def test_a_lane_that_somebody_drains_is_left_alone(tenant: Tenant) -> None:
    """Each webhook started a run."""
    with Lanes(tenant.house.engines.ops, "holder", 60) as lanes, _waking(tenant) as asked:
        lanes.take(ALL_LANES)
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        with pytest.raises(AssertionError):
            until(lambda: asked, 1.5)


def test_a_run_that_drained_and_was_killed_is_followed_at_once(tenant: Tenant) -> None:
    """The lane had been cold a moment before it was drained, and stood still for what was left of
    the twenty seconds that a run has to come."""
    with _waking(tenant) as asked:
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: asked)
        with Lanes(tenant.house.engines.ops, "first", 60) as lanes:
            lanes.take(ALL_LANES)
            time.sleep(LOOKS_AGAIN + 1.5)
        deliver_order(tenant, tenant.shop.guest_order("bob@example.com"))
        until(lambda: len(asked) == 2, 5.0)


def test_a_refusal_is_told_and_ends_nothing(
    tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """The waker died with the first run that Dagster would not start."""
    with _waking(tenant, "RunConfigValidationInvalid") as asked:
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: asked)
        until(lambda: "refused a live run" in caplog.text)


def test_a_code_server_that_died_is_started_again(
    tenant: Tenant, caplog: pytest.LogCaptureFixture
) -> None:
    """Dagster starts no other one by itself: sensors did not tick, and no run was ever started."""
    with _waking(tenant, "PythonError", "LaunchRunSuccess") as asked:
        deliver_order(tenant, tenant.shop.guest_order("ada@example.com"))
        until(lambda: len(asked) == 2)
        until(lambda: "loaded anew" in caplog.text)
    assert "refused a live run: " not in caplog.text
