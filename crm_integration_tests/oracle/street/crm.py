"""Reads a HubSpot-shaped CRM over HTTP: records with all their properties, and who belongs to whom.

Prevents a check of what a sync meant to write: nothing here looks at our tables or imports our
code.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import httpx

KEY = "ci_key"
_PAGE = 100
TYPES = {
    "companies": ("companies", "name"),
    "contacts": ("contacts", "email"),
    "products": ("products", "ci_source_id"),
    "orders": ("orders", "hs_external_order_id"),
    "carts": ("carts", "hs_external_cart_id"),
    "notes": ("notes", ""),
}
"""CRM type -> the kind here, and the property that names what a record is about."""


@dataclass(frozen=True)
class Held:
    """A record as the CRM shows it."""

    kind: str
    key: str
    record_id: str
    properties: dict[str, str | None] = field(repr=False)

    @property
    def ours(self) -> bool:
        return bool(self.properties.get(KEY))


@dataclass
class Crm:
    """One account, read whole."""

    records: list[Held]
    links: dict[str, set[str]]
    """Record id -> record ids of what it is tied to, of the kinds that were asked."""


def read(base_url: str, token: str) -> Crm:
    """Everything. Raises `httpx.HTTPStatusError`."""
    headers = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=base_url, headers=headers, timeout=60, trust_env=False) as client:
        records = [one for kind in TYPES for one in _records(client, kind)]
        links: dict[str, set[str]] = defaultdict(set)
        for start, end in (("contacts", "companies"), ("orders", "contacts"), ("carts", "contacts"),
                           ("notes", "contacts"), ("notes", "orders")):  # fmt: skip
            ids = [one.record_id for one in records if _type(one) == start and one.ours]
            for record_id, ends in _links(client, start, end, ids):
                links[record_id] |= ends
    return Crm(records, links)


def _type(one: Held) -> str:
    return one.kind if one.kind not in ("refunds", "activities") else "notes"


def _records(client: httpx.Client, kind: str) -> Iterator[Held]:
    defined = client.get(f"/crm/v3/properties/{kind}").raise_for_status().json()["results"]
    names = ",".join(str(one["name"]) for one in defined)
    asked = {"limit": str(_PAGE), "properties": names}
    while True:
        body = client.get(f"/crm/v3/objects/{kind}", params=asked).raise_for_status().json()
        for one in body["results"]:
            yield _held(kind, one)
        if "paging" not in body:
            return
        asked["after"] = body["paging"]["next"]["after"]


def _held(kind: str, one: dict[str, Any]) -> Held:
    properties: dict[str, str | None] = one["properties"]
    name = TYPES[kind][1]
    found = TYPES[kind][0]
    if kind == "notes":
        is_refund = properties.get("ci_kind") == "refund"
        found = "refunds" if is_refund else "activities"
        name = "ci_refund_id" if is_refund else "ci_activity_id"
    key = properties.get(name) or ""
    return Held(found, key.lower() if kind == "contacts" else key, str(one["id"]), properties)


def _links(
    client: httpx.Client, start: str, end: str, ids: list[str]
) -> Iterator[tuple[str, set[str]]]:
    for at in range(0, len(ids), 500):
        body = {"inputs": [{"id": one} for one in ids[at : at + 500]]}
        path = f"/crm/v4/associations/{start}/{end}/batch/read"
        for one in client.post(path, json=body).raise_for_status().json()["results"]:
            yield str(one["from"]["id"]), {str(to["toObjectId"]) for to in one["to"]}
