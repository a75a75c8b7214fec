"""Reads totals back from a CRM over HTTP, as a merchant's book-keeper would.

Prevents the failure where a sync counts what it meant to write and calls that the result: nothing
here looks at our tables or imports our code. The CRM is HubSpot-shaped (CRM v3 objects API).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, cast

import httpx

Record = dict[str, Any]

OWN_KEY = "ci_key"  # the unique property of ours; records without it were there before us
_PAGE = 100  # the most HubSpot lists at once
_ORDER = (OWN_KEY, "ci_is_guest", "hs_total_price", "hs_currency_code")
_NOTE = (OWN_KEY, "ci_kind", "ci_refund_amount", "ci_refund_currency")
_EXPONENTS = {"JPY": 0, "KRW": 0}  # ISO 4217; two decimals for all others met here


def totals_from_crm(bases: Mapping[str, tuple[str, str]]) -> dict[str, Any]:
    """Totals over the CRM accounts of all tenants, money in minor units by currency.

    `bases` holds base URL and token by tenant. The keys are those of `expected_totals` but for
    `quarantined_invoices`, which no CRM can know. Raises `httpx.HTTPStatusError`.
    """
    orders = list[Record]()
    refunds = list[Record]()
    for base_url, token in bases.values():
        orders += (one for one in records(base_url, token, "orders", _ORDER) if one.get(OWN_KEY))
        notes = records(base_url, token, "notes", _NOTE)
        refunds += (one for one in notes if one.get("ci_kind") == "refund")
    return {
        "orders": len(orders),
        "refunds": len(refunds),
        "guest_orders": sum(one.get("ci_is_guest") == "true" for one in orders),
        "gross_minor": _sum(orders, "hs_total_price", "hs_currency_code"),
        "refunded_minor": _sum(refunds, "ci_refund_amount", "ci_refund_currency"),
    }


def records(base_url: str, token: str, kind: str, properties: Sequence[str]) -> Iterator[Record]:
    """These properties of every record of a type, with HubSpot's own `id` beside them.

    HubSpot adds others unasked (its dates): left out.
    """
    for record in _pages(base_url, token, kind, properties):
        held = record["properties"]
        yield {**{name: held.get(name) for name in properties}, "id": record["id"]}


def contacts(base_url: str, token: str) -> list[Record]:
    """Every contact with every property a person can write, for `sales_values`."""
    with _client(base_url, token) as client:
        defined = client.get("/crm/v3/properties/contacts").raise_for_status().json()["results"]
    writable = [
        str(one["name"]) for one in defined if not one["modificationMetadata"]["readOnlyValue"]
    ]
    return list(records(base_url, token, "contacts", writable))


def _pages(base_url: str, token: str, kind: str, properties: Sequence[str]) -> Iterator[Record]:
    asked = {"limit": str(_PAGE), "properties": ",".join(properties)}
    with _client(base_url, token) as client:
        while True:
            answer = client.get(f"/crm/v3/objects/{kind}", params=asked).raise_for_status()
            body = cast(dict[str, Any], answer.json())
            yield from body["results"]
            if "paging" not in body:
                return
            asked["after"] = body["paging"]["next"]["after"]


def _client(base_url: str, token: str) -> httpx.Client:
    bearer = {"Authorization": f"Bearer {token}"}
    return httpx.Client(base_url=base_url, headers=bearer, timeout=60, trust_env=False)


def _sum(found: Sequence[Record], amount: str, currency: str) -> dict[str, int]:
    sums = Counter[str]()
    for record in found:
        code = str(record[currency])
        minor = Decimal(record[amount]).scaleb(_EXPONENTS.get(code, 2))
        if minor != int(minor):
            raise ValueError(f"record {record['id']}: {amount} has a fraction of a minor unit")
        sums[code] += int(minor)
    return dict(sums)
