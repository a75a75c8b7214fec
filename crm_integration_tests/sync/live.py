"""Live runs over the tests' tenants, and deliveries to them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import orjson
from sqlalchemy import text

from crm_integration.intake.drop_table import put
from crm_integration.intake.lanes import ALL_LANES, Lanes
from crm_integration.storage.engine import engine_for
from crm_integration.sync.live_pass import LivePass
from crm_integration.sync.live_run import LiveRun
from crm_integration.sync.path import House
from crm_integration_tests.house import MAPPINGS, Tenant


def deliver(tenant: Tenant, object_type: str, body: Any, *, topic: str = "updated") -> None:
    """A WooCommerce delivery, as the receiver keeps it."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    headers = {
        "x-wc-webhook-topic": f"{object_type}.{topic}",
        "x-wc-webhook-resource": object_type,
        "x-wc-webhook-event": topic,
    }
    with tenant.scope() as scope:
        keys = scope.keys
    with engine_for(tenant.house.urls.intake).begin() as connection:
        put(connection, keys, "main", headers, raw)


def deliver_order(tenant: Tenant, order: int) -> None:
    deliver(tenant, "order", tenant.shop.call("GET", f"/orders/{order}"))


def engine_of(tenant: Tenant) -> House:
    return House(tenant.house.engines, MAPPINGS)


def queued(tenant: Tenant) -> int:
    """Deliveries of this tenant that nobody has read."""
    with tenant.house.engines.ops.connect() as connection:
        asked = text("select count(*) from webhook_queue where tenant_id = :t")
        return connection.execute(asked, {"t": tenant.name}).scalar_one()


def until(true: Callable[[], Any], seconds: float = 20.0) -> Any:
    """Wait for something to become true."""
    end = time.monotonic() + seconds
    while not (found := true()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return found


@contextmanager
def running(house: House, run_id: str, *, life: float = 60.0) -> Iterator[LiveRun]:
    """A live run over all lanes in a thread; stopped at the end."""
    with Lanes(house.engines.ops, run_id, life) as lanes:
        assert lanes.take(ALL_LANES) == set(ALL_LANES)
        one_pass = LivePass(house, run_id)
        run = LiveRun(lanes, one_pass)
        thread = Thread(target=run.run, daemon=True)
        thread.start()
        try:
            yield run
        finally:
            run.stopped.set()
            thread.join(30)
            one_pass.close()
            assert not thread.is_alive()
