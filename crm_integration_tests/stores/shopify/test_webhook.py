"""What a delivery is about, by topic; bodies are REST-shaped and never believed."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from crm_integration.stores._contract import Delivery, Unreadable
from crm_integration.stores._registry import connector
from crm_integration_tests.shared_data import SHARED

LATER = datetime(2026, 3, 1, 12, tzinfo=UTC)


def read(topic: str, body: dict[str, Any], **headers: str) -> Delivery:
    given = {"x-shopify-topic": topic, "x-shopify-webhook-id": "w1", "x-shopify-event-id": "e1",
             "x-shopify-triggered-at": "2026-03-01T12:00:00.123Z", **headers}  # fmt: skip
    return connector("shopify").webhook.read_delivery(given, json.dumps(body).encode())


@pytest.mark.parametrize(
    ("topic", "body", "object_type", "source_id"),
    [
        ("orders/updated", {"id": 11}, "order", "11"),
        ("orders/edited", {"order_edit": {"id": 3, "order_id": 11}}, "order", "11"),
        ("refunds/create", {"id": 3, "order_id": 11}, "order", "11"),
        ("fulfillments/update", {"id": 3, "order_id": 11}, "order", "11"),
        ("fulfillment_events/create", {"id": 3, "order_id": 11}, "order", "11"),
        ("order_transactions/create", {"id": 3, "order_id": 11}, "order", "11"),
        ("customers/create", {"id": 5}, "customer", "5"),
        ("customers_email_marketing_consent/update", {"customer_id": 5}, "customer", "5"),
        ("customers_marketing_consent/update", {"customer_id": 5}, "customer", "5"),
        ("customers/merge", {"admin_graphql_api_customer_kept_id": "gid://shopify/Customer/5"},
         "customer", "5"),
        ("products/update", {"id": 7}, "product", "7"),
        ("checkouts/update", {"id": 44}, "cart", "44"),
        ("customers/redact", {"shop_id": 1, "customer": {"id": 5}}, None, None),
        ("customers/data_request", {"shop_id": 1, "customer": {"id": 5}}, None, None),
        ("shop/redact", {"shop_id": 1}, None, None),
        ("app/uninstalled", {"id": 1}, None, None),
        ("themes/publish", {"id": 1}, None, None),
    ],
)  # fmt: skip
def test_each_topic_names_the_object_to_read(
    topic: str, body: dict[str, Any], object_type: str | None, source_id: str | None
) -> None:
    """A refund's own id, read as an order's, fetched a stranger's order."""
    found = read(topic, body)
    assert (found.topic, found.object_type, found.source_id) == (topic, object_type, source_id)
    assert (found.thin, found.deleted, found.delivery_id) == (True, False, "w1")


def test_a_deletion_is_a_suspicion_about_an_object() -> None:
    """`deleted` starts a read by id; the engine believes only that."""
    found = read("customers/delete", {"id": 5})
    assert (found.object_type, found.source_id, found.deleted) == ("customer", "5", True)


def test_the_version_time_is_the_objects_own_else_when_it_happened() -> None:
    """A refund's body tells nothing about when its order changed."""
    own = read("orders/updated", {"id": 11, "updated_at": "2026-02-28T19:00:00-05:00"})
    assert own.source_time == datetime(2026, 3, 1, tzinfo=UTC)
    other = read("refunds/create", {"order_id": 11, "updated_at": "2026-02-28T19:00:00-05:00"})
    assert other.source_time == LATER.replace(microsecond=123000)


@pytest.mark.parametrize("odd", [None, "abc", 0, -5, True, 1.5, {"a": 1}, "9" * 30])
def test_a_body_without_a_usable_id_is_about_no_object(odd: Any) -> None:
    """Kept as it came, but nothing is fetched for it."""
    found = read("orders/create", {"id": odd})
    assert (found.object_type, found.source_id) == (None, None)


def test_a_delivery_without_a_topic_or_without_json_is_unreadable() -> None:
    """Both stay in the drop table with their reason."""
    hook = connector("shopify").webhook
    with pytest.raises(Unreadable, match="no_topic"):
        hook.read_delivery({}, b"{}")
    for body in (b"", b"[]", b"{", b"\xff"):
        with pytest.raises(Unreadable, match="not_json"):
            hook.read_delivery({"x-shopify-topic": "orders/create"}, body)


@pytest.mark.skipif(SHARED is None, reason="the recordings are not beside this checkout")
def test_the_official_rest_bodies_name_their_objects() -> None:
    """Shopify's own 2026-07 bodies, as webhooks send them."""
    assert SHARED is not None
    seen = 0
    for resource, topic in (("order", "orders/updated"), ("customer", "customers/update")):
        for path in (SHARED / "payloads/shopify/rest-2026-07").glob(f"{resource}.test_*.json"):
            answered: dict[str, Any] = json.loads(path.read_text("utf-8"))["response"]
            body: Any = answered.get(resource) or {}
            if "id" in body:
                found = read(topic, body)
                assert (found.object_type, found.source_id) == (resource, str(body["id"]))
                assert found.source_time is not None
                seen += 1
    assert seen >= 5
