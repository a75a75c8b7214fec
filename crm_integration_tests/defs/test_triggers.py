"""What starts runs by itself, and what tells people."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import orjson
import pytest
from sqlalchemy import text

from crm_integration.definitions import defs
from crm_integration.defs.health.failed_checks import failed_checks
from crm_integration.defs.live.abandoned_carts import abandoned_carts_sensor
from crm_integration.defs.maintenance.tenant_partitions import tenant_partitions
from crm_integration.defs.partitions import key_of
from crm_integration.defs.resources import HouseResource
from crm_integration.errors import Transient
from crm_integration.health import failed_check_post
from crm_integration.intake.drop_table import put
from crm_integration.storage.engine import engine_for
from crm_integration_tests import shop_life
from crm_integration_tests.defs.conftest import Dagster
from crm_integration_tests.house import House, Tenant


def _sensor_context(dagster: Dagster, cursor: str | None = None) -> dg.SensorEvaluationContext:
    return dg.build_sensor_context(
        instance=dagster.instance,
        cursor=cursor,
        resources={"house": HouseResource()},
        definitions=defs,
    )


def _deliver(house: House, tenant: Tenant, topic: str, body: bytes) -> None:
    """Put a delivery into the drop table as role crm_intake."""
    headers = {"x-wc-webhook-topic": topic, "x-wc-webhook-delivery-id": "d1"}
    with tenant.scope() as scope:
        keys = scope.keys
    with engine_for(house.urls.intake).begin() as connection:
        put(connection, keys, "main", headers, body)


def test_the_run_reads_the_delivery_into_a_raw_record_and_the_crm(
    dagster: Dagster, house: House, tenant: Tenant
) -> None:
    """What was delivered is read even if the listing would not bring it."""
    order = tenant.shop.guest_order("ada@example.com")
    body = orjson.dumps(tenant.shop.call("GET", f"/orders/{order}"))
    _deliver(house, tenant, "order.created", body)

    assert dagster.run("sync_one_tenant_now", tenant).success

    seen = tenant.rows("select observation from raw_records where object_type = 'order'")
    assert [row.observation for row in seen][:1] == [1]
    assert tenant.portal.one("contact")["email"] == "ada@example.com"
    with house.engines.ops.connect() as connection:
        left = connection.execute(
            text("select count(*) from webhook_queue where tenant_id = :t"), {"t": tenant.name}
        ).scalar_one()
    assert left == 0


def test_new_tenants_become_partitions(dagster: Dagster, tenant: Tenant) -> None:
    """A merchant signed up at noon was first synced the next day."""
    result = tenant_partitions(_sensor_context(dagster))

    assert isinstance(result, dg.SensorResult)
    (request,) = result.dynamic_partitions_requests or []
    assert tenant.name in request.partition_keys


class _Address(BaseHTTPRequestHandler):
    """Takes Slack's JSON; answers what the test says."""

    status = 200
    texts: list[str]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).texts.append(orjson.loads(body)["text"])
        self.send_response(type(self).status)
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Silence."""


@contextmanager
def _alert_address(monkeypatch: pytest.MonkeyPatch, status: int) -> Iterator[list[str]]:
    class Address(_Address):
        texts: list[str] = []

    Address.status = status
    server = HTTPServer(("127.0.0.1", 0), Address)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    from crm_integration.settings import reset_settings

    monkeypatch.setattr(failed_check_post, "SETTLED_FOR", timedelta(0))
    monkeypatch.setenv("CRM_INTEGRATION_ALERT_URL", f"http://127.0.0.1:{server.server_port}/hook")
    reset_settings()
    try:
        yield Address.texts
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
        monkeypatch.delenv("CRM_INTEGRATION_ALERT_URL")
        reset_settings()


def _fail_a_check(dagster: Dagster, tenant: Tenant) -> None:
    for _ in range(51):
        tenant.shop.guest_order("ada@example.com", total="-5.00")
    dagster.run("reconcile_all", tenant)


def test_a_failed_check_is_posted_once_and_says_who_is_hurt(
    dagster: Dagster, tenant: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Failing checks never reach Dagster's run-failure sensors."""
    _fail_a_check(dagster, tenant)

    with _alert_address(monkeypatch, 200) as texts:
        first = failed_checks(_sensor_context(dagster))
        assert isinstance(first, dg.SensorResult)
        failed_checks(_sensor_context(dagster, cursor=first.cursor))

    of_tenant = [one for one in texts if f"tenant {tenant.name}:" in one]
    assert len(of_tenant) == 1
    assert "row_rules" in of_tenant[0]
    assert "re-run the partition" in of_tenant[0]
    assert "ada@example.com" not in of_tenant[0]


def test_an_alert_that_did_not_arrive_is_sent_again(
    dagster: Dagster, tenant: Tenant, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An address that was down for a minute must not swallow the news."""
    _fail_a_check(dagster, tenant)

    with _alert_address(monkeypatch, 503), pytest.raises(Transient):
        failed_checks(_sensor_context(dagster))
    with _alert_address(monkeypatch, 200) as texts:
        failed_checks(_sensor_context(dagster))

    assert any(f"tenant {tenant.name}:" in one for one in texts)


def test_without_an_address_nobody_is_told_and_the_tick_says_so(dagster: Dagster) -> None:
    """A sensor that does nothing must say why."""
    skipped = failed_checks(_sensor_context(dagster))

    assert isinstance(skipped, dg.SkipReason)
    assert "CRM_INTEGRATION_ALERT_URL" in (skipped.skip_message or "")


def test_people_who_may_be_one_are_suggested_by_a_job(dagster: Dagster, tenant: Tenant) -> None:
    """Two spellings of one person share no key: a person decides, and hears of it here."""
    for name, street in (("Katherine", "12 Larkmorrow Row"), ("Catherine", "12 Larkmorow Row")):
        billing = {"address_1": street, "city": "Umberford", "postcode": "ZZ1 1ZZ", "country": "GB"}
        tenant.shop.guest_order(f"{name.lower()}@example.com", name, "Pellgrave", **billing)
    tenant.extract()
    tenant.derive()
    found = defs.resolve_job_def("suggest_same_people").execute_in_process(
        instance=dagster.instance
    )
    assert found.success
    assert tenant.value("select count(*) from identity_suggestions where state = 'open'") == 1
    assert tenant.value("select count(*) from identity_merges") == 0


def test_a_cart_left_alone_starts_a_sweep_that_reaches_the_crm(
    dagster: Dagster, house: House
) -> None:
    """A reminder that waits for the nightly run is an apology."""
    tenant = house.tenant(platform="shopify")
    order = tenant.shop.order(tenant.shop.account("ada@example.com"))
    shop_life.leaves_cart(tenant.shop, order)
    tenant.run_once()

    asked = list(abandoned_carts_sensor(_sensor_context(dagster)))

    today = datetime.now(UTC).date()
    assert key_of(tenant.name, today) in {one.partition_key for one in asked}
    assert dagster.run("sweep_abandoned_carts", tenant).success
    assert tenant.portal.one("cart")["hs_external_status"] == "abandoned"
    again = {one.partition_key for one in abandoned_carts_sensor(_sensor_context(dagster))}
    assert key_of(tenant.name, today) not in again
