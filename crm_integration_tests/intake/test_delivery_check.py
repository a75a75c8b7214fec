"""What of a delivery is kept, and what a platform without a declaration gets."""

from __future__ import annotations

from dataclasses import replace

import pytest

from crm_integration.intake.delivery_check import (
    Forged,
    came_unsigned,
    can_be_checked,
    identity,
    without_secrets,
)
from crm_integration.intake.path_lookup import Addressee
from crm_integration.storage.sealing import new_tenant_keys
from crm_integration.stores._contract import Delivery
from crm_integration.stores._registry import connector
from crm_integration.stores._signing import WebhookSigning


class Broken:
    """A connector with a fault in it."""

    def read_delivery(self, headers: object, body: bytes) -> Delivery:
        raise KeyError("needle@example.com")


def _addressee(signing: WebhookSigning | None) -> Addressee:
    woo = connector("woocommerce")
    manifest = woo.manifest.model_copy(update={"webhooks": signing})
    store = replace(woo, manifest=manifest)
    return Addressee("t", "main", store, new_tenant_keys("t"), float("inf"), ())


def test_a_secret_that_travels_in_a_header_is_not_kept() -> None:
    """Whoever could read one delivery could then send them."""
    shared = WebhookSigning(scheme="shared_header", header="x-secret", chosen_by="us")
    headers = {"x-secret": "the secret itself", "authorization": "Basic x", "x-topic": "order"}
    assert without_secrets(_addressee(shared), headers) == {"x-topic": "order"}
    hashed = WebhookSigning(scheme="hmac_sha256", header="x-secret", chosen_by="us")
    assert "x-secret" in without_secrets(_addressee(hashed), headers)


def test_a_platform_that_declares_nothing_gets_nothing_through() -> None:
    """A new connector's author forgot how its deliveries are signed."""
    silent = _addressee(None)
    assert not can_be_checked(silent)
    with pytest.raises(Forged):
        came_unsigned(silent, {}, b"webhook_id=1", b"webhook_id=1")


def test_a_connector_with_a_fault_loses_no_delivery(caplog: pytest.LogCaptureFixture) -> None:
    """It is kept, each time, and read when the fault is mended; its message stays unsaid."""
    found = _addressee(None)
    broken = replace(found, store=replace(found.store, webhook=Broken()))
    first, second = (identity(broken, {}, b"{}", b"{}") for _ in range(2))
    assert first != second
    assert "KeyError in read_delivery" in caplog.text
    assert "needle" not in caplog.text


def test_a_very_large_delivery_is_kept_without_looking() -> None:
    """Its JSON would hold up everybody for a second."""
    headers = {"x-wc-webhook-topic": "order.updated", "x-wc-webhook-delivery-id": "d1"}
    found = _addressee(None)
    small, large = b'{"id": 7}', b'{"id": 7}' + b" " * (1024 * 1024)
    assert identity(found, headers, small, small) == identity(found, headers, small, small)
    assert identity(found, headers, large, large) != identity(found, headers, large, large)
