"""What a real WooCommerce 11.0.1 sent, read by this connector."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from crm_integration.canonical.customers import Customer
from crm_integration.canonical.model import StoreObject
from crm_integration.canonical.orders import Order
from crm_integration.canonical.refunds import Refund
from crm_integration.stores._contract import Delivery, StoreContext
from crm_integration.stores._registry import connector
from crm_integration.stores.woocommerce.to_canonical import to_canonical
from crm_integration.stores.woocommerce.webhook import read_delivery
from crm_integration_tests.shared_data import SHARED

RECORDINGS = SHARED / "payloads/woocommerce" if SHARED else Path("nowhere")
pytestmark = pytest.mark.skipif(
    not RECORDINGS.is_dir(),
    reason="the recordings (../shared/payloads) are not beside this checkout",
)
CONTEXT = StoreContext("USD")


def recorded(name: str) -> Any:
    return json.loads((RECORDINGS / "api" / f"{name}.json").read_text("utf-8"))["body"]


def read(object_type: str, payload: Any, parent: Any = None) -> Sequence[StoreObject]:
    return list(to_canonical(object_type, payload, parent, CONTEXT))


def order(name: str) -> Order:
    found = read("order", recorded(name))[-1]
    assert isinstance(found, Order)
    return found


def test_an_order_half_refunded_in_dollars() -> None:
    found = order("order_after_partial_refund")
    assert (found.total_minor, found.tax_minor, found.shipping_minor) == (5499, 449, 1000)
    assert (found.discount_minor, found.financial_state) == (450, "partially_refunded")
    assert (found.customer_kind, found.customer_source_id) == ("registered", "2")
    assert [(x.quantity, str(x.unit_price), x.total_minor) for x in found.lines] == [
        (2, "11.25", 2250),
        (1, "17.995", 1800),
    ]


@pytest.mark.parametrize(
    ("name", "money", "goods"),
    [
        ("order_create", "paid", "unfulfilled"),
        ("order_complete", "paid", "fulfilled"),
        ("order_after_fulfillment", "paid", "partial"),
        ("order_after_full_refund", "refunded", "partial"),
        ("order_get_trashed", "cancelled", "unfulfilled"),
        ("order_create_jpy_no_email", "pending", "unfulfilled"),
    ],
)
def test_money_and_goods_are_where_the_shop_said(name: str, money: str, goods: str) -> None:
    found = order(name)
    assert (found.financial_state, found.fulfilment_state) == (money, goods)


def test_yen_have_no_cents_though_the_shop_writes_them() -> None:
    """The shop answered 13.61 for yen: rounded half up, and the guest has no e-mail."""
    guest, bought = read("order", recorded("order_create_jpy_no_email"))
    assert isinstance(guest, Customer)
    assert isinstance(bought, Order)
    assert (bought.currency, bought.total_minor, bought.email) == ("JPY", 14, None)
    assert (guest.email, guest.phone, guest.source_id) == (None, "09012345678", "19")


def test_a_refund_is_negative_in_the_order_and_positive_alone() -> None:
    parent = recorded("order_after_partial_refund")
    (found,) = read("refund", recorded("refund_partial"), parent)
    assert isinstance(found, Refund)
    assert (found.amount_minor, found.order_source_id, found.reason) == (1125, "14", "broken")
    assert parent["refunds"][0]["total"] == "-11.25"


def test_the_accounts_email_keeps_its_case() -> None:
    found = [read("customer", payload)[0] for payload in recorded("customers_list_all")]
    assert [x.email for x in found if isinstance(x, Customer)] == [
        "admin@example.com",
        "Jane.Doe@Example.com",
    ]


def test_nobodys_email_counts_as_verified() -> None:
    """WooCommerce asks nobody to confirm an address: who typed it is not known to own it."""
    found = [read("customer", payload)[0] for payload in recorded("customers_list_all")]
    assert {x.email_verified for x in found if isinstance(x, Customer)} == {None}


def test_every_recorded_list_can_be_read() -> None:
    counts = {
        name: len([one for payload in recorded(name) for one in read(kind, payload)])
        for name, kind in (
            ("orders_list_page1", "order"),
            ("orders_list_page2", "order"),
            ("products_list", "product"),
            ("customers_list", "customer"),
        )
    }
    guests = sum(row["customer_id"] == 0 for row in recorded("orders_list_page1"))
    assert counts["orders_list_page1"] == len(recorded("orders_list_page1")) + guests
    assert counts["products_list"] == len(recorded("products_list"))
    assert min(counts.values()) > 0


def delivery(path: Path) -> Delivery:
    stored = json.loads(path.read_text("utf-8"))
    headers = {name.lower(): value for name, value in stored["headers"]}
    return read_delivery(headers, base64.b64decode(stored["body_b64"]))


def test_every_recorded_delivery_says_what_it_is_about() -> None:
    """A ping, deleted objects with and without an id, actions that name only an order."""
    found = {path.stem: delivery(path) for path in sorted((RECORDINGS / "webhooks").glob("*.json"))}
    assert len(found) == 33
    assert found["00001-ping_unsigned_form"].topic == "ping"
    assert found["00018-coupon_created"].object_type is None
    gone, nameless = found["00033-order_deleted"], found["00034-order_created"]
    assert (gone.object_type, gone.source_id, gone.deleted) == ("order", "15", True)
    assert (nameless.source_id, nameless.deleted) == (None, True)
    paid = found["00026-action_woocommerce_payment_complete"]
    assert (paid.object_type, paid.source_id, paid.deleted) == ("order", "14", False)
    made = found["00023-order_created"]
    assert (made.source_id is not None, made.source_time is not None) == (True, True)


def test_the_delivery_id_is_shared_by_different_objects() -> None:
    """So it must never be the only key of a duplicate."""
    found = [delivery(path) for path in (RECORDINGS / "webhooks").glob("*.json")]
    about: dict[str, set[tuple[str, str | None]]] = {}
    for one in found:
        about.setdefault(str(one.delivery_id), set()).add((one.topic, one.source_id))
    assert sum(len(objects) > 1 for objects in about.values()) > 0


def test_what_drift_is_told_by_is_in_every_recorded_payload() -> None:
    """A path that a healthy shop leaves out would hold its tenant's writes for nothing."""
    seen = {
        "order": [*recorded("orders_list_page1"), *recorded("orders_list_page2")],
        "customer": recorded("customers_list_all"),
        "product": recorded("products_list"),
        "refund": [recorded("refund_partial"), recorded("refund_full")],
    }
    for object_type, paths in connector("woocommerce").manifest.required_paths.items():
        for path in paths:
            types = {kind for payload in seen[object_type] for kind in _types(payload, path)}
            assert len(types) == 1, f"{object_type} {path}: {sorted(types)}"


def _types(payload: Any, path: str) -> list[str]:
    """JSON types at `a[].b`; KeyError where it is missing."""
    found = [payload]
    for name in path.split("."):
        values = [one[name.removesuffix("[]")] for one in found]
        found = [one for value in values for one in (value if name.endswith("[]") else [value])]
    return ["number" if isinstance(one, int | float) else type(one).__name__ for one in found]
