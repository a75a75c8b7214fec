"""API2Cart's one envelope: every answer is HTTP 200, and only `return_code` tells what happened.

Prevents the connector that looks at the HTTP status: here a wrong key, a throttled store and a
missing order all come with 200.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from crm_integration.sandbox.shop_state import Json

#: The vendor's public list of status codes (api2cart.com/docs/response-status-codes).
WRONG_KEY, NO_METHOD, STORE_DENIED, KEY_DENIED, KEY_DISABLED = 2, 3, 4, 5, 6
STORE_UNREACHABLE, STORE_NOT_FOUND = 100, 101
BAD_PARAMETER, STORE_THROTTLED, THROTTLED, NOT_FOUND, EXISTS, REQUIRED = (
    109,
    110,
    111,
    112,
    113,
    114,
)

MESSAGES: Mapping[int, str] = {
    WRONG_KEY: "Incorrect API Key.",
    NO_METHOD: "Method is not specified.",
    STORE_DENIED: "Store access denied.",
    KEY_DENIED: "API access denied.",
    KEY_DISABLED: "API Key is disabled.",
    STORE_UNREACHABLE: "Store API access error: resource is not reachable.",
    STORE_NOT_FOUND: "Store not found.",
    STORE_THROTTLED: "Too many requests to the store's API.",
    THROTTLED: "Too many requests.",
}


class Failure(Exception):
    """API2Cart says no: its return code and its message."""

    def __init__(self, code: int, message: str = "") -> None:
        super().__init__(message or MESSAGES.get(code, "Uncategorized error."))
        self.code = code


def wrong(name: str, wanted: str) -> Failure:
    """109 in the vendor's words: the parameter's name and the type it should have."""
    return Failure(
        BAD_PARAMETER,
        f"Parameter '{name}' is not valid. The required type of parameter is {wanted}.",
    )


@dataclass(frozen=True, slots=True)
class Stretch:
    """Where a page lies in its list, for the cursors: `more` if rows follow it."""

    start: int
    count: int
    more: bool


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a method gives: its `result` (already cut to the asked fields) and the page's place."""

    result: Any
    stretch: Stretch | None = None


def answered(result: Any, pagination: Json | None = None) -> Response:
    """A success; recorded answers carry `pagination` between message and result."""
    body: Json = {"return_code": 0, "return_message": ""}
    if pagination is not None:
        body["pagination"] = pagination
    body["result"] = result
    return _json(body)


def failed(failure: Failure) -> Response:
    """A failure, with the empty result the recordings have."""
    return _json({"return_code": failure.code, "return_message": str(failure), "result": {}})


def _json(body: Json) -> Response:
    return Response(orjson.dumps(body), media_type="application/json")
