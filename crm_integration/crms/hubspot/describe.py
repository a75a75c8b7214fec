"""Which fields a HubSpot account has.

Prevents a mapping to a field that this merchant's account lacks, or that HubSpot computes itself,
from being found out one refused record at a time.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final, cast

from crm_integration.crms._contract import CrmField
from crm_integration.crms._registry import crm_connector
from crm_integration.crms.hubspot.client import Client

_KINDS: Final = {
    "string": "text",
    "phone_number": "text",
    "number": "number",
    "datetime": "datetime",
    "date": "date",
    "bool": "bool",
    "enumeration": "enum",
}


def describe(client: Client, object_type: str) -> dict[str, CrmField]:
    """All fields of one of the engine's object types by name; one call."""
    return fields_of(client, crm_connector("hubspot").manifest.objects[object_type].type)


def fields_of(client: Client, hubspot_type: str) -> dict[str, CrmField]:
    """All fields of a HubSpot object type (`contacts`, …) by name; one call."""
    answer = client.get(f"crm/v3/properties/{hubspot_type}", budget="properties")
    return {found.name: found for found in map(_field, answer.results)}


def _field(described: Mapping[str, Any]) -> CrmField:
    limits = cast(Mapping[str, Any], described.get("modificationMetadata") or {})
    options = cast(list[Mapping[str, Any]], described.get("options") or [])
    checkbox = described.get("fieldType") == "booleancheckbox"
    return CrmField(
        name=str(described["name"]),
        kind="bool" if checkbox else _KINDS.get(str(described.get("type", "")), "text"),
        read_only=bool(limits.get("readOnlyValue") or described.get("calculated")),
        unique=bool(described.get("hasUniqueValue")),
        options=tuple(str(option.get("value", "")) for option in options),
    )
