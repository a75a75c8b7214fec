"""The emulator's table of methods, and every method, against the published description."""

from __future__ import annotations

from typing import Any

import httpx
import pytest
from openapi_core.exceptions import OpenAPIError

from crm_integration.sandbox.api2cart.calls import HANDLERS
from crm_integration.sandbox.api2cart.methods import METHODS, Method
from crm_integration_tests.published import api2cart_description
from crm_integration_tests.sandbox.api2cart.described import HOST, check, mended
from crm_integration_tests.sandbox.api2cart.stores import StoreCaller

_KINDS = {"integer": "number", "boolean": "flag", "array": "list", "string": "text"}


def _described(method: Method) -> dict[str, Any]:
    return api2cart_description()["paths"][f"/{method.name}.json"][method.verb.lower()]


@pytest.mark.parametrize("method", METHODS.values(), ids=lambda method: method.name)
def test_a_method_takes_exactly_the_described_parameters(method: Method) -> None:
    """A parameter invented here would let a connector lean on what does not exist."""
    told = {one["name"]: one for one in _described(method).get("parameters", [])}
    assert {name for name, one in method.parameters.items() if not one.newer} == set(told)
    for name, one in told.items():
        ours = method.parameters[name]
        assert ours.required == one.get("required", False), name
        assert _KINDS[one["schema"]["type"]] == ("text" if ours.kind == "time" else ours.kind)
    if "params" in told:
        assert method.fields == told["params"]["schema"]["default"]
    assert method.store == any("store_key" in one for one in _described(method)["security"])


def test_every_method_of_the_table_is_served() -> None:
    """A method without work behind it would answer 500."""
    assert set(HANDLERS) == set(METHODS)


@pytest.mark.parametrize(
    ("method", "params"),
    [
        ("cart.info", {"params": "force_all"}),
        ("account.cart.list", {}),
        ("account.failed_webhooks", {}),
        ("customer.list", {"params": "force_all"}),
        ("customer.info", {"id": "12345", "params": "force_all"}),
        ("customer.count", {}),
        ("product.list", {"params": "force_all"}),
        ("product.count", {}),
        ("order.list", {"params": "force_all", "count": 250}),
        ("order.info", {"order_id": "C500091", "params": "force_all"}),
        ("order.count", {}),
        ("order.abandoned.list", {"params": "force_all"}),
        ("order.shipment.list", {"order_id": "500012", "params": "force_all"}),
        ("order.shipment.info", {"order_id": "500012", "id": "71", "params": "force_all"}),
        ("order.status.list", {}),
        ("order.financial_status.list", {}),
        ("webhook.list", {"params": "force_all"}),
        ("webhook.events", {}),
        ("webhook.count", {}),
    ],
)
def test_an_answer_with_all_fields_is_as_described(
    caller: StoreCaller, method: str, params: dict[str, Any]
) -> None:
    """The caller checks every answer; here each method shows everything it has."""
    mended()  # skips with the reason where the description is not packed
    caller.call("webhook.create", verb="POST", entity="order", action="add", callback="https://a/b")
    assert caller.call(method, **params)["result"]


def test_the_default_fields_leave_out_money_s_currency_and_every_date(caller: StoreCaller) -> None:
    """Who takes the default for everything files orders without currency, time or refund."""
    row = caller.orders(count=1)[0]
    assert set(row) == {
        "order_id", "customer", "shipping_address", "billing_address", "status", "totals",
        "order_products", "bundles",
    }  # fmt: skip
    assert set(caller.call("customer.list")["result"]["customer"][0]) == {
        "id", "email", "first_name", "last_name",
    }  # fmt: skip
    assert set(caller.call("order.abandoned.list")["result"]["order"][0]) == {
        "customer", "totals", "order_products",
    }  # fmt: skip


def test_response_fields_choose_at_every_depth_and_drop_the_pagination(
    caller: StoreCaller,
) -> None:
    """A connector that forgets `pagination` in its list has no way to the second page."""
    fields = "{result{orders_count,order{id,order_products{quantity},totals{total}}}}"
    body = caller.call("order.list", count=1, order_ids="500002", response_fields=fields)
    assert set(body) == {"return_code", "return_message", "result"}
    assert body["result"] == {
        "orders_count": 1,
        "order": [
            {"id": "500002", "totals": {"total": 35.99}, "order_products": [{"quantity": 2}]}
        ],
    }
    everything = caller.call("order.list", count=1, response_fields="{*}")
    assert "pagination" in everything
    assert set(everything["result"]["order"][0]) == set(caller.orders(params="force_all")[0])
    assert caller.call("cart.info", response_fields="{result{nothing}}")["result"] == []


def test_exclude_takes_away_only_from_all_fields(caller: StoreCaller) -> None:
    """As described: it works only with force_all."""
    short = caller.orders(count=1, params="force_all", exclude="address,order_products")[0]
    assert not {"billing_address", "shipping_address", "order_products"} & set(short)
    assert "order_products" in caller.orders(count=1, exclude="order_products")[0]


@pytest.mark.parametrize("text", ["{", "result", "{result{}}", "{a}}", "{a,,b}", "{a b}", "{a!}"])
def test_response_fields_that_cannot_be_read_are_refused(caller: StoreCaller, text: str) -> None:
    """A list cut off by a proxy must not become an answer without fields."""
    code, message = caller.refused("order.list", response_fields=text)
    assert code == 109
    assert "response_fields" in message


@pytest.mark.parametrize(
    ("headers", "body"),
    [
        ({}, {"return_code": 0, "return_message": "", "result": {"orders_count": 1}}),
        (
            {"x-api-key": "k", "x-store-key": "s"},
            {"return_code": 0, "return_message": "", "result": {"orders_count": "1"}},
        ),
        (
            {"x-api-key": "k", "x-store-key": "s"},
            {"return_code": 0, "return_message": "", "result": {"orders": 1}},
        ),
        (
            {"x-api-key": "k", "x-store-key": "s"},
            {"return_code": 0, "return_message": None, "result": {}},
        ),
    ],
    ids=["no keys", "a wrong type", "a field nobody described", "a null nobody allowed"],
)
def test_the_check_against_the_description_can_fail(
    headers: dict[str, str], body: dict[str, Any]
) -> None:
    """A check that accepts everything would make every test of this folder worthless."""
    mended()
    request = httpx.Request("GET", f"{HOST}/v1.1/order.count.json", headers=headers)
    with pytest.raises(OpenAPIError):
        check(request, httpx.Response(200, json=body, request=request))
