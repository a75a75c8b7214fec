"""Deliveries name an object; nothing of them is believed before the object is read."""

from __future__ import annotations

import json

import pytest

from crm_integration.stores._contract import Unreadable
from crm_integration.stores.api2cart.webhook import read_delivery

HEADERS = {"x-webhook-entity": "order", "x-webhook-action": "update", "x-webhook-store-id": "1"}


def body(value: object) -> bytes:
    return json.dumps(value).encode()


def test_a_delivery_is_always_thin() -> None:
    """No signature of API2Cart can be checked: a forged order must not be stored as one."""
    found = read_delivery(HEADERS, body({"id": "7", "order_id": "R-7", "total": {"total": 1}}))
    assert found.thin
    assert (found.topic, found.object_type, found.source_id) == ("order.update", "order", "7")
    assert not found.deleted


@pytest.mark.parametrize(
    "held",
    [{"id": 7}, {"order": {"id": "7"}}, {"result": {"id": "7"}}, {"entity_id": "7"},
     {"order_id": "7"}],
)  # fmt: skip
def test_the_object_is_found_in_each_known_shape(held: object) -> None:
    assert read_delivery(HEADERS, body(held)).source_id == "7"


def test_a_deletion_is_a_suspicion() -> None:
    found = read_delivery({**HEADERS, "x-webhook-action": "delete"}, body({"id": "7"}))
    assert found.deleted
    assert found.thin


def test_entity_and_action_may_stand_in_the_body() -> None:
    held = {"x-webhook-entity": "customer", "x-webhook-action": "add", "id": "3"}
    found = read_delivery({}, body(held))
    assert (found.topic, found.object_type, found.source_id) == ("customer.add", "customer", "3")


def test_an_entity_we_do_not_read_is_told_without_a_type() -> None:
    found = read_delivery({**HEADERS, "x-webhook-entity": "category"}, body({"id": "7"}))
    assert (found.topic, found.object_type) == ("category.update", None)


def test_a_body_without_an_id_names_no_object() -> None:
    assert read_delivery(HEADERS, b"").source_id is None
    assert read_delivery(HEADERS, body({"id": 0})).source_id is None


@pytest.mark.parametrize("headers", [{}, {"x-webhook-entity": "order"}])
def test_a_delivery_without_a_topic_is_refused(headers: dict[str, str]) -> None:
    with pytest.raises(Unreadable, match="no_topic"):
        read_delivery(headers, body({"id": "7"}))


@pytest.mark.parametrize("sent", [b"[]", b"{", b"id=7", b"\xff"])
def test_a_body_that_is_no_object_is_refused(sent: bytes) -> None:
    with pytest.raises(Unreadable, match="not_json|not_an_object"):
        read_delivery(HEADERS, sent)
