"""Cuts objects out of a JSON answer by their own bytes, wherever in the answer they stand.

Prevents a raw record that is not what the store said: parsing and writing again changes key
order, number forms and escapes. Bytes that are no UTF-8 survive as surrogate escapes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import Any, NoReturn, cast

from crm_integration.stores._contract import JsonObject, Unreadable

_SPACE = re.compile(r"[ \t\r\n\ufeff]*")


class NotSplittable(ValueError):
    """The answer is not JSON of the promised form; `reason` is a stable code."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def _no_constant(_: str) -> NoReturn:
    raise ValueError("NaN and Infinity are no JSON")


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def whole(body: bytes) -> JsonObject:
    """The one object that the bytes consist of. Raises NotSplittable."""
    text = body.decode("utf-8", "surrogateescape")
    value, end = _decode(text, _skip(text, 0))
    if _skip(text, end) != len(text):
        raise NotSplittable("not_json")
    if not isinstance(value, dict):
        raise NotSplittable("not_an_object")
    return cast(JsonObject, value)


def delivered(body: bytes) -> JsonObject:
    """The one object of a webhook's body. Raises Unreadable `not_json`."""
    try:
        return whole(body)
    except NotSplittable as error:
        raise Unreadable("not_json", field="", fix="expected one JSON object") from error


def cut_value(body: bytes, path: Sequence[str]) -> tuple[Any, bytes]:
    """The value below the keys of `path`, decoded, with its own bytes. Raises NotSplittable."""
    text = body.decode("utf-8", "surrogateescape")
    start = _descend(text, path)
    value, end = _decode(text, start)
    return value, _bytes(text, start, end)


def cut_elements(body: bytes, path: Sequence[str]) -> Iterator[tuple[Any, bytes]]:
    """Every element of the array below the keys of `path`, decoded, with its own bytes.

    Raises NotSplittable (`not_json`, `not_a_list`, `no_such_key`), possibly after some elements.
    """
    text = body.decode("utf-8", "surrogateescape")
    at = _descend(text, path)
    if text[at : at + 1] != "[":
        raise NotSplittable(_why_no_list(text, at, alone=not path))
    at = _skip(text, at + 1)
    if text[at : at + 1] == "]":
        return
    while True:
        value, end = _decode(text, at)
        yield value, _bytes(text, at, end)
        at = _skip(text, end)
        if text[at : at + 1] == "]":
            return
        at = _behind(text, at, ",")


def _why_no_list(text: str, at: int, *, alone: bool) -> str:
    """What stands in the list's place: another value, or no JSON; `alone` ends the text with it."""
    _, end = _decode(text, at)
    return "not_json" if alone and _skip(text, end) != len(text) else "not_a_list"


def _descend(text: str, path: Sequence[str]) -> int:
    """Where the value at `path` begins."""
    at = _skip(text, 0)
    for key in path:
        at = _member(text, at, key)
    return at


def _member(text: str, at: int, wanted: str) -> int:
    """Where the value of one key of the object at `at` begins; other values are passed over."""
    if text[at : at + 1] != "{":
        raise NotSplittable("not_an_object")
    at = _skip(text, at + 1)
    while text[at : at + 1] == '"':
        key, end = _decode(text, at)
        at = _behind(text, _skip(text, end), ":")
        if key == wanted:
            return at
        at = _skip(text, _decode(text, at)[1])
        if text[at : at + 1] == "}":
            break
        at = _behind(text, at, ",")
    raise NotSplittable("no_such_key")


def _behind(text: str, at: int, mark: str) -> int:
    if text[at : at + 1] != mark:
        raise NotSplittable("not_json")
    return _skip(text, at + 1)


def _decode(text: str, at: int) -> tuple[Any, int]:
    try:
        return _DECODER.raw_decode(text, at)
    except (ValueError, RecursionError) as error:
        raise NotSplittable("not_json") from error


def _bytes(text: str, start: int, end: int) -> bytes:
    return text[start:end].encode("utf-8", "surrogateescape")


def _skip(text: str, at: int) -> int:
    """Behind white space and byte order marks."""
    found = _SPACE.match(text, at)
    return found.end() if found else at
