"""A raw record's bytes as a JSON object, whatever real shops put into them.

Prevents one payload that a strict parser refuses (a lone surrogate, broken UTF-8) from being
taken for no JSON at all, and one that really is none from ending a whole chunk.
"""

from __future__ import annotations

import json
from typing import Any, cast

import orjson

from crm_integration.stores._contract import Unreadable


def parsed(payload: bytes) -> dict[str, Any]:
    """Raises Unreadable for bytes that are no JSON object."""
    try:
        found = orjson.loads(payload)
    except orjson.JSONDecodeError:
        found = _parsed_leniently(payload)
    if not isinstance(found, dict):
        raise Unreadable("not_an_object", field="$", fix="the store must send a JSON object")
    return cast(dict[str, Any], found)


def _parsed_leniently(payload: bytes) -> Any:
    """Lone surrogates are refused by orjson, and sent by real shops."""
    try:
        return json.loads(payload.decode("utf-8", "surrogateescape"))
    except (ValueError, RecursionError) as error:
        raise Unreadable(
            "not_json", field="$", fix="look at the raw record; the store must send JSON"
        ) from error
