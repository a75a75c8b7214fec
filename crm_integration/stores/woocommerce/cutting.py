"""Cuts the objects of an answer out of its bytes and gives each its identity and time.

Prevents a version that is hours off: WooCommerce's `*_gmt` times are UTC and state no zone.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, cast

from crm_integration.stores._contract import JsonObject, SourceObject, Unsplittable
from crm_integration.stores._cutting import cut_elements
from crm_integration.stores._payload import utc


def split(object_type: str, body: bytes) -> tuple[list[SourceObject], list[Unsplittable]]:
    """The objects of a page; elements that are none are kept with a reason.

    Raises NotSplittable when the page as a whole is not a list: nothing of it is used then.
    """
    objects: list[SourceObject] = []
    strange: list[Unsplittable] = []
    for value, payload in cut_elements(body, ()):
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
    return gmt(element.get("date_modified_gmt")) or gmt(element.get("date_created_gmt"))


def gmt(value: Any) -> datetime | None:
    """A time of a `*_gmt` field, which carries no zone though it is UTC; None if it is none."""
    return utc(value, unzoned=UTC)
