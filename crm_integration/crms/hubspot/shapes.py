"""The three batches we send: upsert by our key, update by record id, default association.

Prevents an answer from being credited to the wrong record: each shape knows by which ids HubSpot
names the items it was given.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, cast

from crm_integration.crms._contract import Association, FieldValue, Write
from crm_integration.crms.hubspot.batches import Numbered


def as_text(value: FieldValue) -> str:
    """A value as HubSpot takes it: always text, "" clears the property."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return format(Decimal(repr(value)), "f")
    return str(value)


def context_ids(error: Mapping[str, Any], *names: str) -> list[str]:
    """The ids an error of a 207 names in its context; HubSpot gives lists of text."""
    context = error.get("context")
    if not isinstance(context, dict):
        return []
    known = cast(Mapping[str, Any], context)
    return [str(value) for name in names for value in _as_list(known.get(name))]


def _as_list(value: object) -> list[Any]:
    if isinstance(value, list):
        return cast(list[Any], value)
    return [] if value is None else [value]


@dataclass(frozen=True)
class _ByTrace:
    """What upsert and update share: HubSpot gives our trace id back with results and errors."""

    hubspot_type: str
    key_field: str

    def writes_field(self, item: Write, name: str) -> bool:
        return name in item.fields

    def owners_of_error(self, error: Mapping[str, Any], items: Numbered[Write]) -> Sequence[int]:
        named = set(context_ids(error, "ids", "id"))
        traces = set(context_ids(error, "objectWriteTraceId"))
        return [n for n, item in items if str(n) in traces or self.name_of(item) in named]

    def owners_of_result(self, result: Mapping[str, Any], items: Numbered[Write]) -> Sequence[int]:
        if trace := result.get("objectWriteTraceId"):
            return [n for n, _ in items if str(n) == str(trace)]
        record_id = str(result.get("id", ""))
        key = (result.get("properties") or {}).get(self.key_field)
        return [n for n, item in items if self.is_about(item, record_id, key)]

    def name_of(self, item: Write) -> str | None:
        raise TypeError(f"{type(self).__name__} must say how it names a record")

    def is_about(self, item: Write, record_id: str, key: str | None) -> bool:
        raise TypeError(f"{type(self).__name__} must say how it knows a record")
