"""Cuts the objects of an answer out of its bytes, exactly as they came.

Prevents a raw record that is not what the store said: parsing and writing again changes key
order, number forms and escapes. Bytes that are no UTF-8 survive as surrogate escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, NoReturn, cast

from crm_integration.stores._contract import JsonObject, SourceObject, Unsplittable

_FIRST_YEAR = 1900
"""Earlier years are the empty dates of old databases, never a change in a web shop."""
_SPACE = re.compile(r"[ \t\r\n\ufeff]*")


class NotSplittable(ValueError):
    """The answer is not a JSON array (of `reason`), so no object can be cut out of it."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def elements(body: bytes) -> Iterator[tuple[Any, bytes]]:
    """Every element of a JSON array, decoded, with its own bytes.

    Raises NotSplittable (`not_json`, `not_a_list`), possibly after some elements.
    """
    text = body.decode("utf-8", "surrogateescape")
    at = _skip(text, 0)
    if text[at : at + 1] != "[":
        raise NotSplittable("not_a_list" if _is_json(text, at) else "not_json")
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return
    while True:
        value, end = _decode(text, at)
        yield value, text[at:end].encode("utf-8", "surrogateescape")
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return
        if text[at : at + 1] != ",":
            raise NotSplittable("not_json")
        at = _skip(text, at + 1)


def whole(body: bytes) -> JsonObject:
    """The one object an answer (or a raw payload) consists of. Raises NotSplittable."""
    text = body.decode("utf-8", "surrogateescape")
    at = _skip(text, 0)
    value, end = _decode(text, at)
    if _skip(text, end) != len(text):
        raise NotSplittable("not_json")
    if not isinstance(value, dict):
        raise NotSplittable("not_an_object")
    return cast(JsonObject, value)


def split(object_type: str, body: bytes) -> tuple[list[SourceObject], list[Unsplittable]]:
    """The objects of a page; elements that are none are kept with a reason.

    Raises NotSplittable when the page as a whole is not a list: nothing of it is used then.
    """
    objects: list[SourceObject] = []
    strange: list[Unsplittable] = []
    for value, payload in elements(body):
        made = source_object(object_type, value, payload)
        if isinstance(made, SourceObject):
            objects.append(made)
        else:
            strange.append(made)
    return objects, strange


def source_object(object_type: str, value: Any, payload: bytes) -> SourceObject | Unsplittable:
    """Id, time and parent of one decoded element; Unsplittable where it has no id."""
    if not isinstance(value, dict):
        return Unsplittable(object_type, "not_an_object", payload)
    element = cast(JsonObject, value)
    source_id = id_text(element.get("id"))
    if source_id is None:
        return Unsplittable(object_type, "no_id", payload)
    return SourceObject(
        object_type=object_type,
        source_id=source_id,
        source_time=source_time(element),
        payload=payload,
        parent_id=id_text(element.get("parent_id")) if object_type == "refund" else None,
    )


def id_text(value: Any) -> str | None:
    """A WordPress id as text; None for 0 and for everything that is no id."""
    if type(value) is int:  # not isinstance: true is no id, and this runs twice a line
        return str(value) if 0 < value < 10**20 else None
    if not isinstance(value, str) or not (value.isascii() and value.isdigit()):
        return None
    return value if len(value) <= 20 and int(value) else None


def source_time(element: JsonObject) -> datetime | None:
    """When this version was made: last change, else creation (refunds never change), in UTC."""
    return utc(element.get("date_modified_gmt")) or utc(element.get("date_created_gmt"))


def utc(value: Any) -> datetime | None:
    """A time of a `*_gmt` field, which carries no zone though it is UTC; None if it is none."""
    if not isinstance(value, str):
        return None
    try:
        moment = datetime.fromisoformat(value)
        moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    return moment if moment.year >= _FIRST_YEAR else None


def _decode(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise NotSplittable("not_json") from error


def _is_json(text: str, at: int) -> bool:
    try:
        return _skip(text, _decode(text, at)[1]) == len(text)
    except NotSplittable:
        return False


def _skip(text: str, at: int) -> int:
    """Behind white space and byte order marks, which PHP files saved with one put before."""
    found = _SPACE.match(text, at)
    return found.end() if found else at
