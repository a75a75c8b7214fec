"""Cuts the objects of an answer out of its bytes and gives each its identity and time.

Prevents two objects in one: carts leave out `id` or write 0 for a guest, and a customer without
an id is nobody that an order could name.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, tzinfo
from hashlib import blake2b
from typing import Any, cast

from crm_integration.errors import Permanent
from crm_integration.stores._contract import (
    JsonObject,
    SourceObject,
    Unreadable,
    Unsplittable,
)
from crm_integration.stores._cutting import NotSplittable, cut_elements, cut_value
from crm_integration.stores.api2cart.answers import Answer
from crm_integration.stores.api2cart.dates import read_date
from crm_integration.stores.api2cart.methods import Kind

Zone = Callable[[], tzinfo | None]
_LONGEST_ID = 190


@dataclass(frozen=True)
class Cut:
    """The rows of one page. `marks` has one entry for each row that came, equal for a row that
    has not changed; guests without an id are among the marks alone."""

    objects: tuple[SourceObject, ...]
    strange: tuple[Unsplittable, ...]
    marks: tuple[str, ...]

    @property
    def count(self) -> int:
        return len(self.marks)


def cut_page(kind: Kind, answer: Answer, zone: Zone) -> Cut:
    """The objects of a list. Raises Permanent where success comes without a list."""
    objects: list[SourceObject] = []
    strange: list[Unsplittable] = []
    marks: list[str] = []
    try:
        for value, payload in cut_elements(answer.body, ("result", kind.key)):
            made = source_object(kind, value, payload, zone)
            marks.append(_mark(made))
            if isinstance(made, SourceObject):
                objects.append(made)
            elif not _nameless_guest(kind, value):
                strange.append(made)
    except NotSplittable as error:
        raise Permanent(
            f"{kind.method} answered return_code 0 without a list of {kind.key} ({error.reason}): "
            "look at this answer in API2Cart's log; it is not taken for an empty store",
            code=error.reason,
        ) from error
    return Cut(tuple(objects), tuple(strange), tuple(marks))


def cut_one(kind: Kind, answer: Answer, zone: Zone) -> SourceObject:
    """The object that is the result itself. Raises Permanent for anything else."""
    try:
        value, payload = cut_value(answer.body, ("result",))
    except NotSplittable as error:
        raise _no_object(kind, error.reason) from error
    made = source_object(kind, value, payload, zone)
    if not isinstance(made, SourceObject):
        raise _no_object(kind, made.reason)
    return made


def source_object(
    kind: Kind, value: Any, payload: bytes, zone: Zone
) -> SourceObject | Unsplittable:
    """Id and time of one decoded row; Unsplittable where it has no id."""
    if not isinstance(value, dict):
        return Unsplittable(kind.object_type, "not_an_object", payload)
    row = cast(JsonObject, value)
    source_id = identity(kind, row)
    if source_id is None:
        return Unsplittable(kind.object_type, "no_id", payload)
    return SourceObject(kind.object_type, source_id, source_time(kind, row, zone), payload)


def identity(kind: Kind, row: JsonObject) -> str | None:
    """The first of the kind's id fields that holds an id."""
    return next((found for name in kind.ids if (found := id_text(row.get(name)))), None)


def id_text(value: Any) -> str | None:
    """An id as text; None for 0, "" and everything that is no id."""
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value) if 0 < value < 10**20 else None
    if not isinstance(value, str):
        return None
    text = value.strip()
    usable = text.isprintable() and text.isascii() and 0 < len(text) <= _LONGEST_ID
    return text if usable and text.strip("0") else None


def source_time(kind: Kind, row: JsonObject, zone: Zone) -> datetime | None:
    """When this version was made: last change, else creation; None where neither can be read."""
    for name in (kind.changed, kind.created):
        try:
            found = read_date(row.get(name), None, name)
            if found is not None and found.assumed:  # only now is it worth asking for the zone
                found = read_date(row.get(name), zone(), name)
        except Unreadable:  # told by to_canonical, which refuses the payload with its reason
            continue
        if found is not None:
            return found.at
    return None


def _mark(row: SourceObject | Unsplittable) -> str:
    if isinstance(row, SourceObject) and row.source_time is not None:
        return f"{row.source_id} {row.source_time.isoformat()}"
    return blake2b(row.payload, digest_size=8).hexdigest()


def _nameless_guest(kind: Kind, value: Any) -> bool:
    """A guest among the customers without an id: the guest's order names and describes them."""
    if kind.object_type != "customer" or not isinstance(value, dict):
        return False
    row = cast(JsonObject, value)
    return "id" in row and row["id"] in (None, "", "0", 0)


def _no_object(kind: Kind, reason: str) -> Permanent:
    return Permanent(
        f"{kind.info} answered return_code 0 without a {kind.object_type} ({reason}): "
        "look at this answer in API2Cart's log",
        code=reason,
    )
