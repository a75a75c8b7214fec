"""`page_cursor`: opaque, URL-encoded in the answer, and alone on its call.

Prevents the connector that encodes an encoded cursor again, or adds its filters to it. A cursor
holds the filters and an offset, so that rows which move during a scan are lost as with `start`.
"""

from __future__ import annotations

import base64
import binascii
import zlib
from collections.abc import Mapping
from typing import cast
from urllib.parse import quote

import orjson

from crm_integration.sandbox.api2cart.envelope import BAD_PARAMETER, Failure, Stretch
from crm_integration.sandbox.api2cart.methods import Method
from crm_integration.sandbox.shop_state import Json

#: Which fields to show is no filter: it may stand beside a cursor, and is not kept in it.
FIELDS = frozenset({"params", "response_fields", "exclude"})
_MARK = b"\xff\xff\xff"  # becomes ////, so that a cursor never survives a second encoding


def unfolded(method: Method, query: Mapping[str, str]) -> dict[str, str]:
    """The query itself, or what its cursor stands for with the query's fields.

    Raises:
        Failure: 109 where the cursor is no cursor of this method or is not alone.
    """
    cursor = query.get("page_cursor")
    if cursor is None or not method.paged_by_cursor:
        return dict(query)
    beside = sorted(set(query) - FIELDS - {"page_cursor"})
    if beside:
        raise Failure(
            BAD_PARAMETER,
            f"Parameter 'page_cursor' can't be used with any other filtering parameter:"
            f" {', '.join(beside)}.",
        )
    kept = _opened(cursor, method.name)
    return {**kept, **{name: text for name, text in query.items() if name in FIELDS}}


def _opened(cursor: str, method: str) -> dict[str, str]:
    refused = Failure(BAD_PARAMETER, "Parameter 'page_cursor' is not valid.")
    try:
        raw = base64.b64decode(cursor, validate=True)
        held = cast("list[object]", orjson.loads(zlib.decompress(raw[len(_MARK) :])))
    except (binascii.Error, ValueError, zlib.error) as error:
        raise refused from error
    if not raw.startswith(_MARK) or held[0] != method:
        raise refused
    return cast("dict[str, str]", held[1])


def pagination(method: Method, query: Mapping[str, str], place: Stretch) -> Json:
    """The answer's block; null where there is no such page."""
    before = place.start - place.count
    return {
        "previous": _cursor(method, query, max(0, before), place) if place.start else None,
        "next": _cursor(method, query, place.start + place.count, place) if place.more else None,
    }


def _cursor(method: Method, query: Mapping[str, str], start: int, place: Stretch) -> str:
    kept = {name: text for name, text in query.items() if name not in FIELDS}
    kept |= {"start": str(start), "count": str(place.count)}
    packed = zlib.compress(orjson.dumps([method.name, kept]))
    return quote(base64.b64encode(_MARK + packed).decode(), safe="")
