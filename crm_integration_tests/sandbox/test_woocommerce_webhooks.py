"""Webhooks of the emulated WooCommerce, as recorded from version 11.0.1."""

from __future__ import annotations

import httpx
import pytest

from crm_integration_tests.house import Tenant
from crm_integration_tests.sandbox.clients import ShopCaller

BODY = {"topic": "order.created", "delivery_url": "https://hooks.example.com/x", "secret": "s"}


def _call(tenant: Tenant, method: str, path: str, **more: object) -> httpx.Response:
    with httpx.Client(trust_env=False) as http:
        return ShopCaller(http, tenant.shop.url).call(method, path, **more)


def test_a_webhook_is_active_at_once_and_its_secret_is_never_shown(tenant: Tenant) -> None:
    made = _call(tenant, "POST", "/webhooks", json=BODY)
    assert made.status_code == 201
    assert (made.json()["status"], made.json()["resource"]) == ("active", "order")
    for answer in (made, _call(tenant, "GET", f"/webhooks/{made.json()['id']}")):
        assert "secret" not in answer.json()


def test_a_list_shows_all_states_newest_first(tenant: Tenant) -> None:
    """The default is `all`: a disabled one stands among the others."""
    ids = [_call(tenant, "POST", "/webhooks", json=BODY).json()["id"] for _ in range(3)]
    tenant.shop.state.webhooks[ids[1]]["status"] = "disabled"
    listed = _call(tenant, "GET", "/webhooks").json()
    assert [one["id"] for one in listed] == ids[::-1]
    off = _call(tenant, "GET", "/webhooks", status="disabled").json()
    assert [one["id"] for one in off] == [ids[1]]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({**BODY, "topic": "order.exploded"}, "woocommerce_rest_shop_webhook_invalid_topic"),
        ({**BODY, "delivery_url": "x"}, "woocommerce_rest_shop_webhook_invalid_delivery_url"),
    ],
)
def test_what_the_shop_does_not_take_is_a_400(
    tenant: Tenant, body: dict[str, str], code: str
) -> None:
    refused = _call(tenant, "POST", "/webhooks", json=body)
    assert (refused.status_code, refused.json()["code"]) == (400, code)
    assert tenant.shop.state.webhooks == {}


def test_webhooks_have_no_trash(tenant: Tenant) -> None:
    number = _call(tenant, "POST", "/webhooks", json=BODY).json()["id"]
    assert _call(tenant, "DELETE", f"/webhooks/{number}").status_code == 501
    assert _call(tenant, "DELETE", f"/webhooks/{number}", force="true").status_code == 200
    assert _call(tenant, "GET", f"/webhooks/{number}").status_code == 404
