"""Deliveries without recordings: what is refused."""

from __future__ import annotations

import pytest

from crm_integration.stores._contract import Unreadable
from crm_integration.stores.woocommerce.webhook import read_delivery

TOPIC = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-delivery-id": "d1"}


def test_the_unsigned_ping_is_no_order() -> None:
    found = read_delivery({}, b"webhook_id=12")
    assert (found.topic, found.object_type, found.source_id) == ("ping", None, None)


def test_an_update_names_its_object_and_version() -> None:
    found = read_delivery(TOPIC, b'{"id": 5, "date_modified_gmt": "2026-03-01T12:00:00"}')
    assert (found.object_type, found.source_id, found.delivery_id) == ("order", "5", "d1")
    assert str(found.source_time) == "2026-03-01 12:00:00+00:00"


def test_a_body_of_an_object_that_is_gone_names_none() -> None:
    found = read_delivery(TOPIC, b'{"code": "woocommerce_rest_shop_order_invalid_id"}')
    assert (found.deleted, found.source_id) == (True, None)


@pytest.mark.parametrize(
    ("headers", "body", "reason"),
    [({}, b"{}", "no_topic"), (TOPIC, b"<html>", "not_json"), (TOPIC, b"[1]", "not_json")],
)
def test_what_nothing_can_be_told_of_is_refused(
    headers: dict[str, str], body: bytes, reason: str
) -> None:
    with pytest.raises(Unreadable) as error:
        read_delivery(headers, body)
    assert error.value.reason == reason
