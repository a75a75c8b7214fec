"""How WooCommerce's answers look over HTTP: fixed headers, errors, `_fields`, request bodies.

Prevents the failure where each endpoint invents its own error body.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

import orjson
from starlette.requests import Request
from starlette.responses import Response

from crm_integration.sandbox.shop_edits import Refused
from crm_integration.sandbox.shop_state import Json
from crm_integration.sandbox.woocommerce_queries import InvalidParameter, Page, paging

_FIXED_HEADERS = {
    "X-Powered-By": "PHP/8.2.36",
    "X-Robots-Tag": "noindex",
    "X-Content-Type-Options": "nosniff",
    "Access-Control-Expose-Headers": "X-WP-Total, X-WP-TotalPages, Link",
    "Expires": "Wed, 11 Jan 1984 05:00:00 GMT",
    "Cache-Control": "no-cache, must-revalidate, max-age=0, no-store, private",
}


def json_answer(
    public_url: str, body: Any, status: int = 200, headers: Mapping[str, str] | None = None
) -> Response:
    """A body with the headers every recorded answer carries."""
    link = f'<{public_url}/wp-json/>; rel="https://api.w.org/"'
    return Response(
        orjson.dumps(body),
        status_code=status,
        headers={**_FIXED_HEADERS, "Link": link, **(headers or {})},
        media_type="application/json; charset=UTF-8",
    )


def error_body(code: str, message: str, status: int) -> Json:
    return {"code": code, "message": message, "data": {"status": status}}


async def json_body(request: Request) -> Json:
    """The request's JSON object.

    Raises:
        Refused: 400, as WordPress answers what it cannot parse.
    """
    try:
        body = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise Refused("Invalid JSON body passed.", "rest_invalid_json", 400) from error
    if not isinstance(body, dict):
        raise Refused("Invalid JSON body passed.", "rest_invalid_json", 400)
    return cast(Json, body)


def cut(request: Request, keys: list[int]) -> Page:
    """The asked page of an ordered list of ids."""
    place = paging(request.query_params)
    return Page(keys[place.start : place.start + place.per_page], len(keys))


def only(body: Json, fields: str) -> Json:
    """WordPress' `_fields`: the named fields, dots go into objects."""
    if not fields:
        return body
    kept: Json = {}
    for name in fields.split(","):
        first, _, rest = name.strip().partition(".")
        if first not in body:
            continue
        value: Any = body[first]
        if rest and isinstance(value, dict):
            inner = only(cast(Json, value), rest)
            kept[first] = {**kept.get(first, {}), **inner}
        else:
            kept[first] = value
    return kept


def invalid_body(wrong: InvalidParameter) -> Json:
    """The 400 for a refused parameter, with WordPress' details."""
    return {
        "code": "rest_invalid_param",
        "message": f"Invalid parameter(s): {wrong.name}",
        "data": {
            "status": 400,
            "params": {wrong.name: wrong.message},
            "details": {wrong.name: {"code": wrong.code, "message": wrong.message, "data": None}},
        },
    }
