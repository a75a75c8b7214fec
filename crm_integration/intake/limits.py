"""What is kept without being read: payloads too large for a run, ids that no database holds.

Prevents one object from taking the whole batch, or the whole process, with it: it is kept under
its own id or a stand-in for it, marked, quarantined with the reason, and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from crm_integration.storage.sealing import TenantKeys
from crm_integration.stores._contract import SourceObject, Unreadable

LARGEST = 32 * 1024 * 1024
"""Bytes of one payload. An order of 10,000 lines has 5 to 9 MB with the platforms we know; to read
a payload takes about ten times its size."""

LONGEST_ID = 200
"""Characters of an id, as in `canonical.model`; an index of Postgres ends at 2,704 bytes."""

TOO_LARGE, BAD_ID = "too_large", "bad_id"
"""Marks of raw records that are never read: of the first only size and digest are kept."""

_FIX = {
    TOO_LARGE: f"it has more than {LARGEST} bytes and was not kept: make the object smaller in the "
    "store (notes, meta data); its next version is read again",
    BAD_ID: f"an id has 1 to {LONGEST_ID} characters, no NUL and no broken characters: look at the "
    "raw record and correct the object in the store",
}
_SHOWN = 40


def admitted(source: SourceObject, keys: TenantKeys) -> tuple[SourceObject, list[str]]:
    """The object as it can be kept, and its marks; nearly always itself and none."""
    marks: list[str] = []
    if not _is_id(source.source_id):
        source = replace(source, source_id=_stand_in(source.source_id, keys))
        marks.append(BAD_ID)
    if source.parent_id is not None and not _is_id(source.parent_id):
        source = replace(source, parent_id=_stand_in(source.parent_id, keys))
        marks = [BAD_ID]
    if len(source.payload) > LARGEST:
        marks += [TOO_LARGE, f"{len(source.payload)} bytes"]
    return source, marks


def too_large(size: int) -> Unreadable:
    """The refusal of something of so many bytes."""
    return Unreadable(TOO_LARGE, field="$", fix=f"{size} bytes: {_FIX[TOO_LARGE]}")


def refuse_marked(flags: Sequence[str]) -> None:
    """Raises Unreadable for a raw record with one of the marks."""
    for mark in (TOO_LARGE, BAD_ID):
        if mark in flags:
            raise Unreadable(mark, field="$", fix=_FIX[mark])


def _is_id(text: str) -> bool:
    return 0 < len(text) <= LONGEST_ID and "\0" not in text and _is_whole(text)


def _stand_in(text: str, keys: TenantKeys) -> str:
    """Always the same for one id, and another one for every other id."""
    digest = keys.digest("raw", text.encode("utf-8", "surrogatepass")).hex()[:16]
    shown = "".join(one for one in text[:_SHOWN] if one.isprintable())
    return f"{shown}~{digest}"


def _is_whole(text: str) -> bool:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
