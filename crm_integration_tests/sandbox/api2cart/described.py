"""Every call of these tests, held against API2Cart's published description.

Prevents an emulator that only agrees with our own connector. The description is made stricter than
it is (no field that it does not name), and where it is wrong the exception stands here by name.
"""

from __future__ import annotations

import copy
from functools import cache
from typing import Any, cast

import httpx
import pytest
from openapi_core import OpenAPI
from openapi_core.testing import MockRequest, MockResponse

from crm_integration_tests.published import api2cart_description

HOST = "https://api.api2cart.com"
Json = dict[str, Any]

#: What keeps the description from loading: defaults that are not of their own type.
WRONG_DEFAULTS: tuple[tuple[tuple[str | int, ...], str], ...] = (
    (("paths", "/category.add.json", "post", "parameters", 2, "schema"), "0"),
    (("paths", "/category.update.json", "put", "parameters", 3, "schema"), "0"),
    (("components", "schemas", "ProductAdd", "properties", "marketplace_item_properties"), ""),
    (("components", "schemas", "ProductAdd", "properties", "stores_ids"), "0"),
)

#: The description knows no null at all, while the vendor's own recorded answers (github.com/
#: api2cart/api2cart-mock-api) have null wherever a platform has nothing to say.
NULLS = {
    "Order": ("basket_id", "channel_id", "gift_message", "order_details_url", "finished_time"),
    "Order_Status": ("refund_info",),
    "Order_Item": ("variant_id", "weight_unit", "weight", "barcode", "parent_order_product_id"),
    "Order_Status_Refund_Item": ("variant_id",),
    "Customer_Address": (
        "fax", "website", "gender", "region", "tax_id", "identification_number", "alias",
        "state", "country",
    ),
    "Customer": (
        "last_login", "birth_day", "gender", "website", "fax", "ip_address", "lang_id",
        "orders_count", "last_order_id", "news_letter_subscription",
    ),
    "OrderAbandoned": ("basket_url",),
    "Shipment": ("name", "warehouse_id", "delivered_at"),
    "Shipment_Item": ("variant_id",),
    "Pagination": ("next", "previous"),
}  # fmt: skip

#: Fields of today's answers that this older description does not name, with today's documentation
#: (github.com/api2cart/rust-sdk, docs/Customer.md) or a recorded answer as the source.
NEWER_FIELDS: dict[str, Json] = {
    "Customer": {
        "is_guest": {"type": "boolean"},
        "consents": {"type": "array", "items": {"type": "object"}},
    },
    "Customer_Address": {"alias": {"type": "string"}},
    "Shipment": {
        "name": {"type": "string"},
        "delivered_at": {"$ref": "#/components/schemas/A2CDateTime"},
    },
}

#: The description gives order.shipment.info the answer of the list; recorded is one shipment.
WRONG_RESULTS = {"/order.shipment.info.json": "Shipment"}

#: Where response_fields names nothing that there is, `result` is recorded as [], not as an object.
EMPTY_RESULT: list[Any] = []


@cache
def mended() -> Json:
    """The description with the exceptions above, closed against fields it does not name."""
    found = copy.deepcopy(api2cart_description())
    for path, default in WRONG_DEFAULTS:
        _at(found, path)["default"] = default
    schemas = found["components"]["schemas"]
    for name, fields in NEWER_FIELDS.items():
        schemas[name]["properties"].update(fields)
    for name, fields in NULLS.items():
        for field in fields:
            _allow_null(schemas, schemas[name]["properties"], field)
    for path, name in WRONG_RESULTS.items():
        answer = _at(found, ("paths", path, "get", "responses", "200", "content"))
        result = {"$ref": f"#/components/schemas/{name}"}
        answer["application/json"]["schema"] = {
            "type": "object", "properties": {**_ENVELOPE, "result": result},
        }  # fmt: skip
    _close(found)
    return found


_ENVELOPE: Json = {"return_code": {"type": "integer"}, "return_message": {"type": "string"}}


def _at(node: Any, path: tuple[str | int, ...]) -> Any:
    for step in path:
        node = node[step]
    return node


def _allow_null(schemas: Json, properties: Json, field: str) -> None:
    schema = properties[field]
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rpartition("/")[2]]
    properties[field] = {**schema, "nullable": True}


def _close(node: Any) -> None:
    if isinstance(node, dict):
        held = cast(Json, node)
        if held.get("type") == "object" and isinstance(held.get("properties"), dict):
            held["additionalProperties"] = False
        for value in held.values():
            _close(value)
    elif isinstance(node, list):
        for value in cast("list[Any]", node):
            _close(value)


@cache
def _checker() -> OpenAPI | None:
    try:
        description = mended()
    except pytest.skip.Exception:  # not packed here: test_description.py says so and skips
        return None
    return OpenAPI.from_dict(description)


def check(request: httpx.Request, response: httpx.Response) -> None:
    """Fails where the call or its answer is not as described."""
    checker = _checker()
    if checker is None:
        return
    asked = MockRequest(
        HOST,
        request.method.lower(),
        request.url.path,
        args=dict(request.url.params),
        headers=dict(request.headers),
    )
    body = response.json()
    if body["result"] == EMPTY_RESULT:
        response = httpx.Response(200, json={**body, "result": {}})
    checker.validate_request(asked)
    answer = MockResponse(response.content, response.status_code)
    checker.validate_response(asked, answer)
