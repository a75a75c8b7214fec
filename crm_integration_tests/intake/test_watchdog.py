"""The watchdog: dead, lost and silent webhooks are found, put right, and their gaps fetched."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson
import pytest

from crm_integration.intake.drop_table import drain, put
from crm_integration.intake.open_store import OpenStore
from crm_integration.intake.silence import LATE, SILENT_AFTER
from crm_integration.intake.watchdog import DISABLED, MISSING, SILENT, Look, look, mend
from crm_integration.intake.webhook_gaps import fetch_gaps
from crm_integration.intake.webhook_paths import add_secret, make_path, path_digest
from crm_integration.sandbox.faults import FaultRule
from crm_integration.sandbox.shop_kinds import SHOP_KINDS
from crm_integration.storage.engine import engine_for
from crm_integration_tests.house import House, Tenant

RECEIVER = "https://hooks.example.com"
SECRET = "whsec_of_this_test_and_no_other"
HOUR = 3600


@contextmanager
def _opened(tenant: Tenant) -> Iterator[OpenStore]:
    store = tenant.opened()
    tenant.shop.asked.clear()
    try:
        yield store
    finally:
        store.client.close()


def _look(tenant: Tenant) -> dict[str, Look]:
    with _opened(tenant) as store:
        found = look(tenant.house.tenancy, tenant.house.engines.ops, store)
    return {one.topic: one for one in found}


def _mend(tenant: Tenant, receiver_url: str | None = RECEIVER) -> dict[str, Look]:
    with _opened(tenant) as store:
        found = look(tenant.house.tenancy, tenant.house.engines.ops, store)
        after = mend(tenant.house.tenancy, store, found, receiver_url=receiver_url)
    return {one.topic: one for one in after}


def _connect(tenant: Tenant, *, path: str | None = None) -> str:
    """Hooks of every topic in the shop, as a first look makes them; their address."""
    _live(tenant)
    if tenant.shop.kind.platform == "woocommerce":
        with tenant.scope() as scope:
            add_secret(scope, "main", SECRET, actor="test")
    with tenant.scope() as scope:
        make_path(scope, tenant.house.tenancy.master, "main", actor="test")
    assert all(one.mended for one in _mend(tenant).values())
    _age(tenant, "webhook_subscriptions", "good_since", 5 * HOUR)
    return str(next(iter(_hooks(tenant).values())).get("delivery_url"))


def _live(tenant: Tenant, hours_ago: float = 3) -> None:
    tenant.shop.now = int(time.time() - hours_ago * HOUR)


def _age(tenant: Tenant, table: str, column: str, seconds: int) -> None:
    assert tenant.rows(
        f"update {table} set {column} = now() - make_interval(secs => :s) returning 1", s=seconds
    )


def _hooks(tenant: Tenant) -> dict[int, dict[str, Any]]:
    return tenant.shop.state.webhooks


def _hook(tenant: Tenant, topic: str) -> dict[str, Any]:
    (found,) = [one for one in _hooks(tenant).values() if one["topic"] == topic]
    return found


def _gaps(tenant: Tenant) -> list[Any]:
    return tenant.rows("select * from webhook_gaps order by topic")


def _written(tenant: Tenant) -> list[tuple[str, str]]:
    """Calls of the shop that were no reads, since the last look began."""
    if tenant.shop.kind.platform == "shopify":
        raise AssertionError("GraphQL reads are POSTs, too")
    return [
        (one["method"], one["path"].rpartition("/")[2])
        for one in tenant.shop.asked
        if one["method"] != "GET"
    ]


@pytest.fixture(params=sorted(SHOP_KINDS))
def any_tenant(request: pytest.FixtureRequest, house: House) -> Tenant:
    """A tenant of each platform."""
    return house.tenant(request.param)


def test_what_is_missing_is_subscribed_on_every_platform(any_tenant: Tenant) -> None:
    """A connection that was given an address is subscribed to all that its connector reads."""
    tenant = any_tenant
    with tenant.scope() as scope:
        make_path(scope, tenant.house.tenancy.master, "main", actor="test")
    before = _look(tenant)
    assert {one.state for one in before.values()} == {MISSING}
    assert _hooks(tenant) == {}, "a look changed something"
    after = _mend(tenant)
    assert all(one.mended for one in after.values()), [one.problem for one in after.values()]
    assert len(_hooks(tenant)) == len(after)
    assert {one.state for one in _look(tenant).values()} == {"active"}
    assert _gaps(tenant) == [], "what was never subscribed has missed nothing"


def test_every_platform_gets_back_what_it_lost(any_tenant: Tenant) -> None:
    tenant = any_tenant
    _connect(tenant)
    lost = next(iter(_hooks(tenant)))
    address = _address(_hooks(tenant)[lost])
    del _hooks(tenant)[lost]
    (found,) = [one for one in _look(tenant).values() if one.state == MISSING]
    assert _mend(tenant)[found.topic].mended
    assert {_address(one) for one in _hooks(tenant).values()} == {address}
    assert [row.topic for row in _gaps(tenant)] == [found.topic]


def _address(hook: dict[str, Any]) -> str:
    return hook.get("delivery_url") or hook.get("uri") or hook["callback"]


def test_every_platform_can_subscribe_anew_what_is_silent(any_tenant: Tenant) -> None:
    tenant = any_tenant
    _connect(tenant)
    with _opened(tenant) as store:
        topic, webhook = next(iter(store.connector.manifest.topics)), store.connector.webhook
        found = next(one for one in webhook.subscriptions(store.client) if one.topic == topic)
        webhook.unsubscribe(store.client, found)
        webhook.unsubscribe(store.client, found)  # gone already: as wanted
        assert topic not in {one.topic for one in webhook.subscriptions(store.client)}
        webhook.subscribe(store.client, topic, found.address, None)
        again = next(one for one in webhook.subscriptions(store.client) if one.topic == topic)
        webhook.revive(store.client, again, None)
    assert _look(tenant)[topic].state == "active"


def test_a_healthy_shop_is_not_written_to(tenant: Tenant) -> None:
    """A watchdog that subscribes at every look fills the shop with webhooks."""
    _connect(tenant)
    hooks = {number: dict(one) for number, one in _hooks(tenant).items()}
    for _ in range(3):
        _mend(tenant)
        assert _written(tenant) == []
    assert _hooks(tenant) == hooks
    assert _gaps(tenant) == []


def test_a_webhook_that_the_shop_switched_off_is_switched_on_and_its_gap_fetched(
    tenant: Tenant,
) -> None:
    """Seven failed deliveries while a certificate had expired: no order came for a week."""
    _connect(tenant)
    _deliver(tenant, tenant.shop.guest_order("heard@example.com"))
    _age(tenant, "webhook_subscriptions", "heard_at", 2 * HOUR)
    _hook(tenant, "order.updated")["status"] = "disabled"
    _live(tenant, 1.5)
    missed = tenant.shop.guest_order("missed@example.com")
    _live(tenant, 9)
    before = tenant.shop.guest_order("before@example.com")

    found = _look(tenant)["order.updated"]
    assert (found.state, found.mended) == (DISABLED, False)
    assert _mend(tenant)["order.updated"].mended
    hook = _hook(tenant, "order.updated")
    assert (hook["status"], hook["secret"]) == ("active", SECRET)
    assert [verb for verb, _ in _written(tenant)] == ["PUT"]

    (gap,) = _gaps(tenant)
    heard = datetime.now(UTC) - timedelta(hours=2)
    assert (gap.topic, gap.cause) == ("order.updated", "disabled")
    assert timedelta(0) < heard - gap.gap_from < timedelta(minutes=6)
    with _opened(tenant) as store:
        (fetched,) = fetch_gaps(tenant.house.tenancy, store, run_id="gap")
    assert fetched.kept == 1
    asked = [one for one in tenant.shop.asked if one["path"].endswith("/orders")]
    since = min(_second(one["modified_after"]) for one in asked)
    assert since == _floor(gap.gap_from) - timedelta(seconds=1), "strictly after"
    assert {_second(one["modified_before"]) for one in asked} == {
        _floor(gap.gap_until) + timedelta(seconds=1)
    }
    assert not any(one["path"].endswith(("/customers", "/products")) for one in tenant.shop.asked)
    assert str(missed) in _ids(tenant)
    assert str(before) not in _ids(tenant)
    (gap,) = _gaps(tenant)
    assert (gap.kept, gap.fetched_at is not None) == (1, True)
    with _opened(tenant) as store:
        assert fetch_gaps(tenant.house.tenancy, store, run_id="again") == []


def _second(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


def _floor(at: datetime) -> datetime:
    return at.replace(microsecond=0)


def _ids(tenant: Tenant) -> set[str]:
    return {row.source_id for row in tenant.rows("select source_id from raw_records")}


def _deliver(tenant: Tenant, order: int, topic: str = "order.updated") -> None:
    """The shop tells of an order, and the delivery is read."""
    body = orjson.dumps(tenant.shop.call("GET", f"/orders/{order}"))
    with tenant.scope() as scope:
        keys = scope.keys
    with engine_for(tenant.house.urls.intake).begin() as connection:
        put(connection, keys, "main", {"x-wc-webhook-topic": topic}, body)
    ops = tenant.house.engines.ops
    drain(tenant.house.tenancy, ops, tenant.name, tenant.store, run_id="read")


def test_a_gap_is_fetched_by_the_next_look_if_the_shop_was_down(tenant: Tenant) -> None:
    """Mended, and then the listing failed: what was missed may not be forgotten."""
    _connect(tenant)
    _hook(tenant, "order.created")["status"] = "disabled"
    missed = tenant.shop.guest_order("missed@example.com")
    _mend(tenant)
    tenant.shop.follow(FaultRule("status", "GET", "/orders", status=503, retry_after=3600))
    with _opened(tenant) as store, pytest.raises(Exception, match="503"):
        fetch_gaps(tenant.house.tenancy, store, run_id="gap")
    tenant.shop.follow()
    with _opened(tenant) as store:
        (fetched,) = fetch_gaps(tenant.house.tenancy, store, run_id="gap")
    assert fetched.kept == 1
    assert str(missed) in _ids(tenant)


def test_topics_of_one_type_are_fetched_once(tenant: Tenant) -> None:
    """Created, updated and deleted die together: one listing is enough."""
    _connect(tenant)
    for topic in ("order.created", "order.updated", "order.deleted"):
        _hook(tenant, topic)["status"] = "disabled"
    _mend(tenant)
    with _opened(tenant) as store:
        fetched = fetch_gaps(tenant.house.tenancy, store, run_id="gap")
    assert [one.object_type for one in fetched] == ["order"]
    assert [row.kept for row in _gaps(tenant)] == [0, 0, 0]


def test_a_topic_that_tells_nothing_while_polling_sees_orders_is_silent(tenant: Tenant) -> None:
    """The shop calls it active; a firewall of its host lets nothing out."""
    _connect(tenant)
    for number in range(SILENT_AFTER - 1):
        tenant.shop.guest_order(f"g{number}@example.com")
    tenant.extract("order")
    assert _look(tenant)["order.created"].state == "active", "too early to tell"
    tenant.shop.guest_order("last@example.com")
    tenant.extract("order")

    looks = _look(tenant)
    assert looks["order.created"].state == SILENT
    assert looks["order.created"].silent_since is not None
    assert {name for name, one in looks.items() if one.state == SILENT} == {"order.created"}

    number = _hook(tenant, "order.created")["id"]
    assert _mend(tenant)["order.created"].mended
    assert [verb for verb, _ in _written(tenant)] == ["DELETE", "POST"]
    assert _hook(tenant, "order.created")["id"] != number
    assert [(row.topic, row.cause) for row in _gaps(tenant)] == [("order.created", "silent")]
    assert _look(tenant)["order.created"].state == "active"


def test_edits_that_only_polling_sees_make_the_topic_of_updates_silent(tenant: Tenant) -> None:
    _connect(tenant)
    orders = [tenant.shop.guest_order(f"g{n}@example.com") for n in range(SILENT_AFTER)]
    for number in orders:
        _deliver(tenant, number, "order.created")
    for number in orders:
        tenant.shop.call("PUT", f"/orders/{number}", {"status": "completed"})
    tenant.extract("order")
    silent = {name for name, one in _look(tenant).items() if one.state == SILENT}
    assert silent == {"order.updated"}


def test_a_topic_that_was_heard_is_not_silent(tenant: Tenant) -> None:
    """Polling was first by a minute; the deliveries came all the same."""
    _connect(tenant)
    orders = [tenant.shop.guest_order(f"g{n}@example.com") for n in range(SILENT_AFTER)]
    tenant.extract("order")
    _deliver(tenant, orders[0], "order.created")
    assert _look(tenant)["order.created"].state == "active"


def test_what_may_still_come_is_no_silence(tenant: Tenant) -> None:
    _connect(tenant)
    _live(tenant, LATE / timedelta(hours=1) - 0.2)
    for number in range(SILENT_AFTER):
        tenant.shop.guest_order(f"g{number}@example.com")
    tenant.extract("order")
    assert _look(tenant)["order.created"].state == "active"


def test_unread_deliveries_are_no_silence(tenant: Tenant) -> None:
    """They lie in the queue; nobody has looked what they tell."""
    _connect(tenant)
    for number in range(SILENT_AFTER):
        tenant.shop.guest_order(f"g{number}@example.com")
    tenant.extract("order")
    with tenant.scope() as scope:
        keys = scope.keys
    with engine_for(tenant.house.urls.intake).begin() as connection:
        put(connection, keys, "main", {"x-wc-webhook-topic": "order.created"}, b"{}")
    assert _look(tenant)["order.created"].state == "active"


def test_without_an_address_of_ours_a_new_one_is_made_once(tenant: Tenant) -> None:
    """All webhooks were deleted in the shop; their path is known to nobody any more."""
    _connect(tenant)
    _hooks(tenant).clear()
    after = _mend(tenant)
    assert all(one.mended for one in after.values())
    (address,) = {one["delivery_url"] for one in _hooks(tenant).values()}
    token = address.rpartition("/")[2]
    digest = path_digest(tenant.house.tenancy.master, token)
    known = [bytes(row.digest) for row in tenant.rows("select digest from webhook_paths")]
    assert digest in known


def test_without_a_receiver_url_the_gap_is_recorded_and_the_fix_told(tenant: Tenant) -> None:
    _connect(tenant)
    _hooks(tenant).clear()
    after = _mend(tenant, receiver_url=None)
    assert {one.mended for one in after.values()} == {False}
    assert all("CRM_INTEGRATION_RECEIVER_URL" in one.problem for one in after.values())
    assert _hooks(tenant) == {}
    assert {row.gap_until for row in _gaps(tenant)} == {None}
    kept = tenant.rows("select state, problem from webhook_subscriptions")
    assert {row.state for row in kept} == {MISSING}
    assert all(row.problem for row in kept)


def test_a_key_that_may_only_read_is_told_what_it_needs(tenant: Tenant) -> None:
    """Read is what a poll needs; the words must not tell people to give what they gave."""
    _connect(tenant)
    _hook(tenant, "order.created")["status"] = "disabled"
    tenant.shop.follow(FaultRule("status", "PUT", "/webhooks", status=401))
    problem = _mend(tenant)["order.created"].problem
    tenant.shop.follow()
    assert "Read/Write" in problem
    assert _mend(tenant)["order.created"].mended
    (gap,) = _gaps(tenant)
    assert gap.gap_until is not None


def test_webhooks_of_other_programs_are_left_alone(tenant: Tenant) -> None:
    """A shop's accounting has its own, on the same topics, one of them switched off."""
    body = {"topic": "order.created", "delivery_url": "https://books.example.com/webhooks/x"}
    other = tenant.shop.call("POST", "/webhooks", {**body, "name": "books"})
    _hooks(tenant)[other["id"]]["status"] = "disabled"
    _connect(tenant)
    _mend(tenant)
    assert _hooks(tenant)[other["id"]]["status"] == "disabled"


def test_a_webhook_switched_off_before_anybody_looked_has_a_gap_since_its_address(
    tenant: Tenant,
) -> None:
    _connect(tenant)
    _hook(tenant, "order.created")["status"] = "disabled"
    with tenant.scope() as scope:
        from sqlalchemy import text

        scope.connection.execute(text("delete from webhook_subscriptions"))
    _mend(tenant)
    (gap,) = _gaps(tenant)
    made = tenant.value("select min(made_at) from webhook_paths")
    assert made - timedelta(minutes=6) < gap.gap_from < made


def test_repairs_are_in_the_audit_trail_and_show_no_address(tenant: Tenant) -> None:
    address = _connect(tenant)
    rows = tenant.rows("select * from audit_trail where action = 'webhook.subscribe'")
    assert len(rows) == 9
    token = address.rpartition("/")[2]
    assert token
    assert all(token not in str(tuple(row)) for row in rows)
    assert token not in repr(_look(tenant))
